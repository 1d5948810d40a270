package initramfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// usual are the modules by which the disks of common machines are reached.
// Those that a kernel does not have are passed over.
var usual = []string{
	"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "nvme", "ahci", "ahci_platform", "ata_piix", "ata_generic",
	"sd_mod", "sr_mod", "usb_storage", "uas", "xhci_pci", "xhci_plat_hcd", "ehci_pci",
	"mmc_block", "sdhci_pci", "sdhci_acpi", "sdhci_iproc", "sdhci_brcmstb", "bcm2835",
	"fixed", "gpio_regulator", "reset_raspberrypi", // power for the card, and USB, of a Raspberry Pi 4
	"hv_storvsc", "xen_blkfront", "vmw_pvscsi", "mptspi",
	"crc32c_generic", "crc32c_intel", "libcrc32c",
}

// ofVerity are the modules and aliases for hash trees of SHA-256.
var ofVerity = []string{"sha256_generic", "sha256", "crypto-sha256"}

// drivers are the modules of types of file systems that have other names.
var drivers = map[string]string{"ext2": "ext4", "ext3": "ext4", "iso9660": "isofs"}

// drivers are the modules that the options want, and others that are taken
// where they are.
func (o Options) drivers() (wanted, others []string) {
	others = slices.Clone(usual)
	for _, kind := range []string{o.FileSystem, o.Medium} {
		if name, ok := drivers[kind]; ok {
			kind = name
		}
		if kind != "" {
			wanted = append(wanted, kind)
		}
	}
	if o.Medium != "" {
		wanted = append(wanted, "loop")
	}
	if o.Verity {
		wanted, others = append(wanted, "dm_verity"), append(others, ofVerity...)
	}
	if o.Overlay {
		wanted = append(wanted, "overlay")
	}
	return append(wanted, o.Modules...), others
}

// An info is what a module's section .modinfo says of other modules. Names have
// _ for -, those of before and after may be aliases.
type info struct {
	needs         []string
	before, after []string
}

// readInfo reads the .modinfo of an unpacked module.
func readInfo(r io.ReaderAt) (info, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return info{}, err
	}
	section := f.Section(".modinfo")
	switch {
	case section == nil:
		return info{}, errors.New("it has no .modinfo")
	case section.Type == elf.SHT_NOBITS || section.Flags&elf.SHF_COMPRESSED != 0 || section.Size > maxModule:
		return info{}, errors.New("its .modinfo cannot be read")
	}
	data, err := section.Data()
	if err != nil {
		return info{}, fmt.Errorf("its .modinfo: %w", err)
	}
	var in info
	for field := range strings.SplitSeq(string(data), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					in.needs = append(in.needs, canonical(name))
				}
			}
		case "softdep":
			in.soft(value)
		}
	}
	for _, name := range slices.Concat(in.needs, in.before, in.after) {
		if err := tree.CheckName(name); err != nil {
			return info{}, fmt.Errorf("its .modinfo names the module %q: %w", name, err)
		}
	}
	return in, nil
}

// soft reads "pre: a b post: c".
func (in *info) soft(value string) {
	var to *[]string
	for word := range strings.FieldsSeq(value) {
		switch {
		case word == "pre:":
			to = &in.before
		case word == "post:":
			to = &in.after
		case to != nil:
			*to = append(*to, canonical(word))
		}
	}
}

// A collection takes modules from a shelf, each after what it needs.
type collection struct {
	*shelf
	out   []*module
	taken map[string]bool
}

// wanted takes a module that has to be there or built in, or one that is an
// alias of such.
func (c *collection) wanted(name string) error {
	return c.must(canonical(name), nil)
}

// optional takes the modules of a name or alias, if there are some.
func (c *collection) optional(name string) error {
	name = canonical(name)
	names := c.aliases[name]
	if c.has(name) {
		names = []string{name}
	}
	for _, n := range names {
		if c.has(n) {
			if err := c.take(n, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// must takes a module that chain, each needing the next, needs.
func (c *collection) must(name string, chain []string) error {
	if c.has(name) {
		return c.take(name, chain)
	}
	if c.known && !c.builtin[name] {
		return fmt.Errorf("the kernel has no driver %q, as a module or built in", name)
	}
	return nil
}

func (c *collection) take(name string, chain []string) error {
	if i := slices.Index(chain, name); i >= 0 {
		return fmt.Errorf("the modules %s need each other", strings.Join(chain[i:], ", "))
	}
	// One that is being taken and is only wished for before itself is left.
	if c.taken[name] {
		return nil
	}
	c.taken[name] = true
	m, err := c.load(name)
	if err != nil {
		return err
	}
	for _, n := range m.info.before {
		if err := c.optional(n); err != nil {
			return fmt.Errorf("the module %s: %w", name, err)
		}
	}
	for _, n := range m.info.needs {
		if err := c.must(n, append(slices.Clip(chain), name)); err != nil {
			return fmt.Errorf("the module %s: %w", name, err)
		}
	}
	c.out = append(c.out, m)
	for _, n := range m.info.after {
		if err := c.optional(n); err != nil {
			return fmt.Errorf("the module %s: %w", name, err)
		}
	}
	return nil
}
