package cache

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

func TestPartialResumes(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("hello, world"))
	p, err := c.Begin(ctx, d)
	must(t, err)
	io.WriteString(p, "hello, ")
	must(t, p.Close())

	p, err = c.Begin(ctx, d)
	must(t, err)
	if p.Offset() != 7 {
		t.Fatalf("offset %d", p.Offset())
	}
	if c.Has(d) {
		t.Error("the blob is there before Commit")
	}
	io.WriteString(p, "world")
	must(t, p.Commit())
	must(t, p.Commit())
	if _, err := p.Write([]byte("!")); err == nil {
		t.Error("a complete blob was written to")
	}
	if p.Reset() == nil {
		t.Error("a complete blob was reset")
	}
	must(t, p.Close())
	if p, err := c.Begin(ctx, d); p != nil || err != nil {
		t.Errorf("Begin of what is there: %v, %v", p, err)
	}
	_, err = c.Path(ctx, d)
	must(t, err)
	wantEmpty(t, c, partialDir)
}

func TestPartialWrongBytes(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("right"))
	p, err := c.Begin(ctx, d)
	must(t, err)
	io.WriteString(p, "wrong!")
	var bad *lockfile.DigestError
	if err := p.Commit(); !errors.As(err, &bad) || bad.Want != d || bad.Size != 6 {
		t.Fatalf("got %v", err)
	}
	if p.Offset() != 0 || c.Has(d) {
		t.Errorf("offset %d, in the cache: %v", p.Offset(), c.Has(d))
	}
	io.WriteString(p, "right")
	must(t, p.Commit())
	must(t, p.Close())
	wantEmpty(t, c, partialDir)
}

func TestPartialReset(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("ab"))
	p, err := c.Begin(ctx, d)
	must(t, err)
	io.WriteString(p, "zzz")
	must(t, p.Reset())
	io.WriteString(p, "ab")
	must(t, errors.Join(p.Commit(), p.Close()))
	p, err = c.Begin(ctx, lockfile.DigestOf([]byte("never")))
	must(t, err)
	io.WriteString(p, "x")
	must(t, errors.Join(p.Reset(), p.Close()))
	wantEmpty(t, c, partialDir)
}

func TestBeginWaits(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("x"))
	p, err := c.Begin(ctx, d)
	must(t, err)
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if _, err := c.Begin(short, d); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	done := make(chan error)
	go func() {
		p, err := c.Begin(ctx, d)
		if p != nil {
			err = errors.New("the right was given for a blob that is there")
		}
		done <- err
	}()
	io.WriteString(p, "x")
	must(t, errors.Join(p.Commit(), p.Close()))
	must(t, <-done)
}

// TestLockOfFileThatWentAway is the case of one that waited for the lock of a
// file which its holder then removed, and another made anew.
func TestLockOfFileThatWentAway(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("x"))
	name := c.path(partialDir + "/" + d.String())
	waiter, err := os.Create(name)
	must(t, err)
	defer waiter.Close()
	for range 2 {
		os.Remove(name)
		if ok, err := (&Partial{c: c, f: waiter}).lock(ctx); ok || err != nil {
			t.Errorf("got the right to a removed file (%v)", err)
		}
		must(t, os.WriteFile(name, nil, 0o644))
		if ok, err := (&Partial{c: c, f: waiter}).lock(ctx); ok || err != nil {
			t.Errorf("got the right to another's file (%v)", err)
		}
	}
}

func TestClaimOfWhatCameMeanwhile(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "x")
	if p, err := c.claim(ctx, d); p != nil || err != nil {
		t.Errorf("got %v, %v", p, err)
	}
	wantEmpty(t, c, partialDir)
}

// TestGoroutinesRace has many goroutines give up, reset, fail and complete the
// same blobs: no two may hold the right to one at once.
func TestGoroutinesRace(t *testing.T) {
	c := open(t, t.TempDir())
	texts := []string{"one", "two", "three"}
	holders := make([]atomic.Int32, len(texts))
	commits := make([]atomic.Int32, len(texts))
	var wg sync.WaitGroup
	for g := range 24 {
		wg.Go(func() {
			for try := 0; ; try++ {
				i := (g + try) % len(texts)
				d := lockfile.DigestOf([]byte(texts[i]))
				p, err := c.Begin(ctx, d)
				if err != nil {
					t.Error(err)
					return
				}
				if p == nil {
					return
				}
				if holders[i].Add(1) != 1 {
					t.Error("two hold the right at once")
				}
				switch {
				case try == 0: // gives up with nothing written
				case try == 1:
					io.WriteString(p, "junk")
					if p.Commit() == nil {
						t.Error("junk was committed")
					}
				default:
					if err := errors.Join(p.Reset(), write(p, texts[i]), p.Commit()); err != nil {
						t.Error(err)
					}
					commits[i].Add(1)
				}
				holders[i].Add(-1)
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range commits {
		if n := commits[i].Load(); n > 1 {
			t.Errorf("%s was completed %d times", texts[i], n)
		}
	}
	wantEmpty(t, c, partialDir)
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func TestSyncSweeps(t *testing.T) {
	c := open(t, t.TempDir())
	done := add(t, c, "done")
	part := func(text string, age time.Duration) string {
		name := c.path(partialDir + "/" + lockfile.DigestOf([]byte(text)).String())
		must(t, os.WriteFile(name, []byte(text[:len(text)/2]), 0o644))
		at := time.Now().Add(-age)
		must(t, os.Chtimes(name, at, at))
		return name
	}
	part("done", 0)
	part("", 0)
	part("old one", 2*staleAfter)
	recent := part("recent", time.Hour)
	must(t, os.WriteFile(c.path(leasesDir+"/1234"), nil, 0o600))
	busy, err := c.Begin(ctx, lockfile.DigestOf([]byte("busy")))
	must(t, err)
	must(t, c.Sync(ctx))
	if got := files(t, c, partialDir); len(got) != 2 {
		t.Errorf("left: %v", got)
	}
	if _, err := os.Stat(recent); err != nil {
		t.Error("what can be gone on with was removed")
	}
	must(t, errors.Join(write(busy, "busy"), busy.Commit(), busy.Close()))
	if !c.Has(done) {
		t.Error("the blob went away")
	}
	if got := files(t, c, leasesDir); len(got) != 1 {
		t.Errorf("leases: %v", got)
	}
	must(t, c.Close())
	wantEmpty(t, c, leasesDir)
}
