package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// A record says which blobs were made of something, so that they need not be
// made again. It is named by a digest of all that they follow from. The blobs
// are like any others: hashed when they are used, and pruned in their turn. But
// no hash from outside stands behind a record, so one that another user could
// have written counts as none, unless that is root.
//
//	samebits derived 1
//	key 5d1c0b47…
//	label unpacked 8be9df57…
//	<digest>
//	<digest>

const (
	derivedDir  = "derived"
	derivedHead = "samebits derived 1\nkey "
	// maxDerived bounds a record, in bytes: some 60,000 blobs.
	maxDerived = 4 << 20
)

// Derived returns the blobs that were made of what key stands for, in the order
// in which they were given. A record that is not there, or cannot be read, is
// an error that wraps fs.ErrNotExist. Whether the blobs are still there is told
// by Open.
func (c *Cache) Derived(ctx context.Context, key lockfile.Digest) ([]lockfile.Digest, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, blobs, err := c.readDerived(key.String())
	return blobs, err
}

func (c *Cache) readDerived(name string) (label string, blobs []lockfile.Digest, err error) {
	f, err := openBlob(c.path(derivedDir + "/" + name))
	if errors.Is(err, unix.ELOOP) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if err := ownRecord(f); err != nil {
		return "", nil, fmt.Errorf("%s: %w; it counts as %w", f.Name(), err, fs.ErrNotExist)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDerived))
	if err != nil {
		return "", nil, err
	}
	if label, blobs, err = parseDerived(name, string(data)); err != nil {
		err = fmt.Errorf("%s: %w; it counts as %w", f.Name(), err, fs.ErrNotExist)
	}
	return label, blobs, err
}

// ownRecord reports whether nobody but this user and root can have written a
// file.
func ownRecord(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return errors.New("another user can have written it")
	}
	return nil
}

// parseDerived reads a record of this name, which must be whole.
func parseDerived(name, text string) (label string, blobs []lockfile.Digest, err error) {
	rest, ok := strings.CutPrefix(text, derivedHead+name+"\nlabel ")
	if !ok || !strings.HasSuffix(rest, "\n") {
		return "", nil, errors.New("not a record of what was derived")
	}
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	for _, line := range lines[1:] {
		d, ok := blobName(line)
		if !ok {
			return "", nil, fmt.Errorf("%.80q is no digest", line)
		}
		blobs = append(blobs, d)
	}
	if len(blobs) == 0 {
		return "", nil, errors.New("it names no blob")
	}
	return lines[0], blobs, nil
}

// SetDerived records that blobs, which are in the cache, were made of what key
// stands for. The label is for people, such as "root of debian 12 amd64". What
// was recorded under the key before is replaced.
func (c *Cache) SetDerived(ctx context.Context, key lockfile.Digest, label string, blobs []lockfile.Digest) error {
	text := derivedHead + key.String() + "\nlabel " + strings.Map(printable, label) + "\n"
	for _, d := range blobs {
		text += d.String() + "\n"
	}
	if len(text) > maxDerived {
		return fmt.Errorf("record what was derived: %d blobs are too many", len(blobs))
	}
	return c.exclusive(ctx, func() error {
		if err := os.MkdirAll(c.path(derivedDir), dirMode); err != nil {
			return c.explain(err)
		}
		f, err := os.CreateTemp(c.path(derivedDir), ".new-")
		if err != nil {
			return c.explain(err)
		}
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Chmod(blobMode), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), c.path(derivedDir+"/"+key.String()))
		}
		if err != nil {
			return errors.Join(c.explain(err), os.Remove(f.Name()))
		}
		return nil
	})
}

// printable leaves out of a label what would make another line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// derivedNames are the labels of blobs that were derived.
func (c *Cache) derivedNames() (map[lockfile.Digest][]string, error) {
	names := map[lockfile.Digest][]string{}
	err := c.each(derivedDir, func(path string, info fs.FileInfo) error {
		label, blobs, err := c.readDerived(info.Name())
		if _, named := blobName(info.Name()); err != nil || !named {
			return nil // prune removes it
		}
		for i, d := range blobs {
			name := label
			if len(blobs) > 1 {
				name = fmt.Sprintf("%s, part %d of %d", label, i+1, len(blobs))
			}
			names[d] = append(names[d], name)
		}
		return nil
	})
	return names, err
}

// pruneDerived removes records that are of no use: what they name is not all
// there, they cannot be read, or whoever wrote them died. The caller has the
// exclusive lock.
func (c *Cache) pruneDerived(out *Pruned, dryRun bool) error {
	gone := map[lockfile.Digest]bool{}
	for _, b := range out.Blobs {
		gone[b.Digest] = true
	}
	return c.each(derivedDir, func(path string, info fs.FileInfo) error {
		_, named := blobName(info.Name())
		_, blobs, err := c.readDerived(info.Name())
		useful := err == nil && named
		for _, d := range blobs {
			useful = useful && c.Has(d) && !gone[d]
		}
		if useful {
			return nil
		}
		out.Leftovers++
		out.LeftoverBytes += info.Size()
		if dryRun {
			return nil
		}
		return c.explain(os.RemoveAll(path))
	})
}
