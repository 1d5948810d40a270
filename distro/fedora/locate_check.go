package fedora

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/lockfile"
)

// A refusal says that a file was there and is not to be locked.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// errNoIdentifier says that nothing can be fetched or looked at.
var errNoIdentifier = errors.New("no file can be looked into")

// checkPackage has the file of a record brought and verifies it: its bytes by
// the record, its signature by the keys of the repository, and its header by
// the one that is installed. The error is a [*refusal] where a file was there
// that is not right.
func (l *locating) checkPackage(ctx context.Context, p distro.Package, a sighting, want lockfile.Digest) (lockfile.Digest, error) {
	if l.req.Identifier == nil {
		return lockfile.Digest{}, errNoIdentifier
	}
	identity := "rpm/" + a.record.Checksum.Type + "/" + a.record.Checksum.Hex
	return l.identify(ctx, distro.Unhashed{
		Identity: identity, Size: a.record.Size,
		URLs: append(l.files.named(path.Base(a.record.Location)), l.online(l.urls(a))...),
	}, func(r io.Reader) error {
		sum, err := a.record.Checksum.New()
		if err != nil {
			sum = sha256.New() // a weak one is not worth to be compared
		}
		tee := io.TeeReader(r, sum)
		file, _, err := rpm.Check(tee, a.index.repo.packageKeys)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, tee); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); !want.IsZero() && got != a.record.Checksum.Hex {
			return fmt.Errorf("its %s is %s, and %s is what the index tells", a.record.Checksum.Type, got, a.record.Checksum.Hex)
		}
		return l.isPackage(p, file)
	})
}

// online drops URLs of the network where it must not be reached.
func (l *locating) online(urls []string) []string {
	if l.req.Fetcher == nil {
		return nil
	}
	return urls
}

// isPackage checks that a file is the package that is wanted, and the very
// build that is installed.
func (l *locating) isPackage(p distro.Package, file *rpm.Package) error {
	if got := (distro.Package{Name: file.Name, Version: evr(file.NEVRA), Arch: file.Arch}); got != p {
		return fmt.Errorf("it holds %s", got)
	}
	if same, known := l.sameBuild(p, file); known && !same {
		return errors.New("it is another build than the one that is installed: their headers differ")
	}
	return nil
}

// identify asks for a file and tells apart that it cannot be had from that it
// is not right.
func (l *locating) identify(ctx context.Context, want distro.Unhashed, check func(io.Reader) error) (lockfile.Digest, error) {
	if l.req.Identifier == nil {
		return lockfile.Digest{}, errNoIdentifier
	}
	var wrong error
	want.Check = func(r io.Reader) error {
		tracked := &tracker{r: r}
		err := check(tracked)
		// A body that breaks off says nothing of the file.
		if err != nil && tracked.err == nil {
			wrong = err
		}
		return err
	}
	d, err := l.req.Identifier.Identify(ctx, want)
	if err != nil && wrong != nil {
		return d, &refusal{wrong}
	}
	return d, err
}

// A tracker remembers whether its source failed.
type tracker struct {
	r   io.Reader
	err error
}

// Read implements [io.Reader].
func (t *tracker) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}
