package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

func (c *Cache) blobPath(d lockfile.Digest) string { return c.path(blobsPath + "/" + d.String()) }

// Has reports whether there is a blob with this digest. It does not look at
// its bytes, and makes no claim on it: another process may remove it.
func (c *Cache) Has(d lockfile.Digest) bool {
	_, err := os.Lstat(c.blobPath(d))
	return err == nil
}

// Size returns the length of a blob in bytes. A blob that is not there is an
// error that wraps fs.ErrNotExist.
func (c *Cache) Size(d lockfile.Digest) (int64, error) {
	info, err := os.Lstat(c.blobPath(d))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Path returns the path of a blob whose bytes have been hashed just now, and
// which Prune leaves alone until the Cache is closed. A blob that is not there
// is an error that wraps fs.ErrNotExist, and so is a [*DamagedError].
func (c *Cache) Path(ctx context.Context, d lockfile.Digest) (string, error) {
	f, err := c.Open(ctx, d)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// Open opens a blob whose bytes have been hashed just now, at its beginning.
// Errors are those of Path. The caller closes the file and does not write.
func (c *Cache) Open(ctx context.Context, d lockfile.Digest) (*os.File, error) {
	f, err := c.use(ctx, d)
	if err != nil {
		return nil, err
	}
	err = checkBlob(ctx, f, d)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		err = c.judge(f, d, err)
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkBlob hashes an open blob.
func checkBlob(ctx context.Context, f *os.File, want lockfile.Digest) error {
	if info, err := f.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	h := sha256.New()
	n, err := hashAll(ctx, h, f)
	if err != nil {
		return err
	}
	var got lockfile.Digest
	if h.Sum(got[:0]); got != want {
		return &lockfile.DigestError{Want: want, Got: got, Size: n}
	}
	return nil
}

// judge says what an error of checkBlob means. Bytes that are wrong or cannot
// be read from the disk make a blob damaged; that the caller gave up does not.
func (c *Cache) judge(f *os.File, d lockfile.Digest, err error) error {
	var digest *lockfile.DigestError
	if !errors.As(err, &digest) && !errors.Is(err, unix.EIO) && !notRegular(f) {
		return err
	}
	aside, moveErr := c.setAside(f, d)
	if moveErr != nil {
		err = errors.Join(err, moveErr)
	}
	return &DamagedError{Digest: d, SetAside: aside, Err: err}
}

func notRegular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && !info.Mode().IsRegular()
}

// setAside moves the open blob out of the store, unless its name has come to
// lead to another file, which someone fetched in the meantime.
func (c *Cache) setAside(f *os.File, d lockfile.Digest) (string, error) {
	aside := c.path(damagedDir + "/" + d.String())
	err := c.exclusive(context.Background(), func() error {
		if ok, err := inPlace(f); err != nil || !ok {
			return err
		}
		err := os.Rename(f.Name(), aside)
		if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, fs.ErrExist) {
			// One of the two is a directory, which someone put in a blob's place.
			if err = os.RemoveAll(aside); err == nil {
				err = os.Rename(f.Name(), aside)
			}
		}
		return c.explain(err)
	})
	if err != nil {
		return "", err
	}
	return aside, nil
}

// use opens a blob, records that it is used now, and sees to it that Prune
// leaves it alone until the Cache is closed.
func (c *Cache) use(ctx context.Context, d lockfile.Digest) (*os.File, error) {
	leased, err := c.ensureLease(ctx)
	if err != nil {
		return nil, err
	}
	var f *os.File
	err = c.shared(ctx, func() error {
		var err error
		if f, err = openBlob(c.blobPath(d)); err != nil {
			return err
		}
		touched := os.Chtimes(f.Name(), time.Time{}, time.Now()) == nil
		if !leased || !touched {
			return c.hold(f.Name())
		}
		return nil
	})
	if err != nil && f != nil {
		f.Close()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openBlob opens without following a link and without waiting for a writer of
// a pipe that someone put there.
func openBlob(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
