package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/imagebuild/tree"
)

// What is read at most.
const (
	maxDocument = 8 << 20
	maxLayers   = 1000
	maxDepth    = 4 // of indexes in indexes
	maxWindow   = 128 << 20
)

// ReadOptions are those of [Read].
type ReadOptions struct {
	Archive Archive
	// Store keeps the contents.
	Store tree.Store
	// Name chooses one image of several by its org.opencontainers.image.ref.name.
	Name string
	// Platform chooses one image of an index; what is empty may be anything.
	Platform Platform
}

// Read reads an image of a layout into a tree: its layers put over each other,
// whiteouts applied. All that is read of the layout is checked against the
// digests and sizes that name it. The image has no layers.
func Read(ctx context.Context, path string, o ReadOptions) (*Image, *tree.Tree, error) {
	l := layout{path}
	image, t, err := l.read(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the OCI layout %s: %w", path, err)
	}
	return image, t, nil
}

type layout struct{ path string }

func (l layout) read(ctx context.Context, o ReadOptions) (*Image, *tree.Tree, error) {
	index, err := l.index()
	if err != nil {
		return nil, nil, err
	}
	found := index.Manifests
	if o.Name != "" {
		found = slices.DeleteFunc(found, func(d v1.Descriptor) bool { return d.Annotations[v1.AnnotationRefName] != o.Name })
	}
	manifest, err := l.choose(found, o, 0)
	if err != nil {
		return nil, nil, err
	}
	config, err := l.config(manifest)
	if err != nil {
		return nil, nil, err
	}
	t, err := (&tree.Builder{}).Freeze(ctx)
	if err != nil {
		return nil, nil, err
	}
	for i, descriptor := range manifest.Layers {
		layer, err := l.layer(ctx, descriptor, config.RootFS.DiffIDs[i], o)
		if err != nil {
			return nil, nil, fmt.Errorf("layer %s: %w", descriptor.Digest, err)
		}
		if t, err = Apply(ctx, t, layer); err != nil {
			return nil, nil, fmt.Errorf("layer %s: %w", descriptor.Digest, err)
		}
	}
	return imageOf(config, manifest), t, nil
}

func (l layout) index() (v1.Index, error) {
	var index v1.Index
	text, err := readBounded(filepath.Join(l.path, v1.ImageIndexFile))
	if err != nil {
		return index, err
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return index, fmt.Errorf("index.json: %w", err)
	}
	return index, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxDocument)
	}
	return text, err
}

// choose finds the one manifest that is asked for, through indexes.
func (l layout) choose(found []v1.Descriptor, o ReadOptions, depth int) (v1.Manifest, error) {
	found = slices.DeleteFunc(slices.Clone(found), func(d v1.Descriptor) bool { return !fits(d.Platform, o.Platform) })
	if len(found) != 1 {
		return v1.Manifest{}, fmt.Errorf("%d images fit; name one, or its platform", len(found))
	}
	d := found[0]
	switch d.MediaType {
	case v1.MediaTypeImageManifest:
		var m v1.Manifest
		return m, l.document(d, &m)
	case v1.MediaTypeImageIndex:
		if depth == maxDepth {
			return v1.Manifest{}, errors.New("indexes in indexes without end")
		}
		var index v1.Index
		if err := l.document(d, &index); err != nil {
			return v1.Manifest{}, err
		}
		return l.choose(index.Manifests, o, depth+1)
	}
	return v1.Manifest{}, fmt.Errorf("the media type %q, which is not known", d.MediaType)
}

func fits(p *v1.Platform, want Platform) bool {
	fit := func(is, wanted string) bool { return wanted == "" || is == wanted }
	return p == nil || fit(p.OS, want.OS) && fit(p.Architecture, want.Architecture) && fit(p.Variant, want.Variant)
}

// config reads a manifest's configuration.
func (l layout) config(m v1.Manifest) (v1.Image, error) {
	var config v1.Image
	if err := l.document(m.Config, &config); err != nil {
		return config, err
	}
	if len(m.Layers) != len(config.RootFS.DiffIDs) || len(m.Layers) > maxLayers {
		return config, fmt.Errorf("%d layers, and the configuration %s has %d", len(m.Layers), m.Config.Digest, len(config.RootFS.DiffIDs))
	}
	return config, nil
}

// document reads a JSON blob.
func (l layout) document(d v1.Descriptor, into any) error {
	if d.Size > maxDocument {
		return fmt.Errorf("%s: a document of %d bytes", d.Digest, d.Size)
	}
	r, err := l.open(d)
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	return nil
}

// checkDigest is called before a digest is used for anything: the methods of one
// that is malformed panic, and it would be part of a path.
func checkDigest(d digest.Digest) error {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%q is not a SHA-256", d)
	}
	return nil
}

// blob reads a blob, and fails at its end where it is not what it must be.
type blob struct {
	file     *os.File
	want     v1.Descriptor
	verifier digest.Verifier
	n        int64
}

func (l layout) open(d v1.Descriptor) (*blob, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(l.path, "blobs", "sha256", d.Digest.Encoded()))
	if err != nil {
		return nil, err
	}
	return &blob{f, d, d.Digest.Verifier(), 0}, nil
}

func (b *blob) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	b.n += int64(n)
	_, _ = b.verifier.Write(p[:n]) // a hash does not fail
	if b.n > b.want.Size || err == io.EOF && (b.n != b.want.Size || !b.verifier.Verified()) {
		return 0, fmt.Errorf("the blob %s is not of this digest and %d bytes", b.want.Digest, b.want.Size)
	}
	return n, err
}

func (b *blob) Close() error { return b.file.Close() }

// layer reads a layer, and checks both of its digests.
func (l layout) layer(ctx context.Context, d v1.Descriptor, id digest.Digest, o ReadOptions) (*tree.Tree, error) {
	if err := checkDigest(id); err != nil {
		return nil, err
	}
	r, err := l.open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	z, err := unpack(d.MediaType, r)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	verifier := id.Verifier()
	both := io.TeeReader(z, verifier)
	t, err := o.Archive.Read(ctx, both, o.Store)
	if err != nil {
		return nil, err
	}
	// The archive's end may come before the stream's.
	if _, err := io.Copy(io.Discard, io.LimitReader(both, maxDocument)); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	if !verifier.Verified() {
		return nil, fmt.Errorf("the archive is not the %s that the configuration names", id)
	}
	return t, nil
}

// unpack decompresses a layer of a media type.
func unpack(mediaType string, r io.Reader) (io.ReadCloser, error) {
	base := strings.TrimPrefix(mediaType, v1.MediaTypeImageLayer)
	switch {
	case base == mediaType:
	case base == "":
		return io.NopCloser(r), nil
	case base == "+gzip":
		return gzip.NewReader(r)
	case base == "+zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("a layer of the media type %q, which is not known", mediaType)
}

// imageOf is what the documents say of an image.
func imageOf(c v1.Image, m v1.Manifest) *Image {
	image := &Image{
		Platform: Platform{c.OS, c.Architecture, c.Variant}, Author: c.Author, Annotations: m.Annotations,
		Config: Config{
			User: c.Config.User, Env: c.Config.Env, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, WorkingDir: c.Config.WorkingDir,
			ExposedPorts: names(c.Config.ExposedPorts), Volumes: names(c.Config.Volumes), StopSignal: c.Config.StopSignal, Labels: c.Config.Labels,
		},
	}
	if c.Created != nil {
		image.Created = tree.TimeOf(*c.Created)
	}
	return image
}

func names(set map[string]struct{}) []string {
	var list []string
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
