package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// An identityError says that a file is not the one that an identity is of.
type identityError struct{ err error }

func (e *identityError) Error() string { return e.err.Error() }
func (e *identityError) Unwrap() error { return e.err }

// identities remembers which digest the file of an identity turned out to
// have. Lines of "<identity> <digest>" are only ever added.
type identities struct {
	lines *lineFile
	mu    sync.Mutex
	known map[[32]byte]lockfile.Digest
	// pinned is of how many of them the frozen sets have been told.
	pinned int
}

func openIdentities(name string) (*identities, error) {
	// What a mirror that was killed had begun to fetch is of no use.
	partial := filepath.Join(filepath.Dir(name), partialDir)
	begun, _ := os.ReadDir(partial)
	for _, e := range begun {
		_ = os.Remove(filepath.Join(partial, e.Name()))
	}
	lines, err := openLines(name)
	if err != nil {
		return nil, err
	}
	ids := &identities{lines: lines, known: map[[32]byte]lockfile.Digest{}}
	data, err := io.ReadAll(io.NewSectionReader(lines.f, 0, lines.size))
	for line := range strings.Lines(string(data)) {
		id, digest, _ := strings.Cut(strings.TrimSpace(line), " ")
		raw, err1 := hex.DecodeString(id)
		d, err2 := lockfile.ParseDigest(digest)
		if err1 == nil && err2 == nil && len(raw) == 32 {
			ids.known[[32]byte(raw)] = d
		}
	}
	return ids, err
}

func (i *identities) get(id [32]byte) (lockfile.Digest, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	d, ok := i.known[id]
	return d, ok
}

func (i *identities) put(id [32]byte, d lockfile.Digest) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known[id] == d {
		return nil
	}
	i.known[id] = d
	_, err := i.lines.add([]byte(hex.EncodeToString(id[:]) + " " + d.String() + "\n"))
	return err
}

// fetchIdentity gets a file of which no SHA-256 is known: it grows in the
// mirror's own directory and goes into the cache when the format's Check has
// found it to be right.
func (f *flight) fetchIdentity(ctx context.Context, m *Mirror) (lockfile.Digest, error) {
	if checker, ok := f.up.Format.(Checker); !ok || !checker.Checks(f.path) {
		return lockfile.Digest{}, fetch.Permanent(fmt.Errorf("nothing is known to check %s by", f.path))
	}
	name := m.state.path(partialDir, lockfile.DigestOf([]byte(f.key)).String())
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return lockfile.Digest{}, err
	}
	defer os.Remove(name)
	p := &identityPartial{ctx: ctx, m: m, f: f, file: file}
	defer p.Close()
	reading, err := os.Open(name)
	if err != nil {
		return lockfile.Digest{}, err
	}
	f.change(func() { f.file = reading })
	err = f.fill(ctx, m, p)
	return p.digest, err
}

// identityPartial is a fetch.Partial of a file known by an identity.
type identityPartial struct {
	ctx    context.Context
	m      *Mirror
	f      *flight
	file   *os.File
	size   int64
	digest lockfile.Digest
}

func (p *identityPartial) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	return n, err
}

func (p *identityPartial) Offset() int64 { return p.size }

func (p *identityPartial) Reset() error {
	p.size = 0
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(err, p.file.Truncate(0))
}

func (p *identityPartial) Close() error { return p.file.Close() }

// Commit hashes the file, which has been checked, and copies it into the cache.
func (p *identityPartial) Commit() error {
	whole := func() io.Reader { return io.NewSectionReader(p.file, 0, p.size) }
	d, err := p.m.store.take(p.ctx, whole)
	if err != nil {
		return err
	}
	p.digest = d
	return p.m.identities.put(p.f.want.identity, d)
}

// take puts a file into the cache that can be read twice.
func (s *store) take(ctx context.Context, whole func() io.Reader) (lockfile.Digest, error) {
	d, err := digestOf(whole())
	if err != nil {
		return d, err
	}
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
	if _, err := io.Copy(p, whole()); err != nil {
		return d, err
	}
	if err := s.commit(d, p.Commit); err != nil {
		return d, err
	}
	s.arrived(d)
	return d, nil
}

// event records what happened, in the journal and the log.
func (m *Mirror) event(e event) {
	if err := m.journal.record(time.Now(), e); err != nil {
		m.config.Log.Error("cannot write the journal", "error", err)
	}
	args := []any{"prefix", e.prefix, "path", e.path}
	if e.note != "" {
		args = append(args, "note", e.note)
	}
	switch e.what {
	case "refused", "changed":
		m.config.Log.Warn(e.what, args...)
	case "got", "evicted":
		m.config.Log.Debug(e.what, args...)
	default:
		m.config.Log.Info(e.what, args...)
	}
}
