package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
)

// compressionNames are words for endings.
var compressionNames = map[string]string{".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bzip2", ".lz4": "lz4"}

func unpack(ending string, r io.Reader) (io.ReadCloser, error) { return decompress.Open(ending, r) }

// compressed opens what is in a compressed file: an archive, which can be read
// from its beginning. An initramfs may have others behind the compressed one.
func (o *opener) compressed(p *Part, depth int) {
	head, err := p.source.head(headSize)
	if err != nil {
		p.fail(err)
		return
	}
	ending := decompress.Detect(head)
	inside := source{size: -1, open: func() (io.ReadCloser, error) {
		r, err := p.source.Open()
		if err != nil {
			return nil, err
		}
		u, err := unpack(ending, &counter{r: r})
		if err != nil {
			r.Close()
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{u, closers{u, r}}, nil
	}}
	first, err := inside.head(headSize)
	if err == nil && len(first) < headSize { // the sum at the end, or that there is none
		err = inside.readable()
	}
	if err != nil && len(first) == 0 {
		p.fail(cutOff(err))
		return
	}
	switch {
	case isTar(first, inside):
		p.Format = "tar"
		p.add("compression", compressionNames[ending])
		o.archiveOf(p, depth, &archive{source: p.source, read: readTar, ending: ending})
	case bytes.HasPrefix(first, []byte("07070")):
		o.cpio(p, depth)
	case bytes.HasPrefix(first, []byte("#mtree")):
		p.Format = manifestFormat
		p.add("compression", compressionNames[ending])
		p.loadManifest(inside)
	default:
		for _, f := range append(formats(), format{"data", func([]byte, source) bool { return true }, nil}) {
			// What is asked is the format, and not whether it can be read.
			if f.is(first, source{at: bytes.NewReader(first), size: int64(len(first))}) {
				p.Format = compressionNames[ending]
				p.add("content", f.name)
				break
			}
		}
		if err != nil {
			p.fail(cutOff(err))
			return
		}
		p.fail(beyond(fmt.Sprintf("what is in a %s file can be looked into if it is an archive; decompress it first", compressionNames[ending])))
	}
}

// closers are closed one after the other.
type closers []io.Closer

func (c closers) Close() (err error) {
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}

func (o *opener) tar(p *Part, depth int) {
	o.archiveOf(p, depth, &archive{source: p.source, read: readTar})
}

func readTar(ctx context.Context, in *stream, store tree.Store) (*tree.Tree, []Attribute, error) {
	z := &zeroRun{r: in}
	t, err := tar.Read(ctx, z, store, tar.Limits{})
	if err != nil {
		return nil, nil, err
	}
	ended, at := z.n >= tarBlock, in.position()
	z.n = 0
	n, err := io.Copy(io.Discard, z) // with the sum of the compression at the end
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("behind the archive's end at byte %d: %w", at, err)
	case !ended:
		return t, nil, &endError{"the archive has no end: it is cut off, or whoever wrote it left that out, and 1024 bytes of zeros make it whole"}
	case z.n < n:
		return t, nil, &endError{fmt.Sprintf("what follows the archive's end at byte %d is not of it: %d bytes", at, n)}
	}
	return t, nil, nil
}

// tarBlock is what a member's header takes, and at least the end of an archive.
const tarBlock = 512

// An endError says that a whole tree was read of an archive whose end is odd.
type endError struct{ what string }

func (e *endError) Error() string { return e.what }

// zeroRun counts how many bytes of zeros it has given last.
type zeroRun struct {
	r io.Reader
	n int64
}

func (z *zeroRun) Read(b []byte) (int, error) {
	n, err := z.r.Read(b)
	zeros := n - len(bytes.TrimRight(b[:n], "\x00"))
	if zeros < n {
		z.n = 0
	}
	z.n += int64(zeros)
	return n, err
}

// archiveOf reads a tar archive, since only then it is known whether it is one
// of an image. An odd end is no fault of a layer, which a digest tells whole.
func (o *opener) archiveOf(p *Part, depth int, a *archive) {
	p.holds, p.load = holdsAll, a.tree
	t, err := p.Tree(o.ctx)
	var end *endError
	if errors.As(err, &end) {
		if p.treeErr = nil; depth == 0 {
			p.fail(end)
		}
	} else if err != nil {
		return // which who asks for the tree is told
	}
	_, docker := t.Lookup("manifest.json")
	_, layout := t.Lookup("oci-layout")
	switch {
	case docker:
		o.docker(p, &treeBlobs{t}, depth)
	case layout:
		o.layout(p, &treeBlobs{t}, depth)
	}
}

// cpio is an initramfs: archives one after the other, each compressed or not.
func (o *opener) cpio(p *Part, _ int) {
	p.Format = "cpio"
	p.holds = holdsAll &^ holdsXattrs
	p.load = (&archive{source: p.source, read: readInitramfs}).tree
}

func (o *opener) manifest(p *Part, _ int) { p.loadManifest(p.source) }

func (p *Part) loadManifest(s source) {
	p.holds = holdsAll
	p.load = func(context.Context) (*tree.Tree, []Attribute, error) {
		r, err := s.Open()
		if err != nil {
			return nil, nil, err
		}
		defer r.Close()
		t, err := tree.ReadManifest(io.LimitReader(r, maxManifest), nil)
		return t, nil, err
	}
}

// maxArchives is how many archives an initramfs may have.
const maxArchives = 64

// readInitramfs reads archives as the kernel does: those that come later are put
// over those before.
func readInitramfs(ctx context.Context, in *stream, store tree.Store) (*tree.Tree, []Attribute, error) {
	r := &initramfs{ctx: ctx, store: store}
	if err := r.archives(in, true); err != nil {
		return nil, nil, err
	}
	if r.tree == nil {
		return nil, nil, errors.New("there is no archive in it")
	}
	more := []Attribute{{"archives", int64(r.count)}}
	if len(r.compressions) > 0 {
		more = append(more, Attribute{"compression", r.compressions})
	}
	return r.tree, more, nil
}

// initramfs is one that is being read.
type initramfs struct {
	ctx          context.Context
	store        tree.Store
	tree         *tree.Tree
	count        int
	compressions []string
}

// archives reads all archives up to the end of a stream; compressed ones, too,
// if outer.
func (r *initramfs) archives(in *stream, outer bool) error {
	for {
		head, err := in.Peek(6)
		switch {
		case len(head) == 0 && (err == io.EOF || err == nil):
			return nil
		case len(head) == 0:
			return err
		case head[0] == 0:
			if _, err := in.Discard(1); err != nil {
				return err
			}
			continue
		}
		if r.count++; r.count > maxArchives {
			return fmt.Errorf("more than %d archives", maxArchives)
		}
		ending := decompress.Detect(head)
		switch {
		case outer && ending != "":
			r.count--
			r.compressions = append(r.compressions, compressionNames[ending])
			if err := r.packed(in, ending); err != nil {
				return fmt.Errorf("after byte %d: %w", in.position(), err)
			}
			continue
		case !bytes.HasPrefix(head, []byte("07070")):
			return fmt.Errorf("byte %d is where no archive begins", in.position())
		}
		t, err := cpio.Read(r.ctx, in.Reader, r.store)
		if err != nil {
			return err
		}
		if r.tree == nil {
			r.tree = t
		} else if r.tree, err = tree.Overlay(r.ctx, r.tree, t); err != nil {
			return err
		}
	}
}

// packed reads what one compressed stream has, and leaves what follows.
func (r *initramfs) packed(in *stream, ending string) error {
	u, err := oneStream(ending, in.Reader)
	if err != nil {
		return err
	}
	defer u.Close()
	exact := in.exact
	in.exact = false // meanwhile, contents are not where the outer stream is
	err = r.archives(newStream(u), false)
	in.exact = exact
	return err
}
