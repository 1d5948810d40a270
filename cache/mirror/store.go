package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/lockfile"
)

// touchEvery is how exactly the time of a blob's last use is kept.
const touchEvery = time.Hour

// store is the package cache as a mirror uses it: for long, and often for the
// same blob. A blob is hashed the first time that it is served and then no
// more while its file stays the same.
type store struct {
	dir string

	mu  sync.Mutex
	cur *handle

	checkedMu sync.RWMutex
	checked   map[lockfile.Digest]fileID

	// evicting is held for reading while a blob appears, and for writing while
	// blobs are removed. recent are those that appeared since something began
	// to look for what may go; nil if nothing does.
	evicting sync.RWMutex
	recentMu sync.Mutex
	recent   map[lockfile.Digest]bool
}

// A handle is an open cache. What was asked for through it is safe from
// eviction, so it is replaced before anything is evicted.
type handle struct {
	*cache.Cache
	refs    int
	retired bool
}

// fileID tells a file from others that have or had its name, and from what it
// was before someone wrote to it. Inodes are used again at once, with the sizes
// that they had; the time of the last change cannot be set.
type fileID struct {
	dev, ino uint64
	size     int64
	changed  int64 // in nanoseconds
}

func openStore(dir string) (*store, error) {
	c, err := cache.Open(dir)
	if err != nil {
		return nil, err
	}
	return &store{dir: c.Dir(), cur: &handle{Cache: c}, checked: map[lockfile.Digest]fileID{}}, nil
}

// acquire returns the open cache; release gives it back.
func (s *store) acquire() (c *cache.Cache, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.cur
	h.refs++
	return h.Cache, func() { s.release(h) }
}

func (s *store) release(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.refs--
	if h.retired && h.refs == 0 {
		h.Close()
	}
}

// rotate gives up the claim on all that nobody is just using.
func (s *store) rotate() error {
	c, err := cache.Open(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.cur
	s.cur = &handle{Cache: c}
	if old.retired = true; old.refs == 0 {
		return old.Close()
	}
	return nil
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur.Close()
}

// commit has a blob appear, so that it is either seen by who looks for what may
// be evicted, or known to be recent.
func (s *store) commit(d lockfile.Digest, commit func() error) error {
	s.evicting.RLock()
	defer s.evicting.RUnlock()
	err := commit()
	s.recentMu.Lock()
	defer s.recentMu.Unlock()
	if s.recent != nil && err == nil {
		s.recent[d] = true
	}
	return err
}

// watch notes what appears from now on, until the returned function is called.
// Only one may watch at a time.
func (s *store) watch() (stop func()) {
	set := func(m map[lockfile.Digest]bool) {
		s.recentMu.Lock()
		defer s.recentMu.Unlock()
		s.recent = m
	}
	set(map[lockfile.Digest]bool{})
	return func() { set(nil) }
}

func (s *store) blobPath(d lockfile.Digest) string { return s.dir + "/blobs/sha256/" + d.String() }

func (s *store) partialPath(d lockfile.Digest) string { return s.dir + "/partial/" + d.String() }

func (s *store) has(d lockfile.Digest) bool {
	_, err := os.Lstat(s.blobPath(d))
	return err == nil
}

func idOf(info fs.FileInfo) fileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{uint64(st.Dev), st.Ino, st.Size, st.Ctim.Nano()}
}

// open opens a blob for reading. An error that wraps fs.ErrNotExist says that
// it is not there, or was damaged and is there no more.
func (s *store) open(ctx context.Context, d lockfile.Digest) (*os.File, fs.FileInfo, error) {
	// Who put a pipe there is not waited for.
	f, err := os.OpenFile(s.blobPath(d), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	s.checkedMu.RLock()
	known, ok := s.checked[d]
	s.checkedMu.RUnlock()
	if ok && known == idOf(info) {
		if now := time.Now(); now.Sub(info.ModTime()) > touchEvery {
			s.touch(d, f, now)
		}
		return f, info, nil
	}
	f.Close()
	return s.openChecked(ctx, d)
}

// touch notes on the disk that an open blob was used.
func (s *store) touch(d lockfile.Digest, f *os.File, now time.Time) {
	if os.Chtimes(f.Name(), time.Time{}, now) != nil {
		return // as on a disk that is read-only
	}
	if info, err := f.Stat(); err == nil {
		s.remember(d, info)
	}
}

func (s *store) openChecked(ctx context.Context, d lockfile.Digest) (*os.File, fs.FileInfo, error) {
	c, release := s.acquire()
	defer release()
	f, err := c.Open(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	s.remember(d, info)
	return f, info, nil
}

func (s *store) remember(d lockfile.Digest, info fs.FileInfo) {
	s.checkedMu.Lock()
	defer s.checkedMu.Unlock()
	s.checked[d] = idOf(info)
}

// arrived notes that a blob has just been hashed on its way in.
func (s *store) arrived(d lockfile.Digest) {
	if info, err := os.Lstat(s.blobPath(d)); err == nil {
		s.remember(d, info)
	}
}

func (s *store) forget(blobs []cache.Blob) {
	s.checkedMu.Lock()
	defer s.checkedMu.Unlock()
	for _, b := range blobs {
		delete(s.checked, b.Digest)
	}
}

// put stores a small file.
func (s *store) put(ctx context.Context, data []byte) (lockfile.Digest, error) {
	d := lockfile.DigestOf(data)
	c, release := s.acquire()
	defer release()
	p, err := c.Begin(ctx, d)
	if err != nil || p == nil {
		return d, err
	}
	defer p.Close()
	if err := p.Reset(); err != nil {
		return d, err
	}
	if _, err := p.Write(data); err != nil {
		return d, err
	}
	if err := s.commit(d, p.Commit); err != nil {
		return d, err
	}
	s.arrived(d)
	return d, nil
}

// read returns the bytes of a small blob.
func (s *store) read(ctx context.Context, d lockfile.Digest, limit int64) ([]byte, error) {
	f, info, err := s.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, fmt.Errorf("blob %s has %d bytes, which is more than %d", d, info.Size(), limit)
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil && len(data) > 0 {
		return nil, err
	}
	return data, nil
}

// missing reports whether an error says that a file is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func (s *store) size(d lockfile.Digest) (int64, error) {
	info, err := os.Lstat(s.blobPath(d))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func digestOf(r io.Reader) (d lockfile.Digest, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(d[:0])
	return d, err
}
