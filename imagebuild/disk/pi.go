package disk

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/initramfs"
	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	// cardBorder is what the partitions of a card begin at multiples of: what
	// most cards erase at once.
	cardBorder = 4 << 20
	// firmwareFree is what the firmware's partition has room for besides: the
	// next kernel and its initramfs.
	firmwareFree = 128 << 20
	// firmwareLabel is the label that Debian's own images have.
	firmwareLabel = "RASPIFIRM"
)

// writePi writes a card for a Raspberry Pi: a master boot record, a partition
// of FAT32 with all that its firmware reads, and the root, unless there is to
// be none.
func writePi(ctx context.Context, f File, t *tree.Tree, o Options) (*Layout, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c := &card{file: f, o: o, seed: newSeed(t, o), grows: o.grows(t), label: firmwareLabel}
	if o.FileSystem == NoRoot {
		return c.writeFirmwareOnly(ctx, t)
	}
	if err := c.prepare(ctx, t); err != nil {
		return nil, err
	}
	if err := c.reserve(ctx); err != nil {
		return nil, err
	}
	if err := c.writeRoot(ctx, t); err != nil {
		return nil, err
	}
	if err := c.writeFirmware(ctx); err != nil {
		return nil, err
	}
	return c.finish()
}

// A card is one that is being written.
type card struct {
	file  File
	o     Options
	seed  seed
	grows bool
	label string // of the firmware's partition

	kernel  initramfs.Kernel
	files   *tree.Tree // of the firmware's partition
	told    string     // to the kernel
	boot    gpt.MBRPartition
	root    gpt.MBRPartition
	hasRoot bool
}

// prepare finds what the card boots with and what its firmware reads.
func (c *card) prepare(ctx context.Context, t *tree.Tree) error {
	if debianName(c.o.Arch) != "arm64" {
		return fmt.Errorf("cards for Raspberry Pis are of the architecture arm64, and the image is of %s", c.o.Arch)
	}
	var err error
	if c.kernel, err = initramfs.FindKernel(t, c.o.Kernel); err != nil {
		return err
	}
	image, err := section(c.kernel.Image)
	if err != nil {
		return err
	}
	if !startable(image) {
		return fmt.Errorf("%s is no kernel that the firmware of a Raspberry Pi starts: an Image of arm64, as it is or by gzip", tree.Display(c.kernel.Image.Path()))
	}
	p := &firmware{files: map[string]tree.Inode{}}
	if err := p.collect(t, c.kernel); err != nil {
		return err
	}
	initrd, err := initrdOf(ctx, t, c.kernel, c.o)
	if err != nil {
		return err
	}
	name := c.kernel.Image.Name()
	p.section(name, image, c.o.Time)
	var initrdName string
	if initrd != nil {
		initrdName = nameOfInitramfs(c.kernel)
		p.section(initrdName, initrd, c.o.Time)
	}
	c.told = c.cmdline(p.upstream)
	p.text("cmdline.txt", c.told+"\n", c.o.Time)
	if err := p.configure(t, name, initrdName, c.o.Time); err != nil {
		return err
	}
	c.files, err = p.freeze(ctx, c.o.Time)
	return err
}

// startable reports whether the firmware starts a kernel, by its first bytes,
// as the kernel's Documentation/arch/arm64/booting.rst tells them.
func startable(r io.ReaderAt) bool {
	var head [64]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return false
	}
	return string(head[56:60]) == "ARM\x64" || head[0] == 0x1F && head[1] == 0x8B
}

// nameOfInitramfs is how a kernel's initramfs is called beside it.
func nameOfInitramfs(k initramfs.Kernel) string {
	kernel := k.Image.Name()
	switch {
	case k.HasInitramfs:
		return k.Initramfs.Name()
	case strings.HasSuffix(kernel, "-"+k.Release):
		return "initrd.img-" + k.Release
	}
	_, flavour, _ := strings.Cut(kernel, "-")
	return strings.TrimSuffix("initramfs-"+flavour, "-")
}

// signature is what Linux tells the card's partitions by.
func (c *card) signature() uint32 { return c.seed.serial("disk") }

// cmdline is what the kernel is told. Kernels of Linux's own tree have the
// serial console under another name than those of Raspberry Pi's, for which the
// firmware puts in the right one.
func (c *card) cmdline(upstream bool) string {
	o := c.o
	var words []string
	if !strings.Contains(" "+o.Cmdline, " console=") {
		if upstream {
			words = append(words, "console=tty0", "console=ttyS1,115200")
		} else {
			words = append(words, "console=serial0,115200", "console=tty1")
		}
	}
	if o.Initramfs == SystemInitramfs && o.FileSystem == Ext4 {
		words = append(words, "root=UUID="+string(c.seed.guid("root file system")))
	} else {
		words = append(words, fmt.Sprintf("root=PARTUUID=%08x-02", c.signature()))
	}
	words = append(words, "rootfstype="+o.FileSystem)
	if o.FileSystem == Ext4 && !o.Overlay {
		words = append(words, "rw")
	} else {
		words = append(words, "ro")
	}
	if o.Initramfs != OwnInitramfs {
		words = append(words, "rootwait") // which else would not
	}
	if o.Overlay {
		words = append(words, "samebits.overlay")
	}
	if c.grows {
		words = append(words, "samebits.grow")
	}
	if o.Cmdline != "" {
		words = append(words, o.Cmdline)
	}
	return strings.Join(words, " ")
}

func upTo(n, border int64) int64 { return (n + border - 1) / border * border }

// reserve finds out how large the firmware's partition is.
func (c *card) reserve(ctx context.Context) error {
	c.boot = gpt.MBRPartition{Type: gpt.MBRFAT32, Start: cardBorder}
	size, err := c.fat(ctx, nowhere{}, 0, firmwareFree)
	c.boot.Size = upTo(size, cardBorder)
	return err
}

// fat writes the firmware's partition, of a size or with free bytes.
func (c *card) fat(ctx context.Context, w io.WriterAt, size, free int64) (int64, error) {
	n, err := fat.Write(ctx, w, c.files, fat.Options{
		Type: fat.FAT32, Size: size, Free: free, VolumeID: c.seed.serial("firmware file system"), Label: c.label, Start: c.boot.Start,
		DropOwners: true, DropModes: true, DropLinks: true, ClampTimes: true,
	})
	if err != nil {
		return 0, fmt.Errorf("the firmware's partition: %w", err)
	}
	return n, nil
}

func (c *card) writeFirmware(ctx context.Context) error {
	_, err := c.fat(ctx, io.NewOffsetWriter(c.file, c.boot.Start), c.boot.Size, 0)
	return err
}

func (c *card) writeRoot(ctx context.Context, t *tree.Tree) error {
	start := c.boot.Start + c.boot.Size
	var size int64
	if c.o.Size != 0 && c.o.FileSystem == Ext4 {
		if size = c.o.Size - start; size <= 0 {
			return c.tooSmall(start)
		}
	}
	n, err := writeRoot(ctx, io.NewOffsetWriter(c.file, start), t, c.o, c.seed, size)
	if err != nil {
		return fmt.Errorf("the root's file system: %w", err)
	}
	c.root, c.hasRoot = gpt.MBRPartition{Type: gpt.MBRLinux, Start: start, Size: up(n)}, true
	return nil
}

func (c *card) tooSmall(least int64) error {
	return fmt.Errorf("a card of %d MiB is too small: what the firmware reads takes %d MiB by itself", c.o.Size/mebibyte, least/mebibyte)
}

// finish writes the table of partitions.
func (c *card) finish() (*Layout, error) {
	table := gpt.MBR{Signature: c.signature(), Size: c.o.Size, Partitions: []gpt.MBRPartition{c.boot}}
	l := &Layout{Cmdline: c.told, Boot: RaspberryPi, Kernel: c.kernel.Release}
	l.Partitions = []gpt.Partition{{Name: "firmware", Start: c.boot.Start, Size: c.boot.Size}}
	if c.hasRoot {
		table.Partitions = append(table.Partitions, c.root)
		l.Partitions = append(l.Partitions, gpt.Partition{Name: "root", Start: c.root.Start, Size: c.root.Size})
	}
	last := table.Partitions[len(table.Partitions)-1]
	if end := last.Start + last.Size; table.Size != 0 && table.Size < end {
		return nil, fmt.Errorf("a card of %d MiB is too small: %d MiB are needed", table.Size/mebibyte, end/mebibyte)
	}
	placed, err := table.Layout()
	if err != nil {
		return nil, err
	}
	l.Size = placed.Size
	return l, placed.WriteTo(c.file)
}

// writeFirmwareOnly writes a card that has no other partition than the
// firmware's, with what the tree has for it, as it is.
func (c *card) writeFirmwareOnly(ctx context.Context, t *tree.Tree) (*Layout, error) {
	p := &firmware{files: map[string]tree.Inode{}}
	if err := p.only(t); err != nil {
		return nil, err
	}
	if in, ok := p.files["cmdline.txt"]; ok {
		text, err := readText(in)
		if err != nil {
			return nil, fmt.Errorf("cmdline.txt: %w", err)
		}
		c.told = strings.TrimSpace(text)
	}
	var err error
	if c.files, err = p.freeze(ctx, c.o.Time); err != nil {
		return nil, err
	}
	if c.o.Label != "" {
		c.label = c.o.Label
	}
	c.boot = gpt.MBRPartition{Type: gpt.MBRFAT32, Start: cardBorder}
	size, free := int64(0), int64(firmwareFree)
	if c.o.Free != nil {
		free = *c.o.Free
	}
	if c.o.Size != 0 {
		if size, free = c.o.Size-cardBorder, 0; size <= 0 {
			return nil, c.tooSmall(cardBorder + mebibyte)
		}
	} else if size, err = c.fat(ctx, nowhere{}, 0, free); err != nil {
		return nil, err
	}
	c.boot.Size = up(size)
	if err := c.writeFirmware(ctx); err != nil {
		return nil, err
	}
	return c.finish()
}
