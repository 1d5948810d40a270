package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/initramfs"
	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	// packagedFirmware is where Debian's raspi-firmware has it.
	packagedFirmware = "usr/lib/raspi-firmware"
	// maxText is the largest config.txt or cmdline.txt that is read, in bytes.
	maxText = 1 << 20
)

// mounts are where the firmware's partition is mounted: Debian's place and
// Alpine's, whose packages put the firmware there.
var mounts = []string{"boot/firmware", "boot"}

// A firmware is what will be in the firmware's partition, by paths there.
type firmware struct {
	files map[string]tree.Inode
	// upstream says that the kernel is of Linux's own tree, whose device trees
	// have other names than those of Raspberry Pi's.
	upstream bool
}

// isFirmware reports whether a directory has what the computer starts first,
// of any model: the Pi 5 has that in itself and wants its device tree only.
func isFirmware(dir tree.Node) bool {
	for n := range dir.Children() {
		name := n.Name()
		if !n.Mode().IsDir() && (name == "bootcode.bin" || strings.HasPrefix(name, "start") && strings.HasSuffix(name, ".elf") || isDeviceTree(name) && strings.HasPrefix(name, "bcm2712")) {
			return true
		}
	}
	return false
}

func isDeviceTree(name string) bool {
	return strings.HasPrefix(name, "bcm2") && strings.HasSuffix(name, ".dtb")
}

// dirAt is the directory that a path leads to.
func dirAt(t *tree.Tree, path string) (tree.Node, bool) {
	n, err := t.Resolve(path)
	return n, err == nil && n.Mode().IsDir()
}

// collect takes the firmware and device trees of the image's packages, and what
// it has at the mount point over them.
func (p *firmware) collect(t *tree.Tree, k initramfs.Kernel) error {
	found := false
	if dir, ok := dirAt(t, packagedFirmware); ok {
		if err := p.copy(t, dir, ""); err != nil {
			return err
		}
		found = isFirmware(dir)
	}
	if dir, ok := dirAt(t, "usr/lib/linux-image-"+k.Release+"/broadcom"); ok {
		p.upstream = true
		for n := range dir.Children() {
			if isDeviceTree(n.Name()) && n.Mode().IsRegular() {
				p.files[n.Name()] = n.Inode()
			}
		}
	}
	for _, at := range mounts {
		dir, ok := dirAt(t, at)
		if !ok || at == "boot" && !isFirmware(dir) {
			continue
		}
		if err := p.copy(t, dir, ""); err != nil {
			return err
		}
		found = found || isFirmware(dir)
		break
	}
	if !found {
		return errors.New("the image has no firmware of the Raspberry Pi, neither in /usr/lib/raspi-firmware nor in /boot/firmware nor in /boot; lock the package raspi-firmware (of Debian's component non-free-firmware) or raspberrypi-bootloader (Alpine) too")
	}
	for name := range p.files {
		if isDeviceTree(name) {
			return nil
		}
	}
	return fmt.Errorf("the image has no device tree of a Raspberry Pi for the kernel %s, neither in /usr/lib/linux-image-%[1]s/broadcom nor beside the firmware; lock the kernel linux-image-arm64 (Debian) or linux-rpi (Alpine)", k.Release)
}

// only takes the files of a tree that is, or has in it, the firmware's
// partition, and checks that there is what they tell the firmware to start.
func (p *firmware) only(t *tree.Tree) error {
	for _, at := range append([]string{""}, mounts...) {
		dir, ok := dirAt(t, at)
		if !ok || !isFirmware(dir) {
			continue
		}
		if _, ok := dir.Child("config.txt"); !ok {
			return fmt.Errorf("%s has the firmware of a Raspberry Pi, but no config.txt, which tells it what to start", tree.Display(dir.Path()))
		}
		if err := p.copy(t, dir, ""); err != nil {
			return err
		}
		config, err := p.read("config.txt")
		if err != nil {
			return err
		}
		return p.check(config)
	}
	return errors.New("the image has no firmware of the Raspberry Pi at its top, in /boot/firmware or in /boot: bootcode.bin, start4.elf and so on, with a config.txt")
}

// copy takes what is in a directory. Links to files become these files, and one
// to the directory itself, which Alpine makes, is left out, since FAT has none.
func (p *firmware) copy(t *tree.Tree, dir tree.Node, to string) error {
	for n := range dir.Children() {
		name := path.Join(to, n.Name())
		in := n.Inode()
		if in.Mode.Type() == tree.Symlink {
			target, err := t.Resolve(n.Path())
			if err != nil {
				return &tree.PathError{Path: n.Path(), Err: fmt.Errorf("a link that leads nowhere cannot be on a card: %w", err)}
			}
			if target == dir {
				continue
			}
			if target.Mode().IsRegular() {
				in = target.Inode()
			}
		}
		p.files[name] = in
		if in.Mode.IsDir() {
			if err := p.copy(t, n, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *firmware) section(name string, r *io.SectionReader, at tree.Time) {
	p.files[name] = tree.Inode{Mode: tree.Regular | 0o644, ModTime: at, Size: r.Size(), Content: tree.Section(r, 0, r.Size())}
}

func (p *firmware) text(name, text string, at tree.Time) {
	p.files[name] = tree.Inode{Mode: tree.Regular | 0o644, ModTime: at, Size: int64(len(text)), Content: tree.Bytes([]byte(text))}
}

// freeze is the tree of the partition.
func (p *firmware) freeze(ctx context.Context, at tree.Time) (*tree.Tree, error) {
	var b tree.Builder
	if err := b.Set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: at}); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if err := b.Set(name, p.files[name]); err != nil {
			return nil, err
		}
	}
	return b.Freeze(ctx)
}

// readText is the content of a small file.
func readText(in tree.Inode) (string, error) {
	if !in.Mode.IsRegular() {
		return "", fmt.Errorf("it is no file, but of the type %s", in.Mode.TypeName())
	}
	if in.Size > maxText {
		return "", fmt.Errorf("%d bytes are too many for a text", in.Size)
	}
	if in.Size == 0 {
		return "", nil
	}
	r, err := in.Content.Open()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText))
	return string(text), errors.Join(err, r.Close())
}
