package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Validate reads a layout and derives every claim in it anew: the digest and
// size of each blob that index.json leads to, and of each layer's archive; and
// that there are no other blobs. The error is the first claim that is not true.
func Validate(path string) error {
	v := validator{layout: layout{path}, seen: map[digest.Digest]bool{}}
	if err := v.all(); err != nil {
		return fmt.Errorf("the OCI layout %s: %w", path, err)
	}
	return nil
}

type validator struct {
	layout
	seen map[digest.Digest]bool
}

func (v *validator) all() error {
	text, err := readBounded(filepath.Join(v.path, v1.ImageLayoutFile))
	if err != nil {
		return err
	}
	var version v1.ImageLayout
	if err := json.Unmarshal(text, &version); err != nil || version.Version != v1.ImageLayoutVersion {
		return fmt.Errorf("%s is %.100q, which is not of version %s", v1.ImageLayoutFile, text, v1.ImageLayoutVersion)
	}
	index, err := v.index()
	if err != nil {
		return err
	}
	if err := v.manifests(index.Manifests, 0); err != nil {
		return err
	}
	blobs, err := os.ReadDir(filepath.Join(v.path, "blobs", "sha256"))
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		if !v.seen[digest.NewDigestFromEncoded(digest.SHA256, blob.Name())] {
			return fmt.Errorf("nothing leads to the blob %s", blob.Name())
		}
	}
	return nil
}

func (v *validator) manifests(list []v1.Descriptor, depth int) error {
	if depth > maxDepth {
		return errors.New("indexes in indexes without end")
	}
	for _, d := range list {
		v.seen[d.Digest] = true
		switch d.MediaType {
		case v1.MediaTypeImageIndex:
			var index v1.Index
			if err := v.document(d, &index); err != nil {
				return err
			}
			if index.MediaType != d.MediaType || index.SchemaVersion != 2 {
				return fmt.Errorf("%s says that it is a %q, version %d", d.Digest, index.MediaType, index.SchemaVersion)
			}
			if err := v.manifests(index.Manifests, depth+1); err != nil {
				return err
			}
		case v1.MediaTypeImageManifest:
			if err := v.manifest(d); err != nil {
				return fmt.Errorf("the manifest %s: %w", d.Digest, err)
			}
		default:
			return fmt.Errorf("%s is of the media type %q", d.Digest, d.MediaType)
		}
	}
	return nil
}

func (v *validator) manifest(d v1.Descriptor) error {
	var m v1.Manifest
	if err := v.document(d, &m); err != nil {
		return err
	}
	if m.MediaType != d.MediaType || m.SchemaVersion != 2 || m.Config.MediaType != v1.MediaTypeImageConfig {
		return fmt.Errorf("says that it is a %q, version %d, of a %q", m.MediaType, m.SchemaVersion, m.Config.MediaType)
	}
	config, err := v.config(m)
	if err != nil {
		return err
	}
	v.seen[m.Config.Digest] = true
	if p := d.Platform; p != nil && (p.OS != config.OS || p.Architecture != config.Architecture || p.Variant != config.Variant) {
		return fmt.Errorf("is named for %s/%s, and its configuration says %s/%s", p.OS, p.Architecture, config.OS, config.Architecture)
	}
	if config.RootFS.Type != "layers" || len(config.History) != 0 && len(config.History) != len(m.Layers) {
		return fmt.Errorf("a root file system of %q, with %d layers and a history of %d", config.RootFS.Type, len(m.Layers), len(config.History))
	}
	for i, layer := range m.Layers {
		v.seen[layer.Digest] = true
		if err := v.archive(layer, config.RootFS.DiffIDs[i]); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// archive derives both digests of a layer.
func (v *validator) archive(d v1.Descriptor, id digest.Digest) error {
	r, err := v.open(d)
	if err != nil {
		return err
	}
	defer r.Close()
	z, err := unpack(d.MediaType, r)
	if err != nil {
		return err
	}
	defer z.Close()
	got, err := digest.SHA256.FromReader(z)
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("the archive is %s, and the configuration says %s", got, id)
	}
	_, err = io.Copy(io.Discard, r)
	return err
}
