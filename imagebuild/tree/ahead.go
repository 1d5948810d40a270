package tree

import (
	"context"
	"io"
	"iter"
	"runtime"
	"sync"
)

// Ahead reads contents before they are asked for, several at once, so that a
// writer of one stream does not wait for each file to be opened. It is for one
// goroutine, and has to be closed.
type Ahead struct {
	cancel context.CancelFunc
	queue  chan *readAhead // in the order of the nodes
	head   *readAhead      // what was taken from the queue and not asked for yet
	done   sync.WaitGroup
}

// readAhead is a content that is being read.
type readAhead struct {
	node  Node
	ready chan struct{} // closed when the others are set
	data  *[]byte
	size  int
	err   error
}

const (
	aheadFiles = 32        // read and not asked for yet
	aheadSize  = 128 << 10 // of what is worth it: larger files are read when they are asked for
)

// ReadAhead reads the contents of nodes, which are those that CopyTo will be
// asked for, in that order.
func ReadAhead(ctx context.Context, nodes iter.Seq[Node]) *Ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &Ahead{cancel: cancel, queue: make(chan *readAhead, aheadFiles)}
	work := make(chan *readAhead)
	a.done.Go(func() {
		defer close(work)
		defer close(a.queue)
		for n := range nodes {
			if !n.inode().worthReadingAhead() {
				continue
			}
			r := &readAhead{node: n, ready: make(chan struct{})}
			for _, to := range []chan *readAhead{a.queue, work} {
				select {
				case to <- r:
				case <-ctx.Done():
					r.err = ctx.Err()
					close(r.ready)
					return
				}
			}
		}
	})
	for range runtime.GOMAXPROCS(0) {
		a.done.Go(func() {
			for r := range work {
				r.read()
			}
		})
	}
	return a
}

// worthReadingAhead reports whether opening is a good part of the work.
func (n *Inode) worthReadingAhead() bool {
	_, isMemory := n.Content.(memory)
	return n.Size > 0 && n.Size <= aheadSize && n.Content != nil && !isMemory
}

func (r *readAhead) read() {
	defer close(r.ready)
	content, err := r.node.Open()
	if err != nil {
		r.err = err
		return
	}
	defer content.Close()
	r.data = buffers.Get().(*[]byte)
	for r.err == nil {
		// One byte more than the content has, for its end to be met.
		var n int
		n, r.err = content.Read((*r.data)[r.size:])
		r.size += n
	}
	if r.err == io.EOF {
		r.err = nil
	}
}

// CopyTo is [Node.CopyTo], of what was read ahead if it was.
func (a *Ahead) CopyTo(n Node, w io.Writer) error {
	if a.head == nil {
		a.head = <-a.queue
	}
	if a.head == nil || a.head.node != n {
		return n.CopyTo(w)
	}
	r := a.head
	a.head = nil
	<-r.ready
	if r.data != nil {
		defer buffers.Put(r.data)
	}
	if r.err != nil {
		return r.err
	}
	_, err := w.Write((*r.data)[:r.size])
	return err
}

// Close ends the reading ahead, and waits for it.
func (a *Ahead) Close() {
	a.cancel()
	a.done.Wait()
}
