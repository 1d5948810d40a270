package initramfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// An object file of the tests: what is set is in it.
type fake struct {
	machine elf.Machine // x86-64 if it is 0
	interp  string
	needed  []string
	runpath string
	modinfo []string
	text    string // what else is in it
}

// bytes is an ELF file of 64 bits.
func (o fake) bytes() []byte {
	if o.machine == 0 {
		o.machine = elf.EM_X86_64
	}
	strs := "\x00"
	word := func(s string) uint64 {
		at := uint64(len(strs))
		strs += s + "\x00"
		return at
	}
	var dynamic bytes.Buffer
	for _, n := range o.needed {
		put(&dynamic, uint64(elf.DT_NEEDED), word(n))
	}
	if o.runpath != "" {
		put(&dynamic, uint64(elf.DT_RUNPATH), word(o.runpath))
	}
	put(&dynamic, uint64(elf.DT_NULL), uint64(0))

	type section struct {
		name string
		kind elf.SectionType
		link uint32
		data string
	}
	sections := []section{{}, {".dynstr", elf.SHT_STRTAB, 0, strs}, {".dynamic", elf.SHT_DYNAMIC, 1, dynamic.String()},
		{".rodata", elf.SHT_PROGBITS, 0, o.text}, {".interp", elf.SHT_PROGBITS, 0, o.interp + "\x00"}}
	if o.modinfo != nil {
		sections = append(sections, section{".modinfo", elf.SHT_PROGBITS, 0, strings.Join(o.modinfo, "\x00") + "\x00"})
	}
	names := "\x00"
	nameAt := make([]uint32, len(sections)+1)
	for i, s := range sections {
		nameAt[i] = uint32(len(names))
		names += s.name + "\x00"
	}
	nameAt[len(sections)] = uint32(len(names))
	sections = append(sections, section{".shstrtab", elf.SHT_STRTAB, 0, names + ".shstrtab\x00"})

	const header, program = 64, 56
	var body bytes.Buffer
	headers := make([]elf.Section64, len(sections))
	var interp elf.Prog64
	for i, s := range sections[1:] {
		h := elf.Section64{Name: nameAt[i+1], Type: uint32(s.kind), Link: s.link, Off: uint64(header + program + body.Len()), Size: uint64(len(s.data)), Addralign: 1}
		headers[i+1] = h
		if s.name == ".interp" {
			interp = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: h.Off, Filesz: h.Size}
			if o.interp == "" {
				interp.Type = uint32(elf.PT_NULL)
			}
		}
		body.WriteString(s.data)
	}
	var out bytes.Buffer
	put(&out, elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(elf.ET_DYN),
		Machine: uint16(o.machine), Version: 1, Phoff: header, Shoff: uint64(header + program + body.Len()), Ehsize: header,
		Phentsize: program, Phnum: 1, Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1)}, interp)
	out.Write(body.Bytes())
	for _, h := range headers {
		put(&out, h)
	}
	return out.Bytes()
}

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if err := binary.Write(b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
}

// A files is a tree to be: contents by path, "-> TARGET" being symbolic links.
type files map[string]string

// tree makes the tree, with all directories.
func (f files) tree(t testing.TB) *tree.Tree {
	t.Helper()
	var b tree.Builder
	var dir func(string)
	dir = func(name string) {
		if _, there := b.Lookup(name); there || name == "" {
			return
		}
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			dir(name[:i])
		}
		if err := b.Add(name, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range f {
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			dir(name[:i])
		}
		in := treetest.File(0o644, content)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			in = tree.Inode{Mode: tree.Symlink | 0o777, Target: target, ModTime: treetest.Epoch}
		}
		if err := b.Add(name, in); err != nil {
			t.Fatal(err)
		}
	}
	frozen, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return frozen
}

// with is f and changes to it; what is "" is taken away.
func (f files) with(changes files) files {
	out := files{}
	for _, from := range []files{f, changes} {
		for name, content := range from {
			out[name] = content
			if content == "" {
				delete(out, name)
			}
		}
	}
	return out
}

const release = "6.1.0-9-test"

// all has the names of all applets, as a busybox has them.
var allApplets = "\x00" + strings.Join(applets, "\x00") + "\x00"

func ko(modinfo ...string) string {
	return string(fake{modinfo: append([]string{"license=GPL"}, modinfo...)}.bytes())
}

// synthetic is a system of Debian's kind, merged /usr and all.
func synthetic() files {
	glibc := []string{"libc.so.6"}
	const ld, lib, modules = "/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/", "usr/lib/modules/" + release + "/"
	program := func(needed ...string) string {
		return string(fake{interp: ld, needed: append(needed, glibc...)}.bytes())
	}
	return files{
		"bin": "-> usr/bin", "sbin": "-> usr/sbin", "lib": "-> usr/lib", "lib64": "-> usr/lib64",
		"boot/vmlinuz-" + release:           "kernel",
		"boot/initrd.img-" + release:        "initrd",
		"usr/bin/busybox":                   string(fake{interp: ld, needed: glibc, text: allApplets}.bytes()),
		"usr/sbin/veritysetup":              program("libcryptsetup.so.12"),
		"usr/sbin/sfdisk":                   program("libfdisk.so.1"),
		"usr/sbin/resize2fs":                program("libext2fs.so.2"),
		"usr/lib64/ld-linux-x86-64.so.2":    "-> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		lib + "ld-linux-x86-64.so.2":        string(fake{text: "loader"}.bytes()),
		lib + "libc.so.6":                   string(fake{needed: []string{"ld-linux-x86-64.so.2"}}.bytes()),
		lib + "libcryptsetup.so.12":         "-> libcryptsetup.so.12.7.0",
		lib + "libcryptsetup.so.12.7.0":     string(fake{needed: []string{"libc.so.6", "libcrypto.so.3"}}.bytes()),
		lib + "libcrypto.so.3":              string(fake{needed: glibc}.bytes()),
		lib + "libfdisk.so.1":               string(fake{needed: glibc}.bytes()),
		lib + "libext2fs.so.2":              string(fake{needed: glibc}.bytes()),
		lib + "libunused.so.1":              string(fake{}.bytes()),
		modules + "modules.builtin":         "kernel/fs/squashfs/squashfs.ko\nkernel/drivers/virtio/virtio-pci.ko\n",
		modules + "modules.alias":           "# aliases\nalias crc32c crc32c_test\nalias pci:v0001* odd\nalias sha256 sha256_test\n",
		modules + "build":                   "-> /usr/src/linux",
		modules + "kernel/fs/ext4.ko":       ko("license=GPL", "depends=mbcache,jbd2", "softdep=pre: crc32c"),
		modules + "kernel/fs/jbd2.ko":       ko("depends="),
		modules + "kernel/fs/mbcache.ko":    ko("depends="),
		modules + "kernel/fs/overlay.ko":    ko("depends="),
		modules + "kernel/md/dm-verity.ko":  ko("depends=dm-bufio,dm-mod"),
		modules + "kernel/md/dm-bufio.ko":   ko("depends=dm-mod"),
		modules + "kernel/md/dm-mod.ko":     ko("depends="),
		modules + "kernel/crc32c_test.ko":   ko("depends="),
		modules + "kernel/sha256_test.ko":   ko("depends="),
		modules + "kernel/virtio_blk.ko":    ko("depends=virtio"),
		modules + "kernel/virtio.ko":        ko("depends="),
		modules + "kernel/sound/unused.ko":  ko("depends="),
		modules + "kernel/sound/README.txt": "no module",
	}
}

// made makes the initramfs of the only kernel of a system.
func made(t testing.TB, system files, o Options) (*tree.Tree, error) {
	t.Helper()
	image := system.tree(t)
	k, err := FindKernel(image, "")
	if err != nil {
		t.Fatal(err)
	}
	o.Time = treetest.Epoch
	return Make(t.Context(), image, k, o)
}

// paths are those of a tree, a line each, with the targets of links.
func paths(made *tree.Tree) string {
	var out strings.Builder
	for n := range made.All() {
		out.WriteString(n.Path())
		if n.Mode().IsDir() {
			out.WriteByte('/')
		}
		if n.Mode().Type() == tree.Symlink {
			out.WriteString(" -> " + n.Inode().Target)
		}
		if !n.IsFirst() {
			out.WriteString(" == " + n.First().Path())
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func content(t testing.TB, in *tree.Tree, name string) string {
	t.Helper()
	n, ok := in.Lookup(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	data, err := read(n, maxProgram)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
