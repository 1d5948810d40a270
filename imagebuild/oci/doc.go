// Package oci writes trees as OCI images, in the layout of directories that the
// image specification 1.1 has, and as archives that docker loads; reads images
// into trees; and checks what was written.
//
// The same images and options give the same bytes, down to the digest of the
// manifest and of the index: layers are archives of trees, JSON documents have
// one form (the specification's order of keys, sorted maps and sets, no white
// space), and every time in them is the image's.
//
// How layers are packed is given by the caller: an [Archive], which is the
// package tar's, and a [Compression], which are the profiles of the package
// compress. So this package depends on neither.
//
// Of what is read, every digest and size is checked. The package refuses a
// layout that is not empty, names that would be taken for whiteouts, and blobs
// that are not what their descriptors say. It speaks to no registry.
package oci

import (
	"context"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Archive packs and unpacks layers as tar. Read is needed for [Read] alone.
type Archive struct {
	Write func(ctx context.Context, w io.Writer, t *tree.Tree) error
	Read  func(ctx context.Context, r io.Reader, store tree.Store) (*tree.Tree, error)
}

// Compression makes layers smaller. Algorithm is "gzip", "zstd" or "" for none.
type Compression interface {
	Algorithm() string
	NewWriter(io.Writer) (io.WriteCloser, error)
}

// Platform is what an image runs on, in Go's words: "linux", "arm64", "v8".
type Platform struct{ OS, Architecture, Variant string }

// Config is what a container is run with, as the image specification has it.
type Config struct {
	User         string // a name or number, ":" and a group; "" is root
	Env          []string
	Entrypoint   []string
	Cmd          []string
	WorkingDir   string
	ExposedPorts []string // such as "80/tcp"
	Volumes      []string // paths
	StopSignal   string
	Labels       map[string]string
}

// Image is one image for one platform.
type Image struct {
	Platform    Platform
	Config      Config
	Author      string
	Created     tree.Time // in whole seconds: of the image and of each layer's history
	Layers      []Layer   // the lowest first
	Annotations map[string]string
}

// Layer is one layer of an image: what is put over those below it. See [Diff]
// for how a layer takes away what is below.
type Layer struct {
	Tree      *tree.Tree
	CreatedBy string // for the history
}
