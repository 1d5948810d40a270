package oci

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/lockfile"
)

// PullLayout returns the locks of an artifact in an image layout: that with
// the tag, or the only one that is there where tag is empty. Everything is checked
// by its digest. The error wraps fs.ErrNotExist where there is none.
func PullLayout(ctx context.Context, dir, tag string) ([]Pulled, error) {
	locks, err := pullLayout(ctx, dir, tag)
	if err != nil {
		return nil, fmt.Errorf("the image layout %s: %w", dir, err)
	}
	return locks, nil
}

func pullLayout(ctx context.Context, dir, tag string) ([]Pulled, error) {
	if err := readHeader(dir); err != nil {
		return nil, err
	}
	index, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	var found []v1.Descriptor
	for _, d := range index.Manifests {
		if tag == "" || d.Annotations[v1.AnnotationRefName] == tag {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0 && tag == "":
		return nil, fmt.Errorf("nothing is in it: %w", fs.ErrNotExist)
	case len(found) == 0:
		return nil, fmt.Errorf("nothing in it has the tag %s: %w", tag, fs.ErrNotExist)
	case len(found) > 1:
		return nil, fmt.Errorf("it has %d artifacts; name one by its tag", len(found))
	}
	data, err := get(ctx, folder(dir), true, found[0], maxManifest)
	if err != nil {
		return nil, err
	}
	return unpack(ctx, folder(dir), data)
}

// A folder is a layout as a shelf.
type folder string

func (f folder) part(ctx context.Context, _ bool, d lockfile.Digest, most int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return readFile(filepath.Join(string(f), blobsDir, d.String()), most)
}
