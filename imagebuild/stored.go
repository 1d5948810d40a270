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
// manifest, that of its [origins], then those contents that are in no package,
// in the order of their inodes, in packs that are hashed in parallel.
const (
	storedFormat = 2
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
	if err != nil || len(blobs) < 2 {
		return nil, ctx.Err() // what cannot be read is made anew
	}
	t, err := p.tryLoad(ctx, img, blobs)
	if err != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p.Events.Warning(fmt.Sprintf("what was kept of an earlier build is not whole, and is made anew: %v", err))
		return nil, nil
	}
	return t, nil
}

// tryLoad opens all that a stored root consists of, several at once, since each
// is hashed.
func (p *Plan) tryLoad(ctx context.Context, img *Image, blobs []lockfile.Digest) (*tree.Tree, error) {
	files := make([]*os.File, len(blobs))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(loadAtOnce)
	for i, d := range blobs {
		group.Go(func() (err error) {
			files[i], err = p.Store.Open(gctx, d)
			return err
		})
	}
	err := group.Wait()
	var packs many
	for i, f := range files {
		if f == nil {
			continue
		}
		img.files = append(img.files, f)
		if i >= 2 && err == nil {
			var info os.FileInfo
			info, err = f.Stat()
			packs = append(packs, part{f, info.Size()})
		}
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(files[1], maxOrigins+1))
	if err != nil {
		return nil, err
	}
	o, err := parseOrigins(data)
	if err != nil {
		return nil, err
	}
	packages, err := p.openPackages(ctx, img, o.packages)
	if err != nil {
		return nil, err
	}
	return joinStored(files[0], o.places, packages, packs)
}

// loadAtOnce is how many blobs are hashed at once.
const loadAtOnce = 8

// openPackages opens what is kept of packages.
func (p *Plan) openPackages(ctx context.Context, img *Image, packages []lockfile.Digest) ([]io.ReaderAt, error) {
	if len(packages) > 0 && p.Unpacked == nil {
		return nil, errors.New("no unpacked packages are kept")
	}
	out := make([]io.ReaderAt, len(packages))
	closers := make([]io.Closer, len(packages))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(loadAtOnce)
	for i, d := range packages {
		group.Go(func() error {
			r, err := p.Unpacked.Open(gctx, d)
			if err != nil {
				return err
			}
			closers[i] = r
			var ok bool
			if out[i], ok = r.(io.ReaderAt); !ok {
				return errors.New("unpacked packages cannot be read at random")
			}
			return nil
		})
	}
	err := group.Wait()
	for _, c := range closers {
		if c != nil {
			img.files = append(img.files, c)
		}
	}
	return out, err
}

// joinStored makes a tree of a manifest and the places of its contents.
func joinStored(manifest io.Reader, places []place, packages []io.ReaderAt, packs many) (*tree.Tree, error) {
	bare, err := tree.ReadManifest(manifest, nil)
	if err != nil {
		return nil, err
	}
	at := int64(0)
	t, err := tree.Map(context.Background(), bare, func(_ tree.Node, in tree.Inode) (tree.Inode, error) {
		if !in.Mode.IsRegular() || in.Size == 0 {
			return in, nil
		}
		if len(places) == 0 {
			return in, errors.New("it is not told where its content is")
		}
		where := places[0]
		places = places[1:]
		if where.pkg != inPacks {
			in.Content = tree.Section(packages[where.pkg], where.offset, in.Size)
			return in, nil
		}
		in.Content = tree.Section(packs, at, in.Size)
		at += in.Size
		return in, nil
	})
	if err == nil && (at != packs.size() || len(places) > 0) {
		err = fmt.Errorf("the contents have %d bytes and the manifest tells of %d, and %d are not in it", packs.size(), at, len(places))
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
	o := p.originsOf(t)
	second, err := p.Store.Add(ctx, bytes.NewReader(o.encode()), -1, nil)
	if err != nil {
		return err
	}
	blobs := []lockfile.Digest{first, second}
	r := &contents{tree: t, places: o.places}
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

// contents reads the contents of a tree that are in no package, one after
// another.
type contents struct {
	tree   *tree.Tree
	places []place
	next   int // of the nodes
	open   io.ReadCloser
	err    error
}

// atEnd opens the next content, and reports whether there is none.
func (c *contents) atEnd() bool {
	for c.open == nil && c.err == nil && c.next < c.tree.Len() {
		n := c.tree.At(c.next)
		if c.next++; !n.IsFirst() || !n.Mode().IsRegular() || n.Inode().Size == 0 {
			continue
		}
		where := c.places[0]
		if c.places = c.places[1:]; where.pkg == inPacks {
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
