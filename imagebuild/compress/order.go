package compress

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// task is work whose results are wanted in the order of asking.
type task[T any] struct {
	value T
	done  chan struct{}
}

// InOrder has values worked on by all CPUs, and what comes of them in the order
// in which they were given, whatever the number of CPUs. produce gives values to
// its argument, each worker that newWorker makes changes some of these, and
// consume takes one after the other. At most two values for each CPU and ten
// more are on their way at a time.
//
// The first error of produce or consume ends all, and is returned. produce has
// to return the error that its argument returns, which is that of the context
// given to it.
func InOrder[T any](ctx context.Context, produce func(context.Context, func(T) error) error, newWorker func() func(T), consume func(T) error) error {
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	most := 2*workers + 8
	toDo, queue := make(chan *task[T], most), make(chan *task[T], most)
	group.Go(func() error {
		defer close(toDo)
		defer close(queue)
		return produce(ctx, func(v T) error {
			t := &task[T]{v, make(chan struct{})}
			for _, c := range []chan *task[T]{queue, toDo} {
				if err := ctx.Err(); err != nil {
					return context.Cause(ctx)
				}
				select {
				case c <- t:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	})
	for range workers {
		group.Go(func() error {
			work := newWorker()
			for t := range toDo {
				work(t.value)
				close(t.done)
			}
			return nil
		})
	}
	group.Go(func() error {
		for t := range queue {
			select {
			case <-t.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := consume(t.value); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}
