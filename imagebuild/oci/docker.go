package oci

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/samebits/samebits/imagebuild/tree"
)

// WriteDocker writes an image as an archive that "docker load" and "podman load"
// take, under a name such as "example.org/app:1". Its layers are not compressed,
// and packed twice: once for their digests, once for the archive.
func WriteDocker(ctx context.Context, w io.Writer, image Image, name string, archive Archive) error {
	if err := writeDocker(ctx, w, image, name, archive); err != nil {
		return fmt.Errorf("writing an archive for docker: %w", err)
	}
	return nil
}

// dockerManifest is an entry of manifest.json.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func writeDocker(ctx context.Context, w io.Writer, image Image, name string, archive Archive) error {
	if err := checkImages([]Image{image}, Options{Archive: archive}); err != nil {
		return err
	}
	colon := strings.LastIndexByte(name, ':')
	if colon <= 0 || strings.Contains(name[colon:], "/") || colon == len(name)-1 {
		return fmt.Errorf("the name %q has no tag; name it %q", name, name+":latest")
	}
	d := dockerArchive{created: image.Created}
	var ids []digest.Digest
	var layers []string
	for _, layer := range image.Layers {
		id, err := d.layer(ctx, layer.Tree, archive)
		if err != nil {
			return err
		}
		ids, layers = append(ids, id), append(layers, id.Encoded()+"/layer.tar")
	}
	config, err := canonical(configOf(image, ids))
	if err != nil {
		return err
	}
	configName := digest.FromBytes(config).Encoded() + ".json"
	manifest, err := canonical([]dockerManifest{{configName, []string{name}, notNil(layers)}})
	if err != nil {
		return err
	}
	documents := map[string][]byte{configName: config, "manifest.json": manifest}
	if len(ids) > 0 {
		repositories := map[string]map[string]string{name[:colon]: {name[colon+1:]: ids[len(ids)-1].Encoded()}}
		if documents["repositories"], err = canonical(repositories); err != nil {
			return err
		}
	}
	for path, text := range documents {
		d.set(path, tree.Inode{Mode: tree.Regular | 0o644, Size: int64(len(text)), Content: tree.Bytes(text)})
	}
	if d.err != nil {
		return d.err
	}
	t, err := d.tree.Freeze(ctx)
	if err != nil {
		return err
	}
	return archive.Write(ctx, w, t)
}

// dockerArchive is the tree of the archive itself.
type dockerArchive struct {
	tree    tree.Builder
	created tree.Time
	err     error
}

// set adds a file of the image's time.
func (d *dockerArchive) set(path string, n tree.Inode) {
	n.ModTime = tree.Time{Sec: d.created.Sec}
	d.err = errors.Join(d.err, d.tree.Set(path, n))
}

// layer adds a layer whose archive is made when it is read.
func (d *dockerArchive) layer(ctx context.Context, t *tree.Tree, archive Archive) (digest.Digest, error) {
	counted := &counter{w: io.Discard, hash: sha256.New()}
	if err := archive.Write(ctx, counted, t); err != nil {
		return "", err
	}
	id := digest.NewDigest(digest.SHA256, counted.hash)
	n := tree.Inode{Mode: tree.Regular | 0o644, Size: counted.n, Content: packed{ctx, t, archive}}
	copy(n.Digest[:], counted.hash.Sum(nil))
	d.set("", tree.Inode{Mode: tree.Directory | 0o755})
	d.set(id.Encoded(), tree.Inode{Mode: tree.Directory | 0o755})
	d.set(id.Encoded()+"/layer.tar", n)
	return id, d.err
}

// packed is the content that packing a tree gives.
type packed struct {
	ctx     context.Context
	tree    *tree.Tree
	archive Archive
}

func (p packed) Open() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.archive.Write(p.ctx, w, p.tree)) }()
	return r, nil
}
