package imagebuild

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
)

// writeAtRandom writes a file that is not written in order, and compresses it
// afterwards where that is wanted.
func writeAtRandom(ctx context.Context, f format, out *os.File, img *Image, o spec.Output) error {
	profile, err := compress.Named(o.Compression())
	if err != nil {
		return err
	}
	if profile == compress.None {
		size, err := f.file(ctx, out, img, o)
		if err != nil {
			return err
		}
		return out.Truncate(size)
	}
	return spooled(o.Dest, func(raw *os.File) error {
		size, err := f.file(ctx, raw, img, o)
		if err != nil {
			return err
		}
		if err := raw.Truncate(size); err != nil {
			return err
		}
		buffered := bufio.NewWriterSize(out, 1<<20)
		packed, err := profile.NewWriter(buffered)
		if err != nil {
			return err
		}
		_, err = io.Copy(packed, io.NewSectionReader(raw, 0, size))
		return errors.Join(err, packed.Close(), buffered.Flush())
	})
}

// spooled gives use a file beside a destination that is gone afterwards.
func spooled(dest string, use func(*os.File) error) error {
	f, err := besides(dest)
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(f.Name()), use(f), f.Close())
}

// CheckOutput reports what is wrong with an output, before an image is there.
func CheckOutput(o spec.Output) error {
	var err error
	switch options := outputOptions(o); o.Type {
	case "disk":
		err = options.Check()
	case "iso":
		err = options.CheckISO()
	case "ext4", "squashfs", "erofs":
		options.FileSystem = o.Type
		err = options.Check()
	}
	if err != nil {
		return fmt.Errorf("output %s: %w", o.Dest, err)
	}
	return nil
}

// diskOptions are those of what boots.
func diskOptions(img *Image, o spec.Output) disk.Options {
	out := outputOptions(o)
	out.Arch, out.Time, out.Signer = img.Lock.System.Arch, tree.TimeOf(img.Epoch), img.signer
	return out
}

// outputOptions are those that follow from an output alone.
func outputOptions(o spec.Output) disk.Options {
	out := disk.Options{
		Label:      o.Label,
		FileSystem: o.Root, Compression: o.RootCompress, DropACLs: true, Verity: o.Verity, Overlay: o.Overlay,
		Size: o.Size.Int64(), Boot: disk.Loader(o.Boot), Kernel: o.Kernel,
		Initramfs: disk.Initramfs(o.Initramfs), Cmdline: o.Cmdline,
	}
	out.Grow, out.BIOS = o.Grow, o.BIOS
	for _, p := range o.Partitions {
		out.Partitions = append(out.Partitions, disk.Partition{
			Type: p.Type, Size: p.Size.Int64(), FileSystem: p.FileSystem, Label: p.Label, Mount: p.Mount, From: p.From,
		})
	}
	if o.Free != nil {
		free := o.Free.Int64()
		out.Free = &free
	}
	return out
}

func writeDisk(ctx context.Context, f *os.File, img *Image, o spec.Output) (int64, error) {
	if o.DiskFormat() == "raw" {
		return writeRaw(ctx, f, img, o)
	}
	var size int64
	err := spooled(o.Dest, func(raw *os.File) error {
		n, err := writeRaw(ctx, raw, img, o)
		if err != nil {
			return err
		}
		if err := raw.Truncate(n); err != nil {
			return err
		}
		size, err = qcow2.Write(ctx, holed{raw, n}, n, f, qcow2.Options{})
		return err
	})
	return size, err
}

func writeRaw(ctx context.Context, f *os.File, img *Image, o spec.Output) (int64, error) {
	l, err := disk.Write(ctx, f, img.Tree, diskOptions(img, o))
	if err != nil {
		return 0, err
	}
	return l.Size, nil
}

// holed is a file that tells where it has data.
type holed struct {
	*os.File
	size int64
}

// Extents tells of no holes where the file system does not.
func (h holed) Extents() []tree.Extent {
	var list []tree.Extent
	for at := int64(0); at < h.size; {
		data, err := unix.Seek(int(h.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		end, endErr := unix.Seek(int(h.Fd()), data, unix.SEEK_HOLE)
		if err != nil || endErr != nil {
			return []tree.Extent{{Offset: 0, Length: h.size}}
		}
		list = append(list, tree.Extent{Offset: data, Length: min(end, h.size) - data})
		at = end
	}
	return list
}

func writeISO(ctx context.Context, f *os.File, img *Image, o spec.Output) (n int64, err error) {
	err = spooled(o.Dest, func(spool *os.File) error {
		l, err := disk.WriteISO(ctx, f, spool, img.Tree, diskOptions(img, o))
		if err == nil {
			n = l.Size
		}
		return err
	})
	return n, err
}

func writeFileSystem(ctx context.Context, f *os.File, img *Image, o spec.Output) (int64, error) {
	options := diskOptions(img, o)
	options.FileSystem = o.Type
	return disk.WriteFileSystem(ctx, f, img.Tree, options)
}

func writeUKI(ctx context.Context, f *os.File, img *Image, o spec.Output) (n int64, err error) {
	err = spooled(o.Dest, func(initrd *os.File) error {
		l, err := disk.NewLive(ctx, img.Tree, initrd, diskOptions(img, o))
		if err != nil {
			return err
		}
		image, err := l.UKI()
		if err != nil {
			return err
		}
		r, err := image.Open()
		if err != nil {
			return err
		}
		n, err = io.Copy(f, r)
		return errors.Join(err, r.Close())
	})
	return n, err
}

// writeKernel writes a directory with what a machine boots directly.
func writeKernel(ctx context.Context, path string, images []*Image, o spec.Output) (err error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	initrd, err := os.OpenFile(filepath.Join(path, "initrd.img"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, initrd.Close()) }()
	l, err := disk.NewLive(ctx, images[0].Tree, initrd, diskOptions(images[0], o))
	if err != nil {
		return err
	}
	kernel, err := io.ReadAll(l.Kernel)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(path, "kernel"), kernel, 0o644),
		os.WriteFile(filepath.Join(path, "cmdline"), []byte(l.Cmdline+"\n"), 0o644))
}
