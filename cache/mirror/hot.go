package mirror

import (
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samebits/samebits/lockfile"
)

const (
	// smallFile is up to which size, in bytes, a file is kept in memory: for
	// those, sendfile costs more than it saves.
	smallFile = 48 << 10
	// maxHot bounds the memory of hotFiles, in bytes, and maxOpen the files
	// that it holds open.
	maxHot  = 8 << 20
	maxOpen = 128
	// hotOverhead is what an entry takes besides its data, in bytes.
	hotOverhead = 640
	// lookAgain is after how long an open file is opened anew, so that one
	// that was removed, or set aside as damaged, is not served for long.
	lookAgain = 10 * time.Second
)

// hotFiles holds files that were served lately: small ones in memory, others
// open, with what their header fields say. An entry is let go after
// touchEvery, or lookAgain, so that the time of a blob's last use is kept on
// disk too.
type hotFiles struct {
	mu    sync.RWMutex
	m     map[lockfile.Digest]*hotFile
	bytes int
	open  int
}

// A hotFile is a file that was checked. Nothing of it changes.
type hotFile struct {
	data  []byte   // all of it, or
	file  *os.File // where it is
	fd    int
	size  int64
	until time.Time
	refs  atomic.Int32 // of the map and of requests; the last one closes it

	stamp                  time.Time
	etag, modified, length []string // values of header fields
}

// newHotFile takes an open file over. Small ones are read and closed.
func newHotFile(d lockfile.Digest, file *os.File, size int64) (*hotFile, error) {
	h := &hotFile{size: size, stamp: stampOf(d), etag: []string{`"` + d.String() + `"`}, length: []string{strconv.FormatInt(size, 10)}}
	h.modified = []string{h.stamp.Format(http.TimeFormat)}
	h.refs.Store(1)
	if size > smallFile {
		h.file, h.fd, h.until = file, int(file.Fd()), time.Now().Add(lookAgain)
		return h, nil
	}
	defer file.Close()
	h.data, h.until = make([]byte, size), time.Now().Add(touchEvery)
	if size == 0 {
		return h, nil
	}
	_, err := file.ReadAt(h.data, 0)
	return h, err
}

func (h *hotFile) payload() *payload {
	return &payload{data: h.data, file: h.file, fd: h.fd, size: h.size}
}

func (h *hotFile) release() {
	if h.refs.Add(-1) == 0 && h.file != nil {
		h.file.Close()
	}
}

// get returns a file, or nil. The caller releases it.
func (s *hotFiles) get(d lockfile.Digest) *hotFile {
	s.mu.RLock()
	h := s.m[d]
	if h != nil {
		h.refs.Add(1)
	}
	s.mu.RUnlock()
	if h != nil && time.Now().After(h.until) {
		h.release()
		return nil
	}
	return h
}

// put keeps a file for others, who share it with the caller.
func (s *hotFiles) put(d lockfile.Digest, h *hotFile) {
	h.refs.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[lockfile.Digest]*hotFile{}
	}
	s.drop(d)
	// Whatever the map yields first goes: it has no order.
	for old, o := range s.m {
		if s.bytes+h.cost() <= maxHot && (h.file == nil || s.open < maxOpen) {
			break
		}
		if h.file == nil || o.file != nil || s.bytes+h.cost() > maxHot {
			s.drop(old)
		}
	}
	s.m[d] = h
	s.bytes += h.cost()
	if h.file != nil {
		s.open++
	}
}

func (h *hotFile) cost() int { return len(h.data) + hotOverhead }

// drop forgets a file. The caller has s.mu.
func (s *hotFiles) drop(d lockfile.Digest) {
	h := s.m[d]
	if h == nil {
		return
	}
	delete(s.m, d)
	s.bytes -= h.cost()
	if h.file != nil {
		s.open--
	}
	h.release()
}

// tidy lets go of what has had its time.
func (s *hotFiles) tidy(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, h := range s.m {
		if now.After(h.until) {
			s.drop(d)
		}
	}
}

// clear lets go of all.
func (s *hotFiles) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.m {
		s.drop(d)
	}
}
