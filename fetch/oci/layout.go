package oci

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

const (
	blobsDir   = "blobs/sha256"
	headerData = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
)

// A layout is an OCI image layout on disk.
type layout struct {
	dir, tag string
	mu       sync.Mutex // held while index.json is changed
}

// NewLayout returns an image layout in a directory as a sink. The directory is
// made; one that has other things in it is refused. What is published gets the
// tag, in the place of what had it before, or none where tag is empty. Nothing
// is removed.
//
// Files are at blobs/sha256, where the source for directories finds them.
func NewLayout(dir, tag string) (fetch.Sink, error) {
	if tag != "" && !tagForm().MatchString(tag) {
		return nil, fmt.Errorf("%q is not a tag: letters, digits and . _ -, at most 128", tag)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(abs); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(abs, blobsDir), 0o755); err != nil {
		return nil, err
	}
	l := &layout{dir: abs, tag: tag}
	return l, l.write(v1.ImageLayoutFile, []byte(headerData))
}

// checkLayout refuses a directory that has other things in it than a layout.
func checkLayout(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return readHeader(dir)
}

// readHeader checks that the directory is a layout of a version that is known.
func readHeader(dir string) error {
	data, err := readFile(filepath.Join(dir, v1.ImageLayoutFile), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not an OCI image layout: it has no file %s", dir, v1.ImageLayoutFile)
	}
	if err != nil {
		return err
	}
	var header v1.ImageLayout
	if err := json.Unmarshal(data, &header); err != nil || header.Version != v1.ImageLayoutVersion {
		return fmt.Errorf("%s is not an OCI image layout of version %s", dir, v1.ImageLayoutVersion)
	}
	return nil
}

// readFile reads a regular file, and does not wait for the other end of a pipe.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file", path))
	}
	data, err := readAll(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Name is the directory.
func (l *layout) Name() string { return l.dir }

// Put copies the file to its place. It becomes visible when its bytes are
// checked.
func (l *layout) Put(ctx context.Context, f fetch.File) (sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	r, err := f.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	return l.put(ctx, f.Entry.Digest, r)
}

// put makes bytes a blob of the layout, if they are none yet.
func (l *layout) put(ctx context.Context, d lockfile.Digest, r io.Reader) (bool, error) {
	path := filepath.Join(l.dir, blobsDir, d.String())
	if has, err := intact(ctx, path, d); has || err != nil {
		return false, err
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".partial-")
	if err != nil {
		return false, fetch.Permanent(err)
	}
	defer os.Remove(t.Name()) // after the rename there is none
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(t, hash), fetch.ContextReader(ctx, r))
	if got := lockfile.Digest(hash.Sum(nil)); err == nil && got != d {
		err = &lockfile.DigestError{Want: d, Got: got, Size: n}
	}
	if err == nil {
		err = t.Chmod(0o644)
	}
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return false, fetch.Permanent(err) // disks do not get better by asking again
	}
	return true, nil
}

// intact reports whether a file is there and has the digest. One that is
// damaged is as good as none.
func intact(ctx context.Context, path string, d lockfile.Digest) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fetch.Permanent(err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, fetch.ContextReader(ctx, f)); err != nil {
		return false, fetch.Permanent(err)
	}
	return lockfile.Digest(hash.Sum(nil)) == d, nil
}

// Publish stores the same artifact that a registry would have.
func (l *layout) Publish(ctx context.Context, sets []fetch.Set) error {
	a, err := newArtifact(sets)
	if err != nil {
		return fetch.Permanent(err)
	}
	documents := slices.Concat(a.blobs, a.manifests, []document{a.top})
	for _, doc := range documents {
		d, err := sum(doc.Digest)
		if err != nil {
			return fetch.Permanent(err)
		}
		if _, err := l.put(ctx, d, bytes.NewReader(doc.data)); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.point(a.top.Descriptor); err != nil {
		return fetch.Permanent(fmt.Errorf("change index.json: %w", err))
	}
	return nil
}

// point makes the tag name what d describes, in the place of what had the tag
// or was the same before.
func (l *layout) point(d v1.Descriptor) error {
	index, err := readIndex(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		index, err = v1.Index{MediaType: v1.MediaTypeImageIndex}, nil
		index.Versioned = specs.Versioned{SchemaVersion: 2}
	}
	if err != nil {
		return err
	}
	if l.tag != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: l.tag}
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(old v1.Descriptor) bool {
		name := old.Annotations[v1.AnnotationRefName]
		return name == l.tag && (name != "" || old.Digest == d.Digest)
	})
	index.Manifests = append(index.Manifests, d)
	slices.SortStableFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Annotations[v1.AnnotationRefName], b.Annotations[v1.AnnotationRefName]), cmp.Compare(a.Digest, b.Digest))
	})
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return l.write(v1.ImageIndexFile, data)
}

// write replaces a file of the layout at once.
func (l *layout) write(name string, data []byte) error {
	t, err := os.CreateTemp(l.dir, ".partial-")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name()) // after the rename there is none
	_, err = t.Write(data)
	if err == nil {
		err = t.Chmod(0o644)
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), filepath.Join(l.dir, name))
}

func readIndex(dir string) (v1.Index, error) {
	var index v1.Index
	data, err := readFile(filepath.Join(dir, v1.ImageIndexFile), maxManifest)
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	return index, err
}
