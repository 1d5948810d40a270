package grub

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// program is an ELF file with segments, each the address and what is there.
func program(segments ...any) []byte {
	le := binary.LittleEndian
	b := make([]byte, 52)
	copy(b, "\x7fELF\x01\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 3)
	le.PutUint32(b[28:], 52)
	le.PutUint16(b[42:], 32)
	le.PutUint16(b[44:], uint16(len(segments)/2))
	at := 52 + 32*len(segments)/2
	var contents []byte
	for i := 0; i < len(segments); i += 2 {
		text := segments[i+1].(string)
		h := make([]byte, 32)
		le.PutUint32(h, 1)
		le.PutUint32(h[4:], uint32(at+len(contents)))
		le.PutUint32(h[8:], uint32(segments[i].(int)))
		le.PutUint32(h[16:], uint32(len(text)))
		b = append(b, h...)
		contents = append(contents, text...)
	}
	return append(b, contents...)
}

// files are such as GRUB has, with nothing in them that runs.
func files() map[string][]byte {
	return map[string][]byte{
		"boot.img":            bytes.Repeat([]byte("B"), 512),
		"diskboot.img":        bytes.Repeat([]byte("D"), 512),
		"lzma_decompress.img": bytes.Repeat([]byte("L"), 100),
		"kernel.img":          program(0x9000, "the program", 0x9010, "and its data"),
		"moddep.lst":          []byte("a: b c\nb:\nc: b\nround: about\nabout: round\n"),
		"a.mod":               []byte("module a"), "b.mod": []byte("module b."), "c.mod": []byte("module c"),
	}
}

func treeOf(t testing.TB, files map[string][]byte) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for i, c := range Dir {
		if c == '/' {
			if err := b.Add(Dir[:i], tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Add(Dir, tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := b.Add(Dir+"/"+name, treetest.File(0o644, string(content))); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// memory is a file of some bytes.
type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

var errFull = errors.New("the disk is full")

type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, errFull }

func TestMake(t *testing.T) {
	i, err := Make(treeOf(t, files()), Options{Modules: []string{"a"}, Prefix: "(,gpt1)/x", Commands: "boot\n"})
	if err != nil {
		t.Fatal(err)
	}
	const start = 5 << 20
	le := binary.LittleEndian
	code := i.Code(start)
	if len(code) != CodeSize || le.Uint64(code[0x5C:]) != start/512 || code[0x64] != 0xFF || string(code[0x66:0x69]) != "\x90\x90B" {
		t.Errorf("the first sector is %x", code)
	}
	core := make(memory, i.Size())
	if err := i.WriteCore(core, start); err != nil {
		t.Fatal(err)
	}
	if err := i.WriteCore(full{}, start); !errors.Is(err, errFull) {
		t.Errorf("an error of the disk: %v", err)
	}
	if len(core)%512 != 0 || le.Uint64(core[0x1F4:]) != start/512+1 || int(le.Uint16(core[0x1FC:])) != len(core)/512-1 || string(core[0x1FE:0x200]) != "DD" {
		t.Errorf("the core image of %d bytes begins with %x", len(core), core[:512])
	}
	payload := unpack(t, core, 100)
	if got, want := string(payload[:28]), "the program\x00\x00\x00\x00\x00and its data"; got != want {
		t.Errorf("the program is %q, want %q", got, want)
	}
	// What follows the program is a header and objects, in the order of needs.
	const want = "mimg\x0c\x00\x00\x00\x64\x00\x00\x00" +
		"\x00\x00\x00\x00\x14\x00\x00\x00module b.\x00\x00\x00" + "\x00\x00\x00\x00\x10\x00\x00\x00module c" + "\x00\x00\x00\x00\x10\x00\x00\x00module a" +
		"\x02\x00\x00\x00\x10\x00\x00\x00boot\n\x00\x00\x00" + "\x03\x00\x00\x00\x14\x00\x00\x00(,gpt1)/x\x00\x00\x00"
	if got := string(payload[28:]); got != want {
		t.Errorf("behind the program is\n%q, want\n%q", got, want)
	}
	const golden = "4b8b62b7a2cb171585d3fb420411aa777162f9c2d131ad9bc7ee076d1a500ef0"
	if got := fmt.Sprintf("%x", sha256.Sum256(core)); got != golden {
		t.Errorf("the core image has the digest %s, want %s", got, golden)
	}
}

// unpack is what a core image holds, with what unpacks it of so many bytes.
func unpack(t testing.TB, core []byte, unpacker int) []byte {
	t.Helper()
	le := binary.LittleEndian
	packed, size := le.Uint32(core[512+8:]), le.Uint32(core[512+12:])
	return unlzma(t, core[512+unpacker:][:packed], int64(size))
}

// unlzma has xz read a stream that has no header.
func unlzma(t testing.TB, packed []byte, size int64) []byte {
	t.Helper()
	b := binary.LittleEndian.AppendUint32([]byte{3 + 9*(0+5*2)}, 1<<16)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	cmd := exec.Command(tool(t, "xz"), "--format=lzma", "-dc")
	cmd.Stdin = bytes.NewReader(append(b, packed...))
	out, err := cmd.Output()
	if err != nil || int64(len(out)) != size {
		t.Fatalf("%d bytes of %d, %v", len(out), size, err)
	}
	return out
}

func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// TestLikeMkimage makes an image of the real files, and has grub-mkimage do so.
func TestLikeMkimage(t *testing.T) {
	list, err := os.ReadDir("/" + Dir)
	if err != nil {
		t.Skip("needs the package grub-pc-bin: ", err)
	}
	real := map[string][]byte{}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join("/"+Dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		real[f.Name()] = b
	}
	commands := "linux /kernel root=PARTLABEL=x\nboot\n"
	i, err := Make(treeOf(t, real), Options{Modules: []string{"linux", "part_gpt", "fat", "biosdisk"}, Prefix: "(,gpt1)/grub", Commands: commands})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "commands"), []byte(commands), 0o600); err != nil {
		t.Fatal(err)
	}
	order, err := closure(real["moddep.lst"], []string{"linux", "part_gpt", "fat", "biosdisk"})
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-O", "i386-pc", "-p", "(,gpt1)/grub", "-c", filepath.Join(dir, "commands"), "-o", filepath.Join(dir, "core")}, order...)
	if out, err := exec.Command(tool(t, "grub-mkimage"), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "core"))
	if err != nil {
		t.Fatal(err)
	}
	unpacker := len(real["lzma_decompress.img"])
	a, b := unpack(t, i.core, unpacker), unpack(t, theirs, unpacker)
	// The order of modules that do not need each other is its own.
	end := bytes.LastIndex(b, []byte("mimg\x0c\x00\x00\x00")) + 12
	if len(a) != len(b) || !bytes.Equal(a[:end], b[:end]) || !bytes.Equal(a[len(a)-100:], b[len(b)-100:]) {
		t.Errorf("what is in the images differs: %d bytes, and of grub-mkimage %d", len(a), len(b))
	}
	ours, others := objects(a[end:]), objects(b[end:])
	slices.Sort(ours)
	slices.Sort(others)
	if !slices.Equal(ours, others) {
		t.Error("the modules differ")
	}
	for _, core := range [][]byte{i.core, theirs} { // all but sizes
		copy(core[blockList+8:], "\x00\x00")
		copy(core[512+packedSize:], "\x00\x00\x00\x00")
	}
	if head := 512 + unpacker; !bytes.Equal(append(i.core[:blockList:blockList], i.core[blockList+8:head]...), append(theirs[:blockList:blockList], theirs[blockList+8:head]...)) {
		t.Errorf("what unpacks differs:\n%x\n%x", i.core[:head], theirs[:head])
	}
}

func objects(b []byte) (list []string) {
	for len(b) >= 8 {
		n := binary.LittleEndian.Uint32(b[4:])
		list = append(list, string(b[:n]))
		b = b[n:]
	}
	return list
}

func TestBadFiles(t *testing.T) {
	for complaint, change := range map[string]func(map[string][]byte){
		"lock the package grub-pc-bin":                        func(f map[string][]byte) { delete(f, "boot.img") },
		"/diskboot.img: it has 511 bytes":                     func(f map[string][]byte) { f["diskboot.img"] = f["diskboot.img"][1:] },
		"lzma_decompress.img: it has 3 bytes":                 func(f map[string][]byte) { f["lzma_decompress.img"] = []byte("abc") },
		"kernel.img: it is no program":                        func(f map[string][]byte) { f["kernel.img"][5] = 2 },
		"its program headers are not in it":                   func(f map[string][]byte) { f["kernel.img"][44] = 200 },
		"a segment of it, of 1 bytes for address 0x8fff":      func(f map[string][]byte) { f["kernel.img"] = program(0x8FFF, "x") },
		"for address 0x9001, has no place":                    func(f map[string][]byte) { f["kernel.img"] = program(0x9000, "xy", 0x9001, "x") },
		"for address 0xffffffff, has no place":                func(f map[string][]byte) { f["kernel.img"] = program(-1, "x") },
		"there is no program in it":                           func(f map[string][]byte) { f["kernel.img"] = program() },
		`moddep.lst tells of no module "a"`:                   func(f map[string][]byte) { f["moddep.lst"] = []byte("b:\n") },
		`no module "../../x"`:                                 func(f map[string][]byte) { f["moddep.lst"] = []byte("a: ../../x\n../../x:\n") },
		"the image has no /usr/lib/grub/i386-pc/c.mod":        func(f map[string][]byte) { delete(f, "c.mod") },
		"a.mod: 1048577 bytes are too many":                   func(f map[string][]byte) { f["a.mod"] = make([]byte, 1<<20+1) },
		"more than 491520: it has too many modules":           func(f map[string][]byte) { f["a.mod"] = treetest.Random(1, 600<<10) },
		"a segment of it, of 1048577 bytes for address 0x900": func(f map[string][]byte) { f["kernel.img"][68+2] = 0x10; f["kernel.img"][68] = 1 },
	} {
		f := files()
		change(f)
		if _, err := Make(treeOf(t, f), Options{Modules: []string{"a"}}); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v; want %q", err, complaint)
		}
	}
	for _, o := range []Options{{Commands: "a\x00"}, {Prefix: "\x00"}} {
		if _, err := Make(treeOf(t, files()), o); err == nil || !strings.Contains(err.Error(), "NUL") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Modules that need each other are there once.
func TestClosure(t *testing.T) {
	for names, want := range map[string]string{"a": "b c a", "b a": "b c a", "round": "about round", "": ""} {
		got, err := closure(files()["moddep.lst"], strings.Fields(names))
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v; want %q", names, got, err, want)
		}
	}
}

func FuzzKernel(f *testing.F) {
	f.Add(program(0x9000, "the program", 0x9010, "and its data"))
	f.Add(program())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 52 {
			return
		}
		if out, err := kernel(b); err == nil && (len(out) == 0 || len(out) > maxFile) {
			t.Errorf("a program of %d bytes", len(out))
		}
	})
}

func FuzzClosure(f *testing.F) {
	f.Add(files()["moddep.lst"], "a")
	f.Fuzz(func(t *testing.T, list []byte, name string) {
		order, err := closure(list, []string{name})
		if err != nil {
			return
		}
		if len(order) == 0 || !slices.Contains(order, name) {
			t.Errorf("%q is not among %q", name, order)
		}
		slices.Sort(order)
		if len(slices.Compact(slices.Clone(order))) != len(order) {
			t.Errorf("twice in %q", order)
		}
	})
}
