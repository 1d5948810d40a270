package imagebuild

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
)

// A format is a form of output that a writer makes of one tree.
type format struct {
	name string
	// stream writes a file; nil for what is written as a directory.
	stream func(ctx context.Context, w io.Writer, img *Image, o spec.Output) error
	// file writes a file at random into an empty one, and returns its size.
	file func(ctx context.Context, f *os.File, img *Image, o spec.Output) (int64, error)
	// directory writes a directory, of one image or more.
	directory func(ctx context.Context, path string, images []*Image, o spec.Output) error
	// parents says that the directories above it are made, too.
	parents bool
	// many says that several images, of different architectures, go into one.
	many bool
	// whole says that the writer compresses by itself.
	whole bool
}

// formats are all forms of output, by the names that specs have for them.
var formats = []format{
	{name: "tar", stream: writeTar},
	{name: "cpio", stream: writeCpio},
	{name: "manifest", stream: writeManifest},
	{name: "docker", stream: writeDocker, whole: true},
	{name: "dir", directory: writeDir},
	{name: "oci", directory: writeOCI, parents: true, many: true, whole: true},
	{name: "disk", file: writeDisk},
	{name: "iso", file: writeISO},
	{name: "ext4", file: writeFileSystem},
	{name: "squashfs", file: writeFileSystem},
	{name: "erofs", file: writeFileSystem},
	{name: "kernel+initrd", directory: writeKernel},
	{name: "uki", file: writeUKI},
}

func formatOf(name string) (format, error) {
	for _, f := range formats {
		if f.name == name {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("%q is no type of output; there are %s", name, strings.Join(spec.OutputTypes, ", "))
}

// Write writes images, one for each architecture, as one output. A file
// appears whole or not at all; "-" stands for stdout.
func Write(ctx context.Context, images []*Image, o spec.Output, stdout io.Writer) error {
	f, err := formatOf(o.Type)
	if err != nil {
		return err
	}
	if err := f.fits(o, len(images)); err != nil {
		return err
	}
	switch dest := filepath.Clean(o.Dest); {
	case f.directory != nil:
		err = inNew(dest, func() error { return f.directory(ctx, dest, images, o) })
	case o.Dest == "-":
		err = writeStream(ctx, f, stdout, images[0], o)
	default:
		err = writeFile(ctx, f, images[0], o)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", o.Dest, err)
	}
	return nil
}

// writeFile writes a file beside its place, and moves it there when it is
// whole.
func writeFile(ctx context.Context, f format, img *Image, o spec.Output) error {
	out, err := besides(o.Dest)
	if err != nil {
		return err
	}
	if f.file != nil {
		err = writeAtRandom(ctx, f, out, img, o)
	} else {
		err = writeStream(ctx, f, out, img, o)
	}
	if err == nil {
		err = out.Chmod(0o644)
	}
	err = errors.Join(err, out.Close())
	if err == nil {
		err = os.Rename(out.Name(), o.Dest)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// besides makes a file in the directory of another.
func besides(name string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
}

func writeStream(ctx context.Context, f format, w io.Writer, img *Image, o spec.Output) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	if f.whole {
		return errors.Join(f.stream(ctx, buffered, img, o), buffered.Flush())
	}
	profile, err := compress.Named(o.Compression())
	if err != nil {
		return err
	}
	packed, err := profile.NewWriter(buffered)
	if err != nil {
		return err
	}
	if err := errors.Join(f.stream(ctx, packed, img, o), packed.Close()); err != nil {
		return err
	}
	return buffered.Flush()
}

func writeTar(ctx context.Context, w io.Writer, img *Image, _ spec.Output) error {
	return tar.Write(ctx, w, img.Tree, tar.Options{})
}

// Lost says what an output cannot hold of an image; empty where it holds all.
func Lost(img *Image, o spec.Output) string {
	switch {
	case o.Type == "cpio", o.Type == "kernel+initrd", o.Type == "uki":
		return lost(img, "an initramfs has no extended attributes, such as capabilities", func(string) bool { return true })
	case o.Type == "dir" && os.Geteuid() == 0 && !devicesHere():
		return lostDevices(img.Tree)
	case o.Type == "squashfs", o.Type == "disk" && o.Root == "squashfs", o.Type == "iso":
		return lost(img, "squashfs has no POSIX ACLs", func(name string) bool { return strings.HasPrefix(name, "system.posix_acl_") })
	}
	return ""
}

// lost says how many files lose the attributes that a format does not have.
func lost(img *Image, why string, isLost func(name string) bool) string {
	n, first := 0, ""
	for node := range img.Tree.All() {
		if slices.ContainsFunc(node.Inode().Xattrs, func(x tree.Xattr) bool { return isLost(x.Name) }) {
			if n == 0 {
				first = tree.Display(node.Path())
			}
			n++
		}
	}
	if n == 0 {
		return ""
	}
	if n == 1 {
		return fmt.Sprintf("%s; %s loses its", why, first)
	}
	return fmt.Sprintf("%s; %d files lose theirs, first %s", why, n, first)
}

// writeCpio writes an initramfs. The kernel has no place for extended
// attributes in one, nor for times that 32 bits do not hold.
func writeCpio(ctx context.Context, w io.Writer, img *Image, _ spec.Output) error {
	return cpio.Write(ctx, w, img.Tree, cpio.Options{ClampTimes: true, DropXattrs: true})
}

func writeManifest(_ context.Context, w io.Writer, img *Image, _ spec.Output) error {
	return tree.WriteManifest(w, img.Tree)
}

// layerArchive packs layers as our tar.
var layerArchive = oci.Archive{
	Write: func(ctx context.Context, w io.Writer, t *tree.Tree) error { return tar.Write(ctx, w, t, tar.Options{}) },
	Read: func(ctx context.Context, r io.Reader, store tree.Store) (*tree.Tree, error) {
		return tar.Read(ctx, r, store, tar.Limits{})
	},
}

func writeOCI(ctx context.Context, path string, images []*Image, o spec.Output) error {
	profile, err := compress.Named(o.Compression())
	if err != nil {
		return err
	}
	var out []oci.Image
	for _, img := range images {
		c, err := img.container(ctx)
		if err != nil {
			return err
		}
		out = append(out, c)
	}
	options := oci.Options{Archive: layerArchive, Name: o.Tag}
	if profile != compress.None {
		options.Compression = profile
	}
	_, err = oci.Write(ctx, path, out, options)
	return err
}

func writeDocker(ctx context.Context, w io.Writer, img *Image, o spec.Output) error {
	name := o.Tag
	if name == "" {
		name = "image:latest"
	}
	c, err := img.container(ctx)
	if err != nil {
		return err
	}
	return oci.WriteDocker(ctx, w, c, name, layerArchive)
}

// container is the image as container tools know it.
func (i *Image) container(ctx context.Context) (oci.Image, error) {
	layers, err := i.layers(ctx)
	s := i.Spec.OCI
	env := slices.Sorted(maps.Keys(s.Env))
	for n, name := range env {
		env[n] = name + "=" + s.Env[name]
	}
	if _, ok := s.Env["PATH"]; !ok {
		env = slices.Insert(env, 0, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return oci.Image{
		Platform: platform(i.Lock.System.Arch),
		Config: oci.Config{
			User: s.User, Env: env, Entrypoint: s.Entrypoint, Cmd: s.Cmd, WorkingDir: s.WorkingDir,
			ExposedPorts: s.ExposedPorts, Volumes: s.Volumes, StopSignal: s.StopSignal, Labels: s.Labels,
		},
		Created: tree.TimeOf(i.Epoch),
		Layers:  layers,
	}, err
}

// platforms are Go's words for the architectures of distributions, which are
// those of container images.
var platforms = map[string]oci.Platform{
	"x86_64": {Architecture: "amd64"}, "i386": {Architecture: "386"}, "x86": {Architecture: "386"}, "i686": {Architecture: "386"},
	"aarch64": {Architecture: "arm64", Variant: "v8"}, "arm64": {Architecture: "arm64", Variant: "v8"},
	"armhf": {Architecture: "arm", Variant: "v7"}, "armv7": {Architecture: "arm", Variant: "v7"}, "armv7h": {Architecture: "arm", Variant: "v7"}, "armel": {Architecture: "arm", Variant: "v5"},
	"ppc64el": {Architecture: "ppc64le"},
}

func platform(arch string) oci.Platform {
	p, ok := platforms[arch]
	if !ok {
		p.Architecture = arch // amd64, riscv64, s390x and others are called the same
	}
	p.OS = "linux"
	return p
}
