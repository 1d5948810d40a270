package fetchtest

import (
	"context"
	"errors"
	"sync"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// A Store keeps files in memory. It keeps the contract of [fetch.Store], and
// fails on request. The zero Store is empty and ready.
type Store struct {
	// WriteError, where set, is asked before each write with the number of
	// bytes that the partial would have after it.
	WriteError func(d lockfile.Digest, size int64) error
	mu         sync.Mutex
	files      map[lockfile.Digest][]byte
	partials   map[lockfile.Digest][]byte
	held       map[lockfile.Digest]chan struct{}
}

// Put brings a file into the store.
func (s *Store) Put(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.files[lockfile.DigestOf(data)] = data
}

// PutPartial leaves bytes of a file as an earlier run would.
func (s *Store) PutPartial(d lockfile.Digest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.partials[d] = append([]byte(nil), data...)
}

// Get returns a file, or nil.
func (s *Store) Get(d lockfile.Digest) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[d]
}

// Partial returns the bytes that are there of an unfinished file.
func (s *Store) Partial(d lockfile.Digest) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.partials[d]...)
}

// Held reports how many files are being filled in.
func (s *Store) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

func (s *Store) init() {
	if s.files == nil {
		s.files = map[lockfile.Digest][]byte{}
		s.partials = map[lockfile.Digest][]byte{}
		s.held = map[lockfile.Digest]chan struct{}{}
	}
}

// Begin implements [fetch.Store].
func (s *Store) Begin(ctx context.Context, d lockfile.Digest) (fetch.Partial, error) {
	for {
		s.mu.Lock()
		s.init()
		_, present := s.files[d]
		free, held := s.held[d]
		if !present && !held {
			s.held[d] = make(chan struct{})
		}
		s.mu.Unlock()
		switch {
		case present:
			return nil, nil
		case !held:
			return &partial{store: s, digest: d}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-free:
		}
	}
}

type partial struct {
	store  *Store
	digest lockfile.Digest
	closed bool
}

func (p *partial) Write(b []byte) (int, error) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	old := p.store.partials[p.digest]
	if f := p.store.WriteError; f != nil {
		if err := f(p.digest, int64(len(old)+len(b))); err != nil {
			return 0, err
		}
	}
	p.store.partials[p.digest] = append(old, b...)
	return len(b), nil
}

func (p *partial) Offset() int64 {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return int64(len(p.store.partials[p.digest]))
}

func (p *partial) Reset() error {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	delete(p.store.partials, p.digest)
	return nil
}

func (p *partial) Commit() error {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	data := p.store.partials[p.digest]
	delete(p.store.partials, p.digest)
	if got := lockfile.DigestOf(data); got != p.digest {
		return &lockfile.DigestError{Want: p.digest, Got: got, Size: int64(len(data))}
	}
	p.store.files[p.digest] = data
	return nil
}

func (p *partial) Close() error {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if p.closed {
		return errors.New("the partial is closed twice")
	}
	p.closed = true
	close(p.store.held[p.digest])
	delete(p.store.held, p.digest)
	return nil
}
