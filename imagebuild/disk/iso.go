package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/verity"
)

// endOfTable is what a GUID partition table has at the end of a disk, in
// bytes.
const endOfTable = 33 * 512

// WriteISO writes an ISO 9660 image to f that boots the tree from a CD, a DVD
// or a USB stick, by EFI firmware and, where the tree has isolinux, by BIOSes.
// The root is a squashfs or EROFS file in it, under memory. Spool, empty, keeps
// what is put together before it is written, and is read until WriteISO
// returns. Options are those of a disk, without a size; Label is the volume's,
// by default one that follows from the tree.
func WriteISO(ctx context.Context, f, spool File, t *tree.Tree, o Options) (*Layout, error) {
	l, err := writeISO(ctx, f, spool, t, o)
	if err != nil {
		return nil, fmt.Errorf("writing an ISO 9660 image: %w", err)
	}
	return l, nil
}

func writeISO(ctx context.Context, f, spool File, t *tree.Tree, o Options) (*Layout, error) {
	o, err := o.forISO()
	if err != nil {
		return nil, err
	}
	w := &burning{spool: spool, o: o, seed: newSeed(t, o), planting: planting{time: o.Time}}
	w.label = o.Label
	if w.label == "" {
		w.label = "SAMEBITS_" + strings.ToUpper(w.seed.short())
	}
	m, err := machineOf(o.Arch)
	if err != nil {
		return nil, err
	}
	boot, err := newBooting(ctx, t, o, m)
	if err != nil {
		return nil, err
	}
	if err := w.putRoot(ctx, t); err != nil {
		return nil, err
	}
	return w.burn(ctx, f, t, boot)
}

// A burning is an image that is being written.
type burning struct {
	spool    File
	used     int64 // of spool
	o        Options
	seed     seed
	label    string
	rootHash *verity.Digest
	planting // of the files in it
}

// next is where the next file is written in the spool.
func (w *burning) next() *io.OffsetWriter { return io.NewOffsetWriter(w.spool, w.used) }

// take is what was written there, of a size.
func (w *burning) take(size int64) *io.SectionReader {
	r := io.NewSectionReader(padded{w.spool}, w.used, size)
	w.used += up(size)
	return r
}

func (w *burning) rootPath() string { return "live/root." + w.o.FileSystem }

// putRoot puts the root's file system and its hash tree.
func (w *burning) putRoot(ctx context.Context, t *tree.Tree) error {
	n, err := writeRoot(ctx, w.next(), t, w.o, w.seed, 0)
	if err != nil {
		return fmt.Errorf("the root's file system: %w", err)
	}
	root := w.take(n)
	w.section(w.rootPath(), root)
	if !w.o.Verity {
		return nil
	}
	salt := w.seed.id("verity salt")
	hash, n, err := verity.Write(ctx, root, root.Size(), w.next(), verity.Options{Salt: salt[:], UUID: w.seed.id("verity")})
	if err != nil {
		return fmt.Errorf("the root's hash tree: %w", err)
	}
	w.rootHash = &hash
	w.section(w.rootPath()+"-verity", w.take(n))
	return nil
}

func (w *burning) cmdline() string {
	words := []string{"root=LABEL=" + w.label, "samebits.image=/" + w.rootPath(), "rootfstype=" + w.o.FileSystem, "ro", "samebits.overlay"}
	if w.rootHash != nil {
		words = append(words, "roothash="+hex.EncodeToString(w.rootHash[:]))
	}
	if w.o.Cmdline != "" {
		words = append(words, w.o.Cmdline)
	}
	return strings.Join(words, " ")
}

// burn writes the image.
func (w *burning) burn(ctx context.Context, f File, t *tree.Tree, boot *booting) (*Layout, error) {
	esp, err := boot.esp(ctx, w.cmdline())
	if err != nil {
		return nil, err
	}
	n, err := fat.Write(ctx, w.next(), esp, fat.Options{VolumeID: w.seed.serial("esp file system"), Label: "ESP", DropModes: true, ClampTimes: true})
	if err != nil {
		return nil, fmt.Errorf("the EFI boot image: %w", err)
	}
	r := w.take(n)
	o := iso.Options{
		VolumeID: w.label, Preparer: "SAMEBITS", Time: w.o.Time, ClampTimes: true, Reserve: endOfTable,
		UEFI: &iso.BootImage{Content: tree.Section(r, 0, n), Size: n},
	}
	code, err := w.putISOLinux(t, boot, &o)
	if err != nil {
		return nil, err
	}
	files, err := w.freeze(ctx)
	if err != nil {
		return nil, err
	}
	at, err := iso.Write(ctx, f, files, o)
	if err != nil {
		return nil, err
	}
	table := gpt.Table{ID: w.seed.guid("disk"), Size: at.Size, Signature: w.seed.serial("disk"), Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: w.seed.guid("esp"), Name: "esp", Attributes: gpt.NoAutoDiscovered, Start: at.UEFI.Offset, Size: at.UEFI.Length},
	}}
	if code != nil {
		// The code finds the loader by its first sector of 512 bytes.
		table.BootCode = binary.LittleEndian.AppendUint64(code[:len(code):len(code)], uint64(at.BIOS.Offset/512))
	}
	placed, err := table.Layout()
	if err != nil {
		return nil, err
	}
	if err := placed.WriteTo(f); err != nil {
		return nil, err
	}
	return &Layout{Size: at.Size, Partitions: placed.Partitions, Cmdline: w.cmdline(), RootHash: w.rootHash, Boot: boot.loader, Kernel: boot.kernel.Release}, nil
}

// codeSize is how much of isohdpfx.bin is code.
const codeSize = 432

// putISOLinux puts what BIOSes boot by, where the tree has it, and returns the
// code for the disk's first sector.
func (w *burning) putISOLinux(t *tree.Tree, boot *booting, o *iso.Options) ([]byte, error) {
	find := func(names ...string) (tree.Node, bool) {
		for _, name := range names {
			if n, ok := t.File("usr/" + name); ok {
				return n, true
			}
		}
		return tree.Node{}, false
	}
	loader, ok := find("lib/ISOLINUX/isolinux.bin", "share/syslinux/isolinux.bin", "lib/syslinux/bios/isolinux.bin")
	module, hasModule := find("lib/syslinux/modules/bios/ldlinux.c32", "share/syslinux/ldlinux.c32", "lib/syslinux/bios/ldlinux.c32")
	first, hasFirst := find("lib/ISOLINUX/isohdpfx.bin", "share/syslinux/isohdpfx.bin", "lib/syslinux/bios/isohdpfx.bin")
	if !ok || !hasModule || !hasFirst {
		return nil, nil
	}
	r, err := section(loader)
	if err != nil {
		return nil, err
	}
	o.BIOS, o.BIOSInfoTable = &iso.BootImage{Content: tree.Section(r, 0, r.Size()), Size: r.Size()}, true
	w.file("isolinux/ldlinux.c32", module.Inode().Content, module.Inode().Size)
	kernel := boot.kernel.Image.Inode()
	w.file("boot/kernel", kernel.Content, kernel.Size)
	config := "default linux\nlabel linux\nkernel /boot/kernel\nappend " + w.cmdline()
	if boot.initrd != nil {
		w.section("boot/initrd.img", boot.initrd)
		config += " initrd=/boot/initrd.img"
	}
	w.text("isolinux/isolinux.cfg", config+"\n")
	var b bytes.Buffer
	if err := first.CopyTo(&b); err != nil {
		return nil, err
	}
	if b.Len() < codeSize {
		return nil, fmt.Errorf("%s has %d bytes, fewer than %d", tree.Display(first.Path()), b.Len(), codeSize)
	}
	return b.Bytes()[:codeSize], nil
}
