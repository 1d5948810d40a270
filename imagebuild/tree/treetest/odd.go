package treetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/samebits/samebits/imagebuild/tree"
)

// NetRaw is the value of security.capability of a file that may use
// cap_net_raw, effective and permitted, as setcap writes it.
const NetRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Epoch is the time of what has no time of its own in the trees of this
// package: 2026-03-01.
var Epoch = tree.Time{Sec: 1772323200}

// ACL is the value of a system.posix_acl_* attribute that gives an owner rw, the
// user id named r, the group r, all under the mask r, and others nothing. A file
// that has it as its access ACL must have the mode 0640.
func ACL(named uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, ^uint32(0)}, {2, 4, named}, {4, 4, ^uint32(0)}, {16, 4, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return string(b)
}

// Odd is a tree of some 6,200 paths and 12 MB with all that real trees have and
// writers trip over: names, times, owners, attributes, links, devices, a
// directory of 6,000 files, deep directories, holes. Linux' file systems can hold
// all of it. Sockets, which tar cannot, are in [WithSocket] alone. It is the
// same in every call and for ever: golden digests rest on it.
func Odd() *tree.Tree { return oddOnce() }

var oddOnce = sync.OnceValue(func() *tree.Tree {
	b := &maker{}
	b.set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: Epoch})
	b.names()
	b.order()
	b.times()
	b.owners()
	b.modes()
	b.xattrs()
	b.links()
	b.symlinks()
	b.devices()
	b.sizes()
	b.many()
	b.deep()
	return b.freeze()
})

// maker makes trees that cannot fail.
type maker struct{ tree.Builder }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (m *maker) set(path string, n tree.Inode) { must(m.Add(path, n)) }

func (m *maker) link(path, target string) { must(m.Link(path, target)) }

func (m *maker) dir(path string) {
	m.set(path, tree.Inode{Mode: tree.Directory | 0o755, ModTime: Epoch})
}

func (m *maker) file(path, content string) { m.set(path, File(0o644, content)) }

func (m *maker) freeze() *tree.Tree {
	t, err := m.Freeze(context.Background())
	must(err)
	return t
}

// File is a regular file of a mode and a content, of the [Epoch] and root's.
func File(mode tree.Mode, content string) tree.Inode {
	return tree.Inode{Mode: tree.Regular | mode, ModTime: Epoch, Size: int64(len(content)), Content: tree.Bytes([]byte(content))}
}

// Random is n bytes that no compressor makes smaller, the same for a seed.
func Random(seed uint64, n int) []byte {
	b := make([]byte, (n+7)/8*8)
	r := rand.NewPCG(seed, 0)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

func (m *maker) names() {
	m.dir("names")
	bytes := make([]byte, 0, 255)
	for i := range 255 {
		bytes = append(bytes, byte(128+i%128))
	}
	for _, name := range []string{
		string(bytes),            // the longest, and not UTF-8
		strings.Repeat("x", 255), // the longest
		strings.Repeat("é", 127), // the longest for those who count characters
		"-rf", "...", "trailing.", " ", "a b", "tab\there", "new\nline", "back\\slash", "quote\"'",
		"#hash", "=", "percent%20", "*?[x]", "colon:name", "\x01\x7f", "$(touch x)", "~",
		"README", "readme", "ReadMe", // for those who fold case
		"caf\u00e9", "cafe\u0301", // for those who normalise
		"\U0001f600", "con", "aux.h", ".hidden", "lost+found", ".wh", "PaxHeaders", "TRAILER!!",
	} {
		m.file("names/"+name, "named "+name+"\n")
	}
}

// order has paths whose order by bytes is not the order by components.
func (m *maker) order() {
	m.dir("order")
	for _, dir := range []string{"order/a", "order/a.d", "order/a-b"} {
		m.dir(dir)
		m.file(dir+"/c", dir)
	}
	m.file("order/a!", "before a/c")
	m.file("order/a0", "after a/c")
}

func (m *maker) times() {
	m.dir("times")
	for i, at := range []tree.Time{
		{}, {Nsec: 1}, {Sec: -1, Nsec: 500_000_000}, {Sec: -315619200}, // 1960
		{Sec: -1 << 31}, {Sec: 1<<31 - 1, Nsec: 999_999_999}, {Sec: 1 << 31}, // 1901, 2038
		{Sec: 1<<32 - 1, Nsec: 123_456_789}, {Sec: 1 << 32}, // 2106
		{Sec: 4354819200}, {Sec: 13569465600, Nsec: 7}, // 2108, 2400
	} {
		n := File(0o644, fmt.Sprintln(i))
		n.ModTime = at
		m.set(fmt.Sprintf("times/%02d", i), n)
	}
	m.set("times/dir", tree.Inode{Mode: tree.Directory | 0o755, ModTime: tree.Time{Sec: 1<<31 + 5, Nsec: 5}})
	m.set("times/link", tree.Inode{Mode: tree.Symlink, Target: "00", ModTime: tree.Time{Sec: 1<<31 + 6, Nsec: 60}})
}

func (m *maker) owners() {
	m.dir("owners")
	for i, id := range []uint32{1, 1000, 65534, 65535, 65536, 100_000, 1<<21 - 1, 1 << 21, 1 << 31, 1<<32 - 2} {
		n := File(0o644, "")
		n.UID, n.GID = id, (1<<32-2)-id
		m.set(fmt.Sprintf("owners/%d", i), n)
	}
	m.set("owners/link", tree.Inode{Mode: tree.Symlink, Target: "1", ModTime: Epoch, UID: 70_000, GID: 80_000})
}

func (m *maker) modes() {
	m.dir("modes")
	for _, mode := range []tree.Mode{0, 0o001, 0o111, 0o444, 0o600, 0o777, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777} {
		m.set(fmt.Sprintf("modes/%04o", uint32(mode)), File(mode, "mode\n"))
	}
	m.set("modes/tmp", tree.Inode{Mode: tree.Directory | 0o1777, ModTime: Epoch})
	m.set("modes/mail", tree.Inode{Mode: tree.Directory | 0o2775, ModTime: Epoch, GID: 8})
	m.set("modes/closed", tree.Inode{Mode: tree.Directory, ModTime: Epoch})
	m.file("modes/closed/file", "in a directory that only root may enter")
}

func (m *maker) xattrs() {
	m.dir("xattrs")
	set := func(name string, n tree.Inode, x ...tree.Xattr) {
		n.Xattrs = x
		m.set("xattrs/"+name, n)
	}
	dir := tree.Inode{Mode: tree.Directory | 0o755, ModTime: Epoch}
	set("acl", File(0o640, "acl\n"), tree.Xattr{Name: "system.posix_acl_access", Value: ACL(100_000)})
	set("capability", File(0o755, "cap\n"), tree.Xattr{Name: "security.capability", Value: NetRaw})
	set("default", dir, tree.Xattr{Name: "system.posix_acl_default", Value: ACL(1000)})
	set("user", File(0o644, "user\n"),
		tree.Xattr{Name: "user.binary", Value: "\x00\n=\xff\x00"},
		tree.Xattr{Name: "user.a", Value: "first"},
		tree.Xattr{Name: "user.empty", Value: ""},
		tree.Xattr{Name: "user.with space and é", Value: "name"})
	set("large", File(0o644, "large\n"), tree.Xattr{Name: "user.large", Value: string(Random(1, 2000))})
	set("trusted", dir, tree.Xattr{Name: "trusted.note", Value: "for root"}, tree.Xattr{Name: "user.dir", Value: "dir"})
	// Two with the same attributes: formats share them.
	set("same", File(0o640, "acl too\n"), tree.Xattr{Name: "system.posix_acl_access", Value: ACL(100_000)})
	set("all", File(0o640, "all\n"), tree.Xattr{Name: "user.note", Value: "n"},
		tree.Xattr{Name: "security.capability", Value: NetRaw}, tree.Xattr{Name: "system.posix_acl_access", Value: ACL(5)})
}

func (m *maker) links() {
	m.dir("links")
	m.dir("links/a")
	m.dir("links/z")
	m.file("links/z/file", "has three paths\n")
	m.link("links/a/file", "links/z/file")
	m.link("links/middle", "links/z/file")
	m.file("links/empty", "")
	m.link("links/a/empty", "links/empty")
	m.set("links/symlink", tree.Inode{Mode: tree.Symlink, Target: "z/file", ModTime: Epoch})
	m.link("links/a/symlink", "links/symlink")
	m.set("links/device", tree.Inode{Mode: tree.CharDev | 0o600, Major: 1, Minor: 5, ModTime: Epoch})
	m.link("links/a/device", "links/device")
	m.set("links/fifo", tree.Inode{Mode: tree.Fifo | 0o600, ModTime: Epoch})
	m.link("links/z/fifo", "links/fifo")
	m.set("links/setuid", tree.Inode{Mode: tree.Regular | 0o4755, ModTime: Epoch, UID: 7, Size: 3, Content: tree.Bytes([]byte("su\n")),
		Xattrs: []tree.Xattr{{Name: "security.capability", Value: NetRaw}}})
	m.link("links/z/setuid", "links/setuid")
	// A directory and its parent that have the same names inside.
	m.file("links/twin", "same content, other inode\n")
	m.file("links/a/twin", "same content, other inode\n")
}

func (m *maker) symlinks() {
	m.dir("symlinks")
	for _, n := range []int{1, 59, 60, 61, 99, 100, 101, 255, 1024, 4095} {
		m.set(fmt.Sprintf("symlinks/of-%04d", n), tree.Inode{Mode: tree.Symlink, ModTime: Epoch,
			Target: strings.Repeat("0123456789abcde/", 256)[:n]})
	}
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "up": "../../../../etc/passwd", "self": "self", "odd": "a b\n\xff\\",
		"slashes": "//usr//bin/", "dir": "../names",
	} {
		m.set("symlinks/"+name, tree.Inode{Mode: tree.Symlink, Target: target, ModTime: Epoch})
	}
}

func (m *maker) devices() {
	m.dir("dev")
	for name, n := range map[string]tree.Inode{
		"null": {Mode: tree.CharDev | 0o666, Major: 1, Minor: 3},
		"sda":  {Mode: tree.BlockDev | 0o660, Major: 8, GID: 6},
		"nvme": {Mode: tree.BlockDev | 0o660, Major: 259, Minor: 1<<20 - 1},
		"high": {Mode: tree.CharDev | 0o600, Major: 4095, Minor: 256},
		"fifo": {Mode: tree.Fifo | 0o644},
	} {
		n.ModTime = Epoch
		m.set("dev/"+name, n)
	}
}

func (m *maker) sizes() {
	m.dir("sizes")
	for _, size := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 131073, 1 << 20} {
		n := File(0o644, string(Random(uint64(size), size)))
		m.set(fmt.Sprintf("sizes/random-%d", size), n)
	}
	for _, size := range []int{1000, 10_000, 300_000, 2_000_000} {
		m.file(fmt.Sprintf("sizes/text-%d", size), strings.Repeat("the same bits again and again\n", size/30+1)[:size])
	}
	m.set("sizes/zeros", File(0o644, strings.Repeat("\x00", 1<<20)))
	m.set("sizes/sparse", Holes(8<<20, []tree.Extent{{Offset: 4096, Length: 4096}, {Offset: 3<<20 + 5, Length: 100}, {Offset: 8<<20 - 1, Length: 1}}))
}

func (m *maker) many() {
	m.dir("many")
	for i := range 6000 {
		m.file(fmt.Sprintf("many/file-%04d.txt", i*7919%6000), fmt.Sprintf("%d\n", i%100))
	}
}

func (m *maker) deep() {
	path := "deep"
	m.dir(path)
	for i := range 60 {
		path += fmt.Sprintf("/directory-%02d-of-60", i)
		m.dir(path)
	}
	m.file(path+"/bottom", "deep\n")
}

// Holes is a regular file of a size whose bytes are zero outside of the
// extents, and random inside, with a content that is a [tree.Sparse].
func Holes(size int64, extents []tree.Extent) tree.Inode {
	return tree.Inode{Mode: tree.Regular | 0o644, ModTime: Epoch, Size: size, Content: &holes{size, extents}}
}

type holes struct {
	size    int64
	extents []tree.Extent
}

func (h *holes) Extents() []tree.Extent { return h.extents }

func (h *holes) Open() (io.ReadCloser, error) {
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(h, 0, h.size), io.NopCloser(nil)}, nil
}

// ReadAt is for the reader that Open makes.
func (h *holes) ReadAt(p []byte, offset int64) (int, error) {
	n := int(max(0, min(int64(len(p)), h.size-offset)))
	clear(p[:n])
	for _, e := range h.extents {
		from, to := max(e.Offset, offset), min(e.Offset+e.Length, offset+int64(n))
		if from < to {
			data := Random(uint64(e.Offset), int(e.Length))
			copy(p[from-offset:to-offset], data[from-e.Offset:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
