package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

const (
	// rounds is how often all places of a file are gone through.
	rounds = 3
	// resumes is how often one place may drop a body in one round, if each
	// time some bytes came.
	resumes = 5
	// littleHad is how few bytes of an earlier try are sooner fetched again
	// than gone on with: they may be the page of some proxy, and whoever was
	// sent what came after them would have to be cut off.
	littleHad = 1 << 20
	// maxBusy is the longest that a server's wish to be left alone is kept
	// waiting for.
	maxBusy = 15 * time.Second
)

// copyBuffers are for bodies on their way in and out.
var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// A sizeError says that a place has a file of another size.
type sizeError struct{ want, got int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("it has %d bytes and not %d", e.got, e.want)
}

// fill goes through the places until one has given all bytes. The error wraps
// fs.ErrNotExist where every place answered that it does not have the file,
// or has another one by its name.
func (f *flight) fill(ctx context.Context, m *Mirror, partial fetch.Partial) error {
	p := progress{partial, f, m}
	f.change(func() { f.have = p.Offset() })
	if f.want.size >= 0 && p.Offset() >= f.want.size {
		if err := p.Commit(); err == nil {
			return nil
		} else if err := p.Reset(); err != nil {
			return err
		}
	}
	f.places = m.share.before(f.want, f.places, m.digestBehind(f.want))
	if len(f.places) == 0 {
		return fmt.Errorf("nobody is known who has %s: %w", f.path, fs.ErrNotExist)
	}
	out := make([]bool, len(f.places)) // places not to be asked again
	errs := make([]error, len(f.places))
	for round := range rounds {
		asked := false
		for i := range f.places {
			if out[i] {
				continue
			}
			asked = true
			err := f.fromPlace(ctx, m, p, f.places[i])
			if err == nil {
				return nil
			}
			errs[i] = fmt.Errorf("%s: %w", f.places[i].source.Name(), err)
			out[i] = fetch.IsPermanent(err) || isBad(err)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if !asked || round == rounds-1 {
			break
		}
		if err := pause(ctx, busyFor(errs, time.Duration(200<<round)*time.Millisecond)); err != nil {
			return err
		}
	}
	return verdict(errs)
}

// verdict sums up: a file that is nowhere is not there, else the first failure
// counts.
func verdict(errs []error) error {
	for _, err := range errs {
		if !missing(err) && !isBad(err) {
			return &doubtfulError{errors.Join(errs...)}
		}
	}
	return fmt.Errorf("%w: %w", fs.ErrNotExist, errors.Join(errs...))
}

// A doubtfulError says that nobody gave a file and somebody failed, who may
// have it although others do not.
type doubtfulError struct{ error }

func (e *doubtfulError) Unwrap() error { return e.error }

// absent reports whether an error says that a file is nowhere.
func absent(err error) bool { return missing(err) && !errors.As(err, new(*doubtfulError)) }

// isBad reports whether a place gave, or would give, another file.
func isBad(err error) bool {
	return errors.As(err, new(*lockfile.DigestError)) || errors.As(err, new(*sizeError)) || errors.As(err, new(*identityError))
}

func busyFor(errs []error, least time.Duration) time.Duration {
	var busy *fetch.BusyError
	for _, err := range errs {
		if errors.As(err, &busy) {
			least = max(least, min(busy.After, maxBusy))
		}
	}
	return least
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fromPlace gets the file, or what is lacking of it, from one place. A body
// that breaks off is gone on with. Bytes of an earlier try that turn out to
// belong to another file are dropped, and the place is asked for all.
func (f *flight) fromPlace(ctx context.Context, m *Mirror, p progress, pl place) error {
	if p.Offset() > 0 && p.Offset() < littleHad {
		if err := p.Reset(); err != nil {
			return err
		}
	}
	validator, pure := "", p.Offset() == 0
	for try := 0; ; try++ {
		before := p.Offset()
		whole, err := f.once(ctx, m, p, pl, &validator)
		pure = pure || whole
		if err == nil {
			if err = p.Commit(); err == nil {
				f.arrivedFrom(m, pl)
				return nil
			}
			if isBad(err) && !pure && try < resumes {
				pure, validator = true, ""
				continue
			}
		}
		if isBad(err) {
			m.count.badFiles.Add(1)
			m.share.bad(pl)
			m.event(event{what: "refused", prefix: f.up.Prefix, path: pl.path, digest: f.want.digest, size: f.want.size, note: pl.source.Name() + ": " + err.Error()})
			return errors.Join(err, p.Reset())
		}
		if try == resumes || p.Offset() <= before || fetch.IsPermanent(err) || ctx.Err() != nil {
			return err
		}
	}
}

// once sends one request and takes what comes. whole is true where the body
// began at the first byte.
func (f *flight) once(ctx context.Context, m *Mirror, p progress, pl place, validator *string) (whole bool, err error) {
	release, err := f.up.slot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	_, shared := pl.source.(sharedSource)
	if !shared {
		m.count.upstreamGets.Add(1)
	}
	defer func() {
		if !shared && err != nil && !missing(err) {
			m.count.upstreamFails.Add(1)
		}
	}()
	body, err := pl.source.Open(ctx, fetch.Request{Entry: lockfile.Entry{Digest: f.want.digest, Path: pl.path}, Offset: p.Offset(), Validator: *validator})
	if err != nil {
		return false, err
	}
	r := fetch.Watch(ctx, cancel, cmp.Or(m.config.Stall, fetch.DefaultStall), body.ReadCloser)
	defer r.Close()
	if f.want.size >= 0 && body.Size >= 0 && body.Size != f.want.size {
		return false, &sizeError{f.want.size, body.Size}
	}
	if body.Offset != p.Offset() {
		if err := p.Reset(); err != nil {
			return false, err
		}
	}
	*validator = body.Validator
	size := f.want.size
	if size < 0 {
		if size = body.Size; size > m.config.MaxFile {
			return false, &sizeError{m.config.MaxFile, size}
		}
		f.change(func() { f.size = size })
	}
	return body.Offset == 0, f.copy(p, r, size, m.config.MaxFile)
}

// copy takes a body in. size is how long the file must be, or -1.
func (f *flight) copy(p progress, r io.Reader, size, limit int64) error {
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if size >= 0 && p.Offset()+int64(n) > size || p.Offset()+int64(n) > limit {
			return &sizeError{size, p.Offset() + int64(n)}
		}
		if n > 0 {
			if _, err := p.Write(buf[:n]); err != nil {
				return fetch.Permanent(err)
			}
		}
		switch {
		case err == io.EOF && size >= 0 && p.Offset() < size:
			return fmt.Errorf("the body ends after %d of %d bytes: %w", p.Offset(), size, io.ErrUnexpectedEOF)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (f *flight) arrivedFrom(m *Mirror, pl place) {
	m.event(event{what: "got", prefix: f.up.Prefix, path: pl.path, digest: f.want.digest, size: f.view().have, note: pl.source.Name()})
}
