package compress_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
)

// count gives the numbers from 1 to n.
func count(n int) func(context.Context, func(*int) error) error {
	return func(_ context.Context, give func(*int) error) error {
		for i := 1; i <= n; i++ {
			v := i
			if err := give(&v); err != nil {
				return err
			}
		}
		return nil
	}
}

// square lets the first values take longest, so that they are overtaken.
func square() func(*int) {
	return func(v *int) {
		for range 100 - *v%100 {
			runtime.Gosched()
		}
		*v *= *v
	}
}

func TestInOrderKeepsTheOrder(t *testing.T) {
	cpus := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cpus)
	var want []int
	for i := 1; i <= 1000; i++ {
		want = append(want, i*i)
	}
	for _, n := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(n)
		var got []int
		err := compress.InOrder(t.Context(), count(1000), square, func(v *int) error { got = append(got, *v); return nil })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("with %d CPUs: %d values, %v", n, len(got), err)
		}
	}
}

func TestInOrderIsBounded(t *testing.T) {
	given, most := atomic.Int64{}, int64(0)
	taken := int64(0)
	err := compress.InOrder(t.Context(), func(ctx context.Context, give func(*int) error) error {
		return count(500)(ctx, func(v *int) error {
			given.Add(1)
			return give(v)
		})
	}, square, func(*int) error {
		most = max(most, given.Load()-taken)
		taken++
		return nil
	})
	if limit := int64(2*runtime.GOMAXPROCS(0) + 10); err != nil || most > limit {
		t.Errorf("%d values were on their way, at most %d may be; %v", most, limit, err)
	}
}

func TestInOrderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	nothing := func(*int) error { return nil }
	fails := func(ctx context.Context, give func(*int) error) error {
		if err := count(20)(ctx, give); err != nil {
			return err
		}
		return broken
	}
	if err := compress.InOrder(t.Context(), fails, square, nothing); !errors.Is(err, broken) {
		t.Errorf("an error of the producer: %v", err)
	}
	if err := compress.InOrder(t.Context(), count(500), square, func(*int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("an error of the consumer: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if err := compress.InOrder(ctx, count(1), square, nothing); !errors.Is(err, broken) {
		t.Errorf("a context that ended before: %v", err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	n := 0
	err := compress.InOrder(ctx, count(500), square, func(*int) error {
		if n++; n == 5 {
			cancel(broken)
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("a context that ends: %v", err)
	}
}
