package initramfs

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Options say what an initramfs is for.
type Options struct {
	// FileSystem is the type of the root's, as mount has it, such as "ext4",
	// "erofs", "squashfs" or "iso9660".
	FileSystem string
	// Verity has what roothash= wants, Overlay what samebits.overlay wants, Grow
	// what samebits.grow wants. What is done is for the command line to say.
	Verity, Overlay, Grow bool
	// MBR has what root=PARTUUID= of a disk with a master boot record wants.
	MBR bool
	// Medium is the type of the file system that has the root as a file, which
	// samebits.image= names, such as "iso9660"; "" where the root has a disk or
	// partition of its own.
	Medium string
	// Modules are further ones to load, besides those of common disks; it is an
	// error where the kernel does not have them.
	Modules []string
	// Time is that of all files.
	Time tree.Time
}

// ErrNoProgram says that the image lacks a program that the initramfs wants.
// The message names the packages that have it.
var ErrNoProgram = errors.New("the image lacks a program that the initramfs wants")

//go:embed init.sh
var script string

// A program is one that an initramfs has.
type program struct {
	name   string
	paths  []string // the first that there is is taken
	remedy string
}

var (
	busybox = program{"busybox",
		[]string{"bin/busybox.static", "usr/bin/busybox.static", "bin/busybox", "usr/bin/busybox", "usr/sbin/busybox", "sbin/busybox", "usr/lib/initcpio/busybox"},
		"lock the package busybox-static or busybox (Debian), busybox (Alpine, Arch, Fedora) too"}
	veritysetup = program{"veritysetup", inSbin("veritysetup"),
		"lock the package cryptsetup-bin (Debian), cryptsetup (Alpine, Arch) or veritysetup (Fedora) too"}
	sfdisk = program{"sfdisk", inSbin("sfdisk"),
		"lock the package fdisk (Debian), sfdisk (Alpine) or util-linux (Arch, Fedora) too, or let the root not grow"}
	resize2fs = program{"resize2fs", inSbin("resize2fs"),
		"lock the package e2fsprogs (Debian, Arch, Fedora) or e2fsprogs-extra (Alpine) too, or let the root not grow"}
)

func inSbin(name string) []string {
	return []string{"sbin/" + name, "usr/sbin/" + name, "usr/bin/" + name, "bin/" + name}
}

// applets are those of busybox that the script calls.
var applets = []string{"cat", "findfs", "insmod", "losetup", "mkdir", "mount", "readlink", "reboot", "sh", "sleep", "switch_root"}

// ofMBR are those for root=PARTUUID= besides.
var ofMBR = []string{"hexdump"}

// Make makes the initramfs of a kernel of the image. An error that wraps
// ErrNoProgram says that the image lacks a program.
func Make(ctx context.Context, image *tree.Tree, k Kernel, o Options) (*tree.Tree, error) {
	m := &making{image: image, time: o.Time, linker: linker{image: image, read: map[string]object{}}, put: map[tree.Node]string{}}
	if err := m.programs(o); err != nil {
		return nil, err
	}
	if err := m.modules(ctx, k, o); err != nil {
		return nil, fmt.Errorf("the initramfs of the kernel %s: %w", k.Release, err)
	}
	m.file("init", 0o755, []byte(script))
	for _, dir := range []string{"dev", "proc", "sys", "run", "root", "lower", "over", "medium"} {
		m.dir(dir)
	}
	// The first process has its input and output there before anything is mounted.
	m.add("dev/console", tree.Inode{Mode: tree.CharDev | 0o600, Major: 5, Minor: 1})
	if m.failed != nil {
		return nil, m.failed
	}
	return m.b.Freeze(ctx)
}

// A making is an initramfs that is being made.
type making struct {
	linker
	image  *tree.Tree
	time   tree.Time
	b      tree.Builder
	put    map[tree.Node]string // where the files of the image are
	failed error                // of b, the first
}

func (m *making) note(err error) {
	if err != nil && m.failed == nil {
		m.failed = err
	}
}

func (m *making) add(name string, in tree.Inode) {
	m.dir(path.Dir(name))
	in.ModTime = m.time
	m.note(m.b.Add(name, in))
}

// dir makes a directory and those that it is in.
func (m *making) dir(name string) {
	if name == "." {
		m.note(m.b.Set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: m.time}))
		return
	}
	if _, ok := m.b.Lookup(name); !ok {
		m.add(name, tree.Inode{Mode: tree.Directory | 0o755})
	}
}

func (m *making) file(name string, mode tree.Mode, data []byte) {
	m.add(name, tree.Inode{Mode: tree.Regular | mode, Size: int64(len(data)), Content: tree.Bytes(data)})
}

// programs puts busybox and what the options want.
func (m *making) programs(o Options) error {
	wanted := []program{busybox}
	if o.Verity {
		wanted = append(wanted, veritysetup)
	}
	if o.Grow {
		wanted = append(wanted, sfdisk, resize2fs)
	}
	for _, p := range wanted {
		n, at, ok := firstFile(m.image, p.paths...)
		if !ok {
			return fmt.Errorf("%w: %s; %s", ErrNoProgram, p.name, p.remedy)
		}
		if p.name == busybox.name {
			if err := hasApplets(n, o); err != nil {
				return err
			}
		}
		if err := m.program(p.name, at); err != nil {
			return err
		}
	}
	return nil
}

// hasApplets reports what a busybox lacks. The names of its applets are in it
// one after the other, each with a NUL.
func hasApplets(n tree.Node, o Options) error {
	data, err := read(n, maxProgram)
	if err != nil {
		return err
	}
	wanted := slices.Clone(applets)
	if o.MBR {
		wanted = append(wanted, ofMBR...)
	}
	var missing []string
	for _, name := range wanted {
		if !bytes.Contains(data, []byte("\x00"+name+"\x00")) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("%w: %s has no applet %s; %s", ErrNoProgram, tree.Display(n.Path()), strings.Join(missing, ", "), busybox.remedy)
	}
	return nil
}

// program puts a program and what it is linked with at the paths where they
// are in the image, and links /bin/NAME to it.
func (m *making) program(name, at string) error {
	files, err := m.closure(at)
	if err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		n := files[p].First()
		if _, there := m.b.Lookup(p); there {
			continue
		}
		// A file that has several names stays one.
		if first, there := m.put[n]; there {
			m.dir(path.Dir(p))
			m.note(m.b.Link(p, first))
			continue
		}
		m.put[n] = p
		in := n.Inode()
		m.add(p, tree.Inode{Mode: tree.Regular | 0o755, Size: in.Size, Content: in.Content, Digest: in.Digest})
	}
	if link := "bin/" + name; link != at {
		m.add(link, tree.Inode{Mode: tree.Symlink | 0o777, Target: "/" + at})
	}
	return nil
}

// modules puts the modules, unpacked, and a list of them in the order of
// loading.
func (m *making) modules(ctx context.Context, k Kernel, o Options) error {
	if o.FileSystem == "" {
		return errors.New("the type of the root's file system is not given")
	}
	s, err := newShelf(m.image, k.Modules)
	if err != nil {
		return err
	}
	wanted, others := o.drivers()
	c := &collection{shelf: s, taken: map[string]bool{}}
	for _, name := range others {
		if err := c.optional(name); err != nil {
			return err
		}
	}
	for _, name := range wanted {
		if err := c.wanted(name); err != nil {
			return err
		}
	}
	var order strings.Builder
	for _, mod := range c.out {
		m.file("modules/"+mod.name+".ko", 0o644, mod.object)
		order.WriteString(mod.name + "\n")
	}
	m.file("modules/order", 0o644, []byte(order.String()))
	return ctx.Err()
}
