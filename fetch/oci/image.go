package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// maxImages is how many images an index may join.
const maxImages = 64

// An Image is the only image of a layout, or an index of several, as a
// [fetch.Sink] takes it: its set has the blobs, without a lock.
type Image struct {
	*Sink
	dir       string
	manifests []document // what is named before what names it
	blobs     []fetch.File
}

var _ fetch.Sink = (*Image)(nil)

// NewImage returns what the layout in a directory holds, to be pushed into a
// sink: [fetch.Push] with the image as the sink and its Sets sends what is not
// there, and publishes it under the tag of the sink.
func NewImage(ctx context.Context, to *Sink, dir string) (*Image, error) {
	i := &Image{Sink: to, dir: dir}
	if err := i.read(ctx); err != nil {
		return nil, fmt.Errorf("the image layout %s: %w", dir, err)
	}
	return i, nil
}

func (i *Image) read(ctx context.Context) error {
	if err := readHeader(i.dir); err != nil {
		return err
	}
	index, err := readIndex(i.dir)
	if err != nil {
		return err
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("it has %d images, and one can be pushed", len(index.Manifests))
	}
	top := index.Manifests[0]
	data, err := get(ctx, folder(i.dir), true, top, maxManifest)
	if err != nil {
		return err
	}
	if top.MediaType == v1.MediaTypeImageIndex {
		var several v1.Index
		if err := json.Unmarshal(data, &several); err != nil {
			return fmt.Errorf("read the index %s: %w", top.Digest, err)
		}
		if len(several.Manifests) > maxImages {
			return fmt.Errorf("its index has %d images, more than %d", len(several.Manifests), maxImages)
		}
		for _, d := range several.Manifests {
			if err := i.addManifest(ctx, d); err != nil {
				return err
			}
		}
		i.manifests = append(i.manifests, newDocument(top.MediaType, data))
		return nil
	}
	return i.addManifest(ctx, top)
}

// addManifest adds the manifest of one image, and its blobs.
func (i *Image) addManifest(ctx context.Context, d v1.Descriptor) error {
	data, err := get(ctx, folder(i.dir), true, d, maxManifest)
	if err != nil {
		return err
	}
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil || d.MediaType != v1.MediaTypeImageManifest {
		return fmt.Errorf("%s of the type %q is not the manifest of an image", d.Digest, d.MediaType)
	}
	for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		digest, err := sum(b.Digest)
		if err != nil {
			return err
		}
		path := filepath.Join(i.dir, blobsDir, digest.String())
		i.blobs = append(i.blobs, fetch.File{
			Entry: lockfile.Entry{Path: "blobs/sha256/" + digest.String(), Digest: digest}, Size: b.Size,
			Open: func(context.Context) (io.ReadSeekCloser, error) { return os.Open(path) },
		})
	}
	i.manifests = append(i.manifests, newDocument(d.MediaType, data))
	return nil
}

// Sets are the blobs to push.
func (i *Image) Sets() []fetch.Set {
	lock := &lockfile.Lock{}
	for _, b := range i.blobs {
		lock.Entries = append(lock.Entries, b.Entry)
	}
	return []fetch.Set{{Lock: lock, Files: i.blobs}}
}

// Publish stores the manifests, the one that a tag names last.
func (i *Image) Publish(ctx context.Context, _ []fetch.Set) error {
	for n, m := range i.manifests {
		tag := ""
		if n == len(i.manifests)-1 {
			tag = i.ref.Tag
		}
		if err := i.putManifest(ctx, m, tag); err != nil {
			return err
		}
	}
	ref := i.ref
	var err error
	if ref.Digest, err = sum(i.manifests[len(i.manifests)-1].Digest); err != nil {
		return fetch.Permanent(err)
	}
	i.mu.Lock()
	i.published = ref
	i.mu.Unlock()
	return nil
}
