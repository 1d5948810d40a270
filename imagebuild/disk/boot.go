package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/initramfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
)

// maxBootFile is the largest kernel, initramfs or loader that is taken.
const maxBootFile = 1 << 30

// A booting is what a disk boots with.
type booting struct {
	machine   machine
	loader    Loader
	bios      bool      // has GRUB start the kernel, too
	program   tree.Node // the EFI stub or the boot loader, if there is one
	kernel    initramfs.Kernel
	initrd    *io.SectionReader // nil without one
	osRelease []byte
	time      tree.Time
	signing   signing
}

// newBooting finds in the tree what a disk boots with, and makes its
// initramfs.
func newBooting(ctx context.Context, t *tree.Tree, o Options, m machine) (*booting, error) {
	b := &booting{machine: m, loader: o.Boot, bios: o.BIOS, time: o.Time, signing: signing{o.Signer}}
	var err error
	if b.loader != NoLoader {
		if err = b.findLoader(t); err != nil {
			return nil, err
		}
	}
	if b.kernel, err = initramfs.FindKernel(t, o.Kernel); err != nil {
		return nil, err
	}
	if b.initrd, err = initrdOf(ctx, t, b.kernel, o); err != nil {
		return nil, err
	}
	b.osRelease, err = osRelease(t)
	return b, err
}

// findLoader finds what the firmware starts.
func (b *booting) findLoader(t *tree.Tree) error {
	if b.machine.efi == "" {
		return errors.New("the architecture has no EFI firmware, which a disk boots by; write one with boot none, and a kernel beside it")
	}
	const dir = "usr/lib/systemd/boot/efi/"
	stub, loader := dir+"linux"+b.machine.efi+".efi.stub", dir+"systemd-boot"+b.machine.efi+".efi"
	for _, p := range []struct {
		loader Loader
		path   string
	}{{UKI, stub}, {SystemdBoot, loader}} {
		if b.loader != "" && b.loader != p.loader {
			continue
		}
		if n, ok := t.File(p.path); ok {
			b.loader, b.program = p.loader, n
			return nil
		}
	}
	missing := stub
	if b.loader == SystemdBoot {
		missing = loader
	}
	return fmt.Errorf("the image has nothing that EFI firmware could start: no /%s; lock the package systemd-boot-efi (Debian), systemd-boot (Ubuntu), systemd-efistub (Alpine), systemd (Arch) or systemd-boot-unsigned (Fedora) too, or choose the boot none", missing)
}

// initrdOf is the initramfs that a kernel boots with, nil for none.
func initrdOf(ctx context.Context, t *tree.Tree, k initramfs.Kernel, o Options) (*io.SectionReader, error) {
	switch o.Initramfs {
	case NoInitramfs:
		return nil, nil
	case SystemInitramfs:
		if !k.HasInitramfs {
			return nil, fmt.Errorf("the image has no initramfs for the kernel %s; lock a package that makes one, such as initramfs-tools (Debian), and run the packages' scripts, or take our own", k.Release)
		}
		return section(k.Initramfs)
	}
	small, err := initramfs.Make(ctx, t, k, initramfs.Options{FileSystem: o.FileSystem, Verity: o.Verity, Overlay: o.Overlay, Grow: o.grows(t), MBR: o.Boot == RaspberryPi, Medium: o.medium, Time: o.Time})
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := compress.Gzip.NewWriter(&packed)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(cpio.Write(ctx, w, small, cpio.Options{ClampTimes: true}), w.Close()); err != nil {
		return nil, err
	}
	return io.NewSectionReader(bytes.NewReader(packed.Bytes()), 0, int64(packed.Len())), nil
}

// section is the content of a file for reading at random.
func section(n tree.Node) (*io.SectionReader, error) {
	size := n.Inode().Size
	if size > maxBootFile {
		return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("%d bytes are too many for what boots", size)}
	}
	var b bytes.Buffer
	b.Grow(int(size))
	if err := n.CopyTo(&b); err != nil {
		return nil, err
	}
	return io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, size), nil
}

func osRelease(t *tree.Tree) ([]byte, error) {
	for _, p := range []string{"etc/os-release", "usr/lib/os-release"} {
		if n, ok := t.File(p); ok {
			var b bytes.Buffer
			err := n.CopyTo(&b)
			return b.Bytes(), err
		}
	}
	return nil, nil
}

// esp is the tree of an EFI system partition whose kernel is told cmdline.
func (b *booting) esp(ctx context.Context, cmdline string) (*tree.Tree, error) {
	kernel, err := section(b.kernel.Image)
	if err == nil && (b.loader == UKI || b.loader == SystemdBoot) {
		kernel, err = b.signing.section(kernel)
	}
	if err != nil {
		return nil, fmt.Errorf("the kernel %s: %w", b.kernel.Release, err)
	}
	p := planting{time: b.time}
	if b.bios || b.loader == SystemdBoot {
		p.section(b.dir()+"/linux", kernel)
		if b.initrd != nil {
			p.section(b.dir()+"/initrd", b.initrd)
		}
	}
	if b.loader == NoLoader {
		return p.freeze(ctx)
	}
	program, err := section(b.program)
	if err != nil {
		return nil, err
	}
	removable := "EFI/BOOT/BOOT" + strings.ToUpper(b.machine.efi) + ".EFI"
	if b.loader == UKI {
		o := uki.Options{Stub: program, Linux: kernel, OSRelease: b.osRelease, Uname: b.kernel.Release, Cmdline: cmdline}
		if b.initrd != nil {
			o.Initrds = []*io.SectionReader{b.initrd}
		}
		image, err := uki.New(o)
		if err != nil {
			return nil, fmt.Errorf("the kernel %s: %w", b.kernel.Release, err)
		}
		signed, err := b.signing.program(image)
		if err != nil {
			return nil, err
		}
		p.file(removable, signed, signed.Size())
		return p.freeze(ctx)
	}
	if program, err = b.signing.section(program); err != nil {
		return nil, fmt.Errorf("the boot loader: %w", err)
	}
	p.section(removable, program)
	p.section("EFI/systemd/systemd-boot"+b.machine.efi+".efi", program)
	p.text("loader/loader.conf", "timeout 0\n")
	entry := "title " + title(b.osRelease) + "\nversion " + b.kernel.Release + "\nlinux /" + b.dir() + "/linux\n"
	if b.initrd != nil {
		entry += "initrd /" + b.dir() + "/initrd\n"
	}
	p.text("loader/entries/samebits.conf", entry+"options "+cmdline+"\n")
	return p.freeze(ctx)
}

// dir is where an EFI system partition has the kernel and its initramfs as
// files, for loaders.
func (b *booting) dir() string { return "samebits/" + b.kernel.Release }

// title is what os-release calls the system.
func title(osRelease []byte) string {
	for line := range strings.Lines(string(osRelease)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return "Linux"
}

// A planting is a tree of files that is being made, all of one time.
type planting struct {
	time tree.Time
	b    tree.Builder
	err  error
}

func (p *planting) file(name string, c tree.Content, size int64) {
	p.parents(name)
	p.note(p.b.Add(name, tree.Inode{Mode: tree.Regular | 0o644, ModTime: p.time, Size: size, Content: c}))
}

func (p *planting) section(name string, r *io.SectionReader) {
	p.file(name, tree.Section(r, 0, r.Size()), r.Size())
}

func (p *planting) text(name, text string) {
	p.file(name, tree.Bytes([]byte(text)), int64(len(text)))
}

func (p *planting) parents(name string) {
	for i, c := range name {
		if c != '/' {
			continue
		}
		if _, ok := p.b.Lookup(name[:i]); !ok {
			p.note(p.b.Add(name[:i], tree.Inode{Mode: tree.Directory | 0o755, ModTime: p.time}))
		}
	}
}

func (p *planting) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *planting) freeze(ctx context.Context) (*tree.Tree, error) {
	if p.err != nil {
		return nil, p.err
	}
	return p.b.Freeze(ctx)
}
