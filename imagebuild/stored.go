package imagebuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// A Store keeps assembled roots between builds. What it returns may have been
// written by another program or be damaged: Open hashes it.
type Store interface {
	// Derived returns the blobs recorded under a key. One that has none is an
	// error that wraps fs.ErrNotExist.
	Derived(ctx context.Context, key lockfile.Digest) ([]lockfile.Digest, error)
	// SetDerived records blobs under a key, with a label for people.
	SetDerived(ctx context.Context, key lockfile.Digest, label string, blobs []lockfile.Digest) error
	// Open opens a blob whose bytes have been hashed just now. One that is not
	// there or was damaged is an error that wraps fs.ErrNotExist.
	Open(ctx context.Context, d lockfile.Digest) (*os.File, error)
	// Add takes in what r has; max is negative and check nil.
	Add(ctx context.Context, r io.Reader, max int64, check func(io.Reader) error) (lockfile.Digest, error)
}

// storedFormat is the version of what is stored of a root: the blob of its
// manifest, then its contents in the order of their inodes, in packs that are
// hashed in parallel.
const (
	storedFormat = 1
	packBytes    = 32 << 20
)

// key stands for all that an assembled root follows from, before anything is
// added to it.
func (p *Plan) key(img *Image) lockfile.Digest {
	h := sha256.New()
	s := p.Lock.System
	fmt.Fprintf(h, "assembled root %d\nprogram %q\nfamily %q\nsystem %q %q %q\nepoch %q\nscripts %t\n",
		storedFormat, p.Program, p.Assembler.Traits().Family, s.Distro, s.Version, s.Arch, img.Epoch.UTC().Format(time.RFC3339Nano), !p.Spec.NoScripts)
	var lines []string
	for _, e := range p.Lock.Entries {
		lines = append(lines, fmt.Sprintf("%s %q\n", e.Digest, e.Path))
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		io.WriteString(h, line)
	}
	return lockfile.Digest(h.Sum(nil))
}

// load returns the root that was stored for the image; nil where there is
// none, or not all of it any more.
func (p *Plan) load(ctx context.Context, img *Image) (*tree.Tree, error) {
	blobs, err := p.Store.Derived(ctx, p.key(img))
	if err != nil {
		return nil, ctx.Err() // what cannot be read is made anew
	}
	files := make([]*os.File, len(blobs))
	group, gctx := errgroup.WithContext(ctx)
	for i, d := range blobs {
		group.Go(func() (err error) {
			files[i], err = p.Store.Open(gctx, d)
			return err
		})
	}
	err = group.Wait()
	for _, f := range files {
		if f != nil {
			img.files = append(img.files, f)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			p.Events.Warning(fmt.Sprintf("what was kept of an earlier build is not whole, and is made anew: %v", err))
			err = nil
		}
		return nil, err
	}
	t, err := unpackStored(files[0], files[1:])
	if err != nil {
		// Its bytes are those that were written, so who wrote them erred.
		p.Events.Warning(fmt.Sprintf("what was kept of an earlier build cannot be read, and is made anew: %v", err))
		return nil, nil
	}
	return t, nil
}

// unpackStored makes a tree of a manifest and the packs of its contents.
func unpackStored(manifest io.Reader, packs []*os.File) (*tree.Tree, error) {
	bare, err := tree.ReadManifest(manifest, nil)
	if err != nil {
		return nil, err
	}
	var all many
	for _, f := range packs {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		all = append(all, part{f, info.Size()})
	}
	at := int64(0)
	t, err := tree.Map(context.Background(), bare, func(_ tree.Node, in tree.Inode) (tree.Inode, error) {
		if in.Mode.IsRegular() && in.Size > 0 {
			in.Content = tree.Section(all, at, in.Size)
			at += in.Size
		}
		return in, nil
	})
	if err == nil && at != all.size() {
		err = fmt.Errorf("the contents have %d bytes, and the manifest tells of %d", all.size(), at)
	}
	return t, err
}

// many are files read as one.
type many []part

type part struct {
	f    io.ReaderAt
	size int64
}

func (m many) size() (n int64) {
	for _, p := range m {
		n += p.size
	}
	return n
}

// ReadAt implements [io.ReaderAt].
func (m many) ReadAt(b []byte, at int64) (n int, err error) {
	for _, p := range m {
		if at >= p.size {
			at -= p.size
			continue
		}
		want := min(int64(len(b)-n), p.size-at)
		got, err := p.f.ReadAt(b[n:n+int(want)], at)
		if n += got; int64(got) < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		at = 0
	}
	return n, io.EOF
}

// save stores an assembled root. It is no error of the build if that fails.
func (p *Plan) save(ctx context.Context, img *Image, t *tree.Tree) {
	err := p.trySave(ctx, img, t)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return // others keep this cache
	}
	if err != nil && ctx.Err() == nil {
		p.Events.Warning(fmt.Sprintf("the assembled root could not be kept for the next build: %v", err))
	}
}

func (p *Plan) trySave(ctx context.Context, img *Image, t *tree.Tree) error {
	var manifest bytes.Buffer
	if err := tree.WriteManifest(&manifest, t); err != nil {
		return err
	}
	first, err := p.Store.Add(ctx, &manifest, -1, nil)
	if err != nil {
		return err
	}
	blobs := []lockfile.Digest{first}
	r := &contents{tree: t}
	defer r.close()
	for !r.atEnd() {
		d, err := p.Store.Add(ctx, io.LimitReader(r, packBytes), -1, nil)
		if err != nil {
			return err
		}
		blobs = append(blobs, d)
	}
	s := p.Lock.System
	label := fmt.Sprintf("root of %s %s %s", s.Distro, s.Version, s.Arch)
	return p.Store.SetDerived(ctx, p.key(img), label, blobs)
}

// contents reads all contents of a tree, one after another.
type contents struct {
	tree *tree.Tree
	next int // of the nodes
	open io.ReadCloser
	err  error
}

// atEnd opens the next content, and reports whether there is none.
func (c *contents) atEnd() bool {
	for c.open == nil && c.err == nil && c.next < c.tree.Len() {
		n := c.tree.At(c.next)
		if c.next++; n.IsFirst() && n.Mode().IsRegular() && n.Inode().Size > 0 {
			c.open, c.err = n.Open()
		}
	}
	return c.open == nil && c.err == nil
}

func (c *contents) Read(b []byte) (int, error) {
	for {
		if c.atEnd() {
			return 0, io.EOF
		}
		if c.err != nil {
			return 0, c.err
		}
		n, err := c.open.Read(b)
		if err == io.EOF {
			err = c.open.Close()
			c.open = nil
		}
		c.err = err
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *contents) close() {
	if c.open != nil {
		c.open.Close()
	}
}
