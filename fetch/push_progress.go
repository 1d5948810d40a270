package fetch

import (
	"io"
	"sync"
)

// taken is how far a sink has read a file in one attempt. It may read it more
// than once, of which the furthest counts.
type taken struct {
	mu    sync.Mutex
	most  int64
	over  bool // what is read from now on does not count
	told  func(n int64)
	watch watch
}

func (t *taken) at(offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if more := offset - t.most; more > 0 && !t.over {
		t.most = offset
		t.told(more)
	}
	t.watch.timer.Reset(t.watch.silence)
}

// back takes back what was told, when the attempt has failed, and reports
// whether that was anything. A sink may have left a reader behind that goes on
// for a moment.
func (t *taken) back() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.most > 0 {
		t.told(-t.most)
	}
	return t.most > 0
}

type taking struct {
	io.ReadSeekCloser
	taken  *taken
	offset int64
}

func (r *taking) Read(b []byte) (int, error) {
	n, err := r.ReadSeekCloser.Read(b)
	r.offset += int64(n)
	r.taken.at(r.offset)
	return n, err
}

func (r *taking) Seek(offset int64, whence int) (int64, error) {
	n, err := r.ReadSeekCloser.Seek(offset, whence)
	if err == nil {
		r.offset = n
	}
	return n, err
}
