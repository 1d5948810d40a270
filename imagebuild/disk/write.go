package disk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/verity"
)

// mebibyte is what partitions are aligned to.
const mebibyte = gpt.Alignment

// A File is where a disk is written: empty before, or all zeros.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// A Layout tells what is where on a disk that was written.
type Layout struct {
	Size int64 // bytes; the caller sets that of the file
	// Partitions of a master boot record have a name, start and size only.
	Partitions []gpt.Partition
	// Cmdline is what the kernel has to be told to find the root.
	Cmdline string
	// RootHash is that of the root's hash tree, where there is one.
	RootHash *verity.Digest
	// Boot is what the firmware starts, and Kernel the release of the kernel.
	Boot   Loader
	Kernel string
}

// Write writes a disk with the tree for its root to f, from its byte 0 on.
// What is zero is not written, so that the caller sets the file's size. The
// hash tree is made of what was written.
func Write(ctx context.Context, f File, t *tree.Tree, o Options) (*Layout, error) {
	l, err := write(ctx, f, t, o)
	if err != nil {
		return nil, fmt.Errorf("writing a disk: %w", err)
	}
	return l, nil
}

func write(ctx context.Context, f File, t *tree.Tree, o Options) (*Layout, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if o.Boot == RaspberryPi {
		return writePi(ctx, f, t, o)
	}
	d := &writing{file: f, o: o, seed: newSeed(t, o), grows: o.grows(t), end: mebibyte}
	if d.machine, err = machineOf(o.Arch); err != nil {
		return nil, err
	}
	parts, err := o.parts()
	if err != nil {
		return nil, err
	}
	root, contents, err := split(ctx, t, parts, d.seed, o.Time)
	if err != nil {
		return nil, err
	}
	if err := d.reserveBoot(ctx, t); err != nil {
		return nil, err
	}
	if err := d.writeParts(ctx, parts, contents); err != nil {
		return nil, err
	}
	if err := d.writeRoot(ctx, root); err != nil {
		return nil, err
	}
	if o.Verity {
		if err := d.writeVerity(ctx); err != nil {
			return nil, err
		}
	}
	if d.boot != nil {
		if err := d.writeESP(ctx); err != nil {
			return nil, err
		}
	}
	var code []byte
	if d.bios != nil {
		if code, err = d.writeBIOS(ctx, t); err != nil {
			return nil, err
		}
	}
	return d.finish(code)
}

// A writing is a disk that is being written.
type writing struct {
	file    File
	o       Options
	seed    seed
	machine machine
	boot    *booting // nil without a loader

	grows     bool
	end       int64 // of the partitions so far, a multiple of 1 MiB
	esp, root gpt.Partition
	bios      *gpt.Partition  // nil where BIOSes do not boot it
	parts     []gpt.Partition // besides the disk's own
	hashes    *gpt.Partition
	rootHash  verity.Digest
}

func up(n int64) int64 { return (n + mebibyte - 1) / mebibyte * mebibyte }

// reserveBoot gives what boots its places.
func (d *writing) reserveBoot(ctx context.Context, t *tree.Tree) (err error) {
	if d.o.Boot == NoLoader && !d.o.BIOS {
		return nil
	}
	if d.boot, err = newBooting(ctx, t, d.o, d.machine); err != nil {
		return err
	}
	if err := d.reserve(ctx); err != nil {
		return err
	}
	if d.o.BIOS {
		return d.reserveBIOS(t)
	}
	return nil
}

// reserve finds out how large the EFI system partition is. The root's hash is
// not known yet, but how long it is.
func (d *writing) reserve(ctx context.Context) error {
	size, err := d.fat(ctx, nowhere{}, 0)
	if err != nil {
		return err
	}
	d.esp = gpt.Partition{
		Type: gpt.ESP, ID: d.seed.guid("esp"), Name: "esp",
		Attributes: gpt.NoAutoDiscovered, Start: d.end, Size: up(size),
	}
	// Nothing mounts it by itself, since nothing in the root expects it.
	d.end += d.esp.Size
	return nil
}

type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// fat writes the EFI system partition, of a size if it is not 0.
func (d *writing) fat(ctx context.Context, w io.WriterAt, size int64) (int64, error) {
	t, err := d.boot.esp(ctx, d.cmdline())
	if err != nil {
		return 0, err
	}
	n, err := fat.Write(ctx, w, t, fat.Options{Size: size, VolumeID: d.seed.serial("esp file system"), Label: "ESP", Start: d.esp.Start, DropModes: true, ClampTimes: true})
	if err != nil {
		return 0, fmt.Errorf("the EFI system partition: %w", err)
	}
	return n, nil
}

func (d *writing) writeESP(ctx context.Context) error {
	_, err := d.fat(ctx, io.NewOffsetWriter(d.file, d.esp.Start), d.esp.Size)
	return err
}

// tail is what a GUID partition table has at the disk's end, rounded up.
const tail = mebibyte

func (d *writing) writeRoot(ctx context.Context, t *tree.Tree) error {
	d.root = gpt.Partition{Type: d.machine.root, ID: d.seed.guid("root"), Name: "root-" + d.seed.short(), Start: d.end}
	var size int64
	if d.o.Size != 0 && d.o.FileSystem == Ext4 {
		size = d.o.Size - d.end - tail
		if d.o.Verity {
			size = withHashes(size)
		}
		if size <= 0 {
			return d.tooSmall(d.end + tail)
		}
	}
	n, err := writeRoot(ctx, io.NewOffsetWriter(d.file, d.end), t, d.o, d.seed, size)
	if err != nil {
		return fmt.Errorf("the root's file system: %w", err)
	}
	d.root.Size = up(n)
	if d.o.Verity {
		// The hash tree covers what is there to the partition's end.
		d.root.Attributes |= gpt.ReadOnly
	} else if d.o.FileSystem == Ext4 {
		d.root.Attributes |= gpt.GrowFileSystem
	} else {
		d.root.Attributes |= gpt.ReadOnly
	}
	d.end += d.root.Size
	return nil
}

// withHashes is how much of so many bytes a root can have beside its hashes.
func withHashes(bytes int64) int64 {
	size := bytes / mebibyte * mebibyte
	for size > 0 && size+up(verity.Size(size)) > bytes {
		size -= mebibyte
	}
	return size
}

func (d *writing) tooSmall(least int64) error {
	return fmt.Errorf("a disk of %d MiB is too small: what boots and the tables take %d MiB by themselves", d.o.Size/mebibyte, least/mebibyte)
}

func (d *writing) writeVerity(ctx context.Context) error {
	data := io.NewSectionReader(padded{d.file}, d.root.Start, d.root.Size)
	salt := d.seed.id("verity salt")
	hash, n, err := verity.Write(ctx, data, d.root.Size, io.NewOffsetWriter(d.file, d.end), verity.Options{Salt: salt[:], UUID: d.seed.id("verity")})
	if err != nil {
		return fmt.Errorf("the root's hash tree: %w", err)
	}
	d.rootHash = hash
	d.root.ID = gpt.FormatGUID([16]byte(hash[:16]))
	d.hashes = &gpt.Partition{
		Type: d.machine.verity, ID: gpt.FormatGUID([16]byte(hash[16:])), Name: d.root.Name + "-verity",
		Attributes: gpt.ReadOnly, Start: d.end, Size: up(n),
	}
	d.end += d.hashes.Size
	return nil
}

// padded reads zeros where a file is not that long yet.
type padded struct{ r io.ReaderAt }

func (p padded) ReadAt(b []byte, at int64) (int, error) {
	n, err := p.r.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		clear(b[n:])
		return len(b), nil
	}
	return n, err
}

// cmdline is what the kernel is told.
func (d *writing) cmdline() string {
	var words []string
	switch {
	case d.o.Verity && d.o.Initramfs == SystemInitramfs:
		words = append(words, "root=/dev/mapper/root")
	case d.o.Initramfs == OwnInitramfs, d.o.FileSystem == Squashfs:
		words = append(words, "root=PARTLABEL=root-"+d.seed.short())
	case d.o.Initramfs == NoInitramfs:
		words = append(words, "root=PARTUUID="+string(d.seed.guid("root")))
	default:
		words = append(words, "root=UUID="+string(d.seed.guid("root file system")))
	}
	words = append(words, "rootfstype="+d.o.FileSystem)
	if d.o.FileSystem == Ext4 && !d.o.Verity && !d.o.Overlay {
		words = append(words, "rw")
	} else {
		words = append(words, "ro")
	}
	if d.o.Verity {
		words = append(words, "roothash="+hex.EncodeToString(d.rootHash[:]))
	}
	if d.o.Overlay {
		words = append(words, "samebits.overlay")
	}
	if d.grows {
		words = append(words, "samebits.grow")
	}
	if d.o.Cmdline != "" {
		words = append(words, d.o.Cmdline)
	}
	return strings.Join(words, " ")
}

// finish writes the partition table, and the code that BIOSes run.
func (d *writing) finish(code []byte) (*Layout, error) {
	table := gpt.Table{ID: d.seed.guid("disk"), Size: d.o.Size, Signature: d.seed.serial("disk"), BootCode: code}
	if d.boot != nil {
		table.Partitions = append(table.Partitions, d.esp)
	}
	if d.bios != nil {
		table.Partitions = append(table.Partitions, *d.bios)
	}
	table.Partitions = append(append(table.Partitions, d.parts...), d.root)
	if d.hashes != nil {
		table.Partitions = append(table.Partitions, *d.hashes)
	}
	if table.Size == 0 {
		table.Size = d.end + tail
	} else if table.Size < d.end+tail {
		return nil, fmt.Errorf("a disk of %d MiB is too small: %d MiB are needed", table.Size/mebibyte, (d.end+tail)/mebibyte)
	}
	placed, err := table.Layout()
	if err != nil {
		return nil, err
	}
	if err := placed.WriteTo(d.file); err != nil {
		return nil, err
	}
	l := &Layout{Size: placed.Size, Partitions: placed.Partitions, Cmdline: d.cmdline(), Boot: NoLoader}
	if d.boot != nil {
		l.Boot, l.Kernel = d.boot.loader, d.boot.kernel.Release
	}
	if d.o.Verity {
		l.RootHash = &d.rootHash
	}
	return l, nil
}
