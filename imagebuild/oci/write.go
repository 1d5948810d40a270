package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Options are those of [Write].
type Options struct {
	Archive     Archive
	Compression Compression // nil for none
	// Name is the image's in the layout, its org.opencontainers.image.ref.name.
	Name string
	// Annotations are those of the entry in index.json.
	Annotations map[string]string
	// Index has an index written even of one image.
	Index bool
	// IndexAnnotations are those of the index.
	IndexAnnotations map[string]string
}

// Write writes images into the directory of a new layout, which must be empty or
// not there. Several images, of different platforms, are joined by an index, in
// their order. The descriptor is that of the manifest or of the index, by which
// the image is known.
func Write(ctx context.Context, path string, images []Image, o Options) (v1.Descriptor, error) {
	fail := func(err error) (v1.Descriptor, error) {
		return v1.Descriptor{}, fmt.Errorf("writing the OCI layout %s: %w", path, err)
	}
	if err := checkImages(images, o); err != nil {
		return fail(err)
	}
	if names, err := os.ReadDir(path); err == nil && len(names) > 0 {
		return fail(fmt.Errorf("it has %q in it already, and must be empty", names[0].Name()))
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fail(err)
	}
	w := writer{path: path, options: o}
	if err := os.MkdirAll(w.blobs(), 0o755); err != nil {
		return fail(err)
	}
	descriptor, err := w.images(ctx, images)
	if err != nil {
		return fail(err)
	}
	if err := w.top(descriptor); err != nil {
		return fail(err)
	}
	return descriptor, nil
}

func checkImages(images []Image, o Options) error {
	if len(images) == 0 {
		return errors.New("no image")
	}
	if o.Archive.Write == nil {
		return errors.New("no Archive to pack layers with")
	}
	seen := map[Platform]bool{}
	for _, image := range images {
		if image.Platform.OS == "" || image.Platform.Architecture == "" {
			return errors.New("an image without an operating system or an architecture")
		}
		if seen[image.Platform] {
			return fmt.Errorf("two images for %s/%s", image.Platform.OS, image.Platform.Architecture)
		}
		seen[image.Platform] = true
		for _, layer := range image.Layers {
			if err := checkNames(layer.Tree); err != nil {
				return err
			}
		}
	}
	return nil
}

type writer struct {
	path    string
	options Options
}

func (w *writer) blobs() string { return filepath.Join(w.path, "blobs", "sha256") }

// images writes all of them, and what joins them.
func (w *writer) images(ctx context.Context, images []Image) (v1.Descriptor, error) {
	var manifests []v1.Descriptor
	for _, image := range images {
		manifest, err := w.image(ctx, image)
		if err != nil {
			return v1.Descriptor{}, err
		}
		manifests = append(manifests, manifest)
	}
	if len(images) == 1 && !w.options.Index {
		return manifests[0], nil
	}
	return w.document(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex,
		Manifests: manifests, Annotations: w.options.IndexAnnotations,
	})
}

// image writes an image's layers, configuration and manifest.
func (w *writer) image(ctx context.Context, image Image) (v1.Descriptor, error) {
	var layers []v1.Descriptor
	var ids []digest.Digest
	for _, layer := range image.Layers {
		descriptor, id, err := w.layer(ctx, layer.Tree)
		if err != nil {
			return v1.Descriptor{}, err
		}
		layers, ids = append(layers, descriptor), append(ids, id)
	}
	config, err := w.document(v1.MediaTypeImageConfig, configOf(image, ids))
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := w.document(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: config, Layers: notNil(layers), Annotations: image.Annotations,
	})
	manifest.Platform = &v1.Platform{OS: image.Platform.OS, Architecture: image.Platform.Architecture, Variant: image.Platform.Variant}
	return manifest, err
}

// configOf is an image's configuration.
func configOf(image Image, ids []digest.Digest) v1.Image {
	created := time.Unix(image.Created.Sec, 0).UTC()
	c := image.Config
	config := v1.Image{
		Created: &created, Author: image.Author,
		Platform: v1.Platform{OS: image.Platform.OS, Architecture: image.Platform.Architecture, Variant: image.Platform.Variant},
		Config: v1.ImageConfig{
			User: c.User, ExposedPorts: set(c.ExposedPorts), Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd,
			Volumes: set(c.Volumes), WorkingDir: c.WorkingDir, Labels: c.Labels, StopSignal: c.StopSignal,
		},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: notNil(ids)},
	}
	for _, layer := range image.Layers {
		config.History = append(config.History, v1.History{Created: &created, CreatedBy: layer.CreatedBy})
	}
	return config
}

// notNil is a list that JSON has as [] and not as null.
func notNil[T any](list []T) []T { return append([]T{}, list...) }

func set(names []string) map[string]struct{} {
	m := map[string]struct{}{}
	for _, name := range names {
		m[name] = struct{}{}
	}
	return m
}

// layerType is the media type of layers.
func layerType(c Compression) string {
	if c == nil || c.Algorithm() == "" {
		return v1.MediaTypeImageLayer
	}
	return v1.MediaTypeImageLayer + "+" + c.Algorithm()
}

// layer writes a layer, and returns the digest of its archive, too.
func (w *writer) layer(ctx context.Context, t *tree.Tree) (v1.Descriptor, digest.Digest, error) {
	archive := sha256.New()
	descriptor, err := w.blob(layerType(w.options.Compression), func(out io.Writer) error {
		if w.options.Compression == nil {
			return w.options.Archive.Write(ctx, io.MultiWriter(out, archive), t)
		}
		z, err := w.options.Compression.NewWriter(out)
		if err != nil {
			return err
		}
		err = w.options.Archive.Write(ctx, io.MultiWriter(z, archive), t)
		if closeErr := z.Close(); err == nil {
			err = closeErr
		}
		return err
	})
	return descriptor, digest.NewDigest(digest.SHA256, archive), err
}

// document writes a JSON document.
func (w *writer) document(mediaType string, document any) (v1.Descriptor, error) {
	text, err := canonical(document)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return w.blob(mediaType, func(out io.Writer) error { _, err := out.Write(text); return err })
}

// canonical is the one form of a document.
func canonical(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// blob writes a blob under a name of its own until its digest is known.
func (w *writer) blob(mediaType string, write func(io.Writer) error) (_ v1.Descriptor, err error) {
	f, err := os.CreateTemp(w.blobs(), ".new-")
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	counted := &counter{w: f, hash: sha256.New()}
	if err := write(counted); err != nil {
		return v1.Descriptor{}, err
	}
	if err := f.Chmod(0o644); err != nil {
		return v1.Descriptor{}, err
	}
	if err := f.Close(); err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, counted.hash), Size: counted.n}
	return d, os.Rename(f.Name(), filepath.Join(w.blobs(), d.Digest.Encoded()))
}

type counter struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.hash.Write(p[:n])
	c.n += int64(n)
	return n, err
}

// top writes oci-layout, and index.json last, so that a layout with one is whole.
func (w *writer) top(descriptor v1.Descriptor) error {
	descriptor.Annotations = map[string]string{}
	for key, value := range w.options.Annotations {
		descriptor.Annotations[key] = value
	}
	if w.options.Name != "" {
		descriptor.Annotations[v1.AnnotationRefName] = w.options.Name
	}
	index, err := canonical(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{descriptor},
	})
	if err != nil {
		return err
	}
	layout := `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
	if err := writeFile(filepath.Join(w.path, v1.ImageLayoutFile), strings.NewReader(layout)); err != nil {
		return err
	}
	return writeFile(filepath.Join(w.path, v1.ImageIndexFile), bytes.NewReader(index))
}

// writeFile writes a file of the mode 0644, whatever the umask.
func writeFile(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if chmodErr := f.Chmod(0o644); err == nil {
		err = chmodErr
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
