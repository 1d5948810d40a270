package disk

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/grub"
	"github.com/samebits/samebits/imagebuild/tree"
)

// modules are what GRUB finds a kernel on an EFI system partition by.
var modules = []string{"biosdisk", "part_gpt", "fat", "linux"}

// checkBIOS reports what keeps a disk from being booted by BIOSes.
func (o Options) checkBIOS() error {
	if !o.BIOS {
		return nil
	}
	if o.Boot == RaspberryPi {
		return errors.New("a Raspberry Pi has no BIOS")
	}
	if _, err := grub.Parameters(o.Cmdline); err != nil {
		return fmt.Errorf("booting by a BIOS: %w", err)
	}
	return nil
}

// hasBIOS reports whether there are machines of the architecture with one.
func (m machine) hasBIOS() bool { return m.efi == "x64" || m.efi == "ia32" }

// reserveBIOS gives GRUB's core image a partition, once it is known that it can
// be made.
func (d *writing) reserveBIOS(t *tree.Tree) error {
	if !d.machine.hasBIOS() {
		return fmt.Errorf("there are no machines with a BIOS of the architecture %s", d.o.Arch)
	}
	if _, err := d.boot.core(t, d.cmdline()); err != nil {
		return err
	}
	d.bios = &gpt.Partition{Type: gpt.BIOSBoot, ID: d.seed.guid("bios"), Name: "bios", Start: d.end, Size: up(grub.MaxSize)}
	d.end += d.bios.Size
	return nil
}

// writeBIOS writes the core image, and returns the code for the first sector.
func (d *writing) writeBIOS(ctx context.Context, t *tree.Tree) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	image, err := d.boot.core(t, d.cmdline())
	if err != nil {
		return nil, err
	}
	start := d.bios.Start
	return image.Code(start), image.WriteCore(io.NewOffsetWriter(d.file, start), start)
}

// core is GRUB with the commands to boot what [booting.esp] has, from the first
// partition.
func (b *booting) core(t *tree.Tree, cmdline string) (*grub.Image, error) {
	words, err := grub.Parameters(cmdline)
	if err != nil {
		return nil, err
	}
	lines := [][]string{append([]string{"linux", "/" + b.dir() + "/linux"}, words...)}
	if b.initrd != nil {
		lines = append(lines, []string{"initrd", "/" + b.dir() + "/initrd"})
	}
	o := grub.Options{Modules: modules, Prefix: "(,gpt1)/grub"}
	for _, words := range append(lines, []string{"boot"}) {
		line, err := grub.Command(words...)
		if err != nil {
			return nil, err
		}
		o.Commands += line
	}
	return grub.Make(t, o)
}
