package inspect

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/imagebuild/tree"
)

// blobs is where the files of a layout or of docker's archive are.
type blobs interface {
	open(name string) (source, error)
}

// dirBlobs are files in a directory. Links do not lead out of it.
type dirBlobs struct {
	root *os.Root
	file *File
}

// maxFiles is how many files of a layout may be open.
const maxFiles = 512

func (b *dirBlobs) open(name string) (source, error) {
	info, err := b.root.Lstat(name)
	if err != nil {
		return source{}, err
	}
	if !info.Mode().IsRegular() {
		return source{}, fmt.Errorf("%s is no regular file", name)
	}
	if len(b.file.closers) > maxFiles {
		return source{}, fmt.Errorf("there are more than %d blobs", maxFiles)
	}
	f, err := b.root.Open(name)
	if err != nil {
		return source{}, err
	}
	b.file.closers = append(b.file.closers, f)
	return sourceAt(f, 0, info.Size()), nil
}

// treeBlobs are files in an archive.
type treeBlobs struct{ t *tree.Tree }

func (b *treeBlobs) open(name string) (source, error) {
	n, err := b.t.Resolve(name) // docker has links from a layer to an equal one
	if err != nil {
		return source{}, err
	}
	if !n.Mode().IsRegular() {
		return source{}, fmt.Errorf("%s is no regular file", tree.Display(name))
	}
	return sourceOf(n.Inode()), nil
}

// document reads a JSON document.
func document(b blobs, name string, into any) error {
	s, err := b.open(name)
	if err != nil {
		return err
	}
	return parse(s, name, into)
}

func parse(s source, name string, into any) error {
	text, err := s.all(maxDocument)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// blob is the part of a descriptor, whose bytes are still to be checked.
func blob(b blobs, d v1.Descriptor) (*Part, error) {
	want, err := digestOf(d.Digest)
	if err != nil {
		return nil, err
	}
	p := &Part{Format: unknownFormat, Size: d.Size}
	p.add("media_type", d.MediaType)
	if p.source, err = b.open("blobs/sha256/" + d.Digest.Encoded()); err != nil {
		p.add("digest", d.Digest.String())
		p.fail(err)
		return p, nil
	}
	if p.source.size >= 0 && p.source.size != d.Size {
		p.fail(fmt.Errorf("it has %d bytes, and its descriptor says %d", p.source.size, d.Size))
	}
	p.expect(want)
	return p, nil
}

// digestOf is checked before a digest becomes a part of a path.
func digestOf(d digest.Digest) (sum tree.Digest, err error) {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return sum, fmt.Errorf("%q is not a SHA-256", d)
	}
	_, err = hex.Decode(sum[:], []byte(d.Encoded()))
	return sum, err
}

var errNesting = errors.New("indexes in indexes without end")
