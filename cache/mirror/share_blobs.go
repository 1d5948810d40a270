package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

const (
	queueDir = "queue" // an empty file for each blob that is yet to be uploaded
	// seededFile says that what the cache had before is in the store.
	seededFile = "seeded"
	// maxUploads is how many blobs are uploaded at a time.
	maxUploads = 4
	// uploadPace is how many bytes a second an upload makes at least.
	uploadPace = 64 << 10
)

// A sharedSource asks the store for a blob before upstream is asked. A store
// in trouble is one that does not have it.
type sharedSource struct {
	s      *sharing
	digest lockfile.Digest
}

func (c sharedSource) Name() string { return c.s.store.Name() }

func (c sharedSource) Serves(lockfile.Entry) bool { return true }

func (c sharedSource) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	req.Entry.Digest = c.digest
	body, err := c.open(ctx, req)
	if err = c.s.note(err); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%v: %w", err, fs.ErrNotExist)
	}
	if err == nil {
		c.s.hits.Add(1)
	}
	return body, err
}

// open bounds the time until a body begins. How it goes on the flight watches.
func (c sharedSource) open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(lookTime, cancel)
	body, err := c.s.store.Open(ctx, req)
	if !late.Stop() && err != nil {
		err = errors.New("it does not answer in time")
	}
	if err != nil {
		cancel()
		return nil, err
	}
	body.ReadCloser = endingBody{body.ReadCloser, cancel}
	return body, nil
}

// endingBody ends its request when it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (b endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// before puts the store before the places of a file, or after them while it
// fails. d is the file's digest as far as it is known.
func (s *sharing) before(w want, places []place, d lockfile.Digest) []place {
	if s == nil || d.IsZero() || s.m.offline.Load() {
		return places
	}
	mine := place{sharedSource{s, d}, "blobs/sha256/" + d.String()}
	if s.down() {
		return append(places[:len(places):len(places)], mine)
	}
	return append([]place{mine}, places...)
}

// bad notes that a place gave another file than it should. One in the store is
// replaced when the right one is had.
func (s *sharing) bad(pl place) {
	if c, ok := pl.source.(sharedSource); ok {
		s.badCount.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.damaged[c.digest] = true
	}
}

func (s *sharing) openQueue() error {
	entries, err := os.ReadDir(s.path(queueDir))
	for _, e := range entries {
		if d, err := lockfile.ParseDigest(e.Name()); err == nil {
			s.queue[d] = true
		}
	}
	return err
}

// arrived has blobs uploaded, also after a restart.
func (s *sharing) arrived(blobs ...lockfile.Digest) {
	if s == nil {
		return
	}
	for _, d := range blobs {
		if err := os.WriteFile(s.path(queueDir+"/"+d.String()), nil, 0o644); err != nil {
			s.m.config.Log.Error("cannot note a file for the store", "error", err)
		}
		s.mu.Lock()
		s.queue[d] = true
		s.mu.Unlock()
	}
	poke(s.wake)
}

// uploadQueue uploads what has arrived, and at first what had before.
func (s *sharing) uploadQueue(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	var due []lockfile.Digest
	for d := range s.queue {
		due = append(due, d)
	}
	s.mu.Unlock()
	err := s.uploadAll(ctx, due)
	if err != nil || len(due) > 0 {
		return err
	}
	return s.seed(ctx)
}

func (s *sharing) uploadAll(ctx context.Context, due []lockfile.Digest) error {
	var g errgroup.Group
	g.SetLimit(maxUploads)
	for _, d := range due {
		if s.down() || ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := s.upload(ctx, d); err != nil && !missing(err) {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.queue, d)
			_ = os.Remove(s.path(queueDir + "/" + d.String()))
			return nil
		})
	}
	return g.Wait()
}

// seed uploads what the cache has when a store is first used.
func (s *sharing) seed(ctx context.Context) error {
	if _, err := os.Lstat(s.path(seededFile)); err == nil {
		return nil
	}
	c, release := s.m.store.acquire()
	blobs, err := c.List(ctx)
	release()
	if err != nil {
		return err
	}
	var due []lockfile.Digest
	for _, b := range blobs {
		due = append(due, b.Digest)
	}
	if err := s.uploadAll(ctx, due); err != nil {
		return err
	}
	if s.down() || ctx.Err() != nil {
		return ctx.Err()
	}
	return s.m.state.replace(s.file(seededFile), nil)
}

// upload puts a blob of the cache into the store unless it is there.
func (s *sharing) upload(ctx context.Context, d lockfile.Digest) error {
	size, err := s.m.store.size(d)
	if err != nil {
		return err
	}
	s.mu.Lock()
	damaged := s.damaged[d]
	s.mu.Unlock()
	if damaged {
		if err := s.note(s.store.Delete(ctx, "blobs/sha256/"+d.String())); err != nil && !missing(err) {
			return err
		}
	}
	f := fetch.File{Entry: lockfile.Entry{Digest: d, Path: "sha256/" + d.String()}, Size: size}
	f.Open = func(ctx context.Context) (io.ReadSeekCloser, error) {
		file, _, err := s.m.store.open(ctx, d)
		if err != nil {
			return nil, err
		}
		return file, nil
	}
	putCtx, cancel := context.WithTimeout(ctx, shareTime+time.Duration(size/uploadPace)*time.Second)
	defer cancel()
	sent, err := s.store.PutBlob(putCtx, f)
	if s.note(err) != nil {
		return err
	}
	if sent {
		s.uploads.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.damaged, d)
	return nil
}

// has reports whether the store has a blob of the size that it has here.
func (s *sharing) has(ctx context.Context, d lockfile.Digest) bool {
	if s == nil || s.down() {
		return false
	}
	here, err := s.m.store.size(d)
	if err != nil {
		return false
	}
	there, err := s.store.Size(ctx, d)
	return s.note(err) == nil && there == here
}

// errLargeRoot is of a root that is larger than any can be.
var errLargeRoot = errors.New("a set of the store names a file that is too large")

// need sees to it that a file of a root is in the cache.
func (s *sharing) need(ctx context.Context, up *upstream, f rootFile) error {
	if s.m.store.has(f.Digest) {
		return nil
	}
	if f.Size < 0 || f.Size > s.m.config.MaxRoot {
		return fmt.Errorf("%s: %w", f.Path, errLargeRoot)
	}
	_, err := s.m.fly(up, want{digest: f.Digest, size: f.Size}, f.Path, nil).wait(ctx)
	return err
}
