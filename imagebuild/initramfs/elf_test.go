package initramfs

import (
	"bytes"
	"debug/elf"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

// linked are the paths of a program and what it is linked with, in order.
func linked(t testing.TB, system files, program string) (string, error) {
	t.Helper()
	l := linker{image: system.tree(t), read: map[string]object{}}
	found, err := l.closure(program)
	return strings.Join(slices.Sorted(maps.Keys(found)), " "), err
}

func TestLinkedWith(t *testing.T) {
	object := func(o fake) string { return string(o.bytes()) }
	for name, c := range map[string]struct {
		system files
		want   string
	}{
		"static": {files{"p": object(fake{})}, "p"},
		"musl": {files{
			"p": object(fake{interp: "/lib/ld-musl-x86_64.so.1", needed: []string{"libc.musl-x86_64.so.1"}}),
			// The C library is the loader.
			"lib/ld-musl-x86_64.so.1": object(fake{}), "lib/libc.musl-x86_64.so.1": "-> ld-musl-x86_64.so.1",
		}, "lib/ld-musl-x86_64.so.1 lib/libc.musl-x86_64.so.1 p"},
		"not merged": {files{
			"p":                                  object(fake{interp: "/lib64/ld.so", needed: []string{"libc.so.6", "libz.so.1"}}),
			"lib/x86_64-linux-gnu/ld.so":         object(fake{}),
			"lib64/ld.so":                        "-> /lib/x86_64-linux-gnu/ld.so",
			"lib/x86_64-linux-gnu/libc.so.6":     object(fake{}),
			"usr/lib/x86_64-linux-gnu/libz.so.1": object(fake{needed: []string{"libc.so.6"}}),
		}, "lib/x86_64-linux-gnu/libc.so.6 lib64/ld.so p usr/lib/x86_64-linux-gnu/libz.so.1"},
		"other machines passed over": {files{
			"p":                                object(fake{needed: []string{"libz.so.1"}}),
			"lib/libz.so.1":                    object(fake{machine: elf.EM_386}),
			"usr/lib/libz.so.1":                "/* GNU ld script */",
			"usr/lib/i386-linux-gnu/libz.so.1": object(fake{machine: elf.EM_386}),
			"usr/lib64/libz.so.1":              object(fake{}),
		}, "p usr/lib64/libz.so.1"},
		"own directories first": {files{
			"opt/bin/p":         object(fake{needed: []string{"liba.so", "libb.so"}, runpath: "relative:$ORIGIN/../lib:/opt/more:"}),
			"opt/lib/liba.so":   object(fake{}),
			"opt/more/libb.so":  object(fake{}),
			"usr/lib/liba.so":   object(fake{}),
			"usr/lib64/libb.so": object(fake{}),
		}, "opt/bin/p opt/lib/liba.so opt/more/libb.so"},
		"by path": {files{"p": object(fake{needed: []string{"/opt/liba.so"}}), "opt/liba.so": object(fake{})}, "opt/liba.so p"},
		"each other": {files{
			"p":           object(fake{needed: []string{"liba.so"}}),
			"lib/liba.so": object(fake{needed: []string{"libb.so"}}),
			"lib/libb.so": object(fake{needed: []string{"liba.so", "libb.so"}}),
		}, "lib/liba.so lib/libb.so p"},
	} {
		t.Run(name, func(t *testing.T) {
			program := "p"
			if _, ok := c.system[program]; !ok {
				program = "opt/bin/p"
			}
			if got, err := linked(t, c.system, program); err != nil || got != c.want {
				t.Errorf("it is linked with\n%s, %v, not\n%s", got, err, c.want)
			}
		})
	}
}

func TestProgramsThatAreRefused(t *testing.T) {
	object := func(o fake) string { return string(o.bytes()) }
	compressed := fake{needed: []string{"liba.so"}}.bytes()
	sections := bytes.Index(compressed, []byte(".shstrtab\x00")) + len(".shstrtab\x00")
	compressed[sections+2*64+8+1] |= byte(elf.SHF_COMPRESSED >> 8) // of .dynamic
	for name, c := range map[string]struct {
		system files
		want   string
	}{
		"a script":             {files{"p": "#!/bin/sh\n"}, "/p: it is no program of Linux: "},
		"cut off":              {files{"p": object(fake{})[:80]}, "/p: it is no program of Linux: "},
		"no library":           {files{"p": object(fake{needed: []string{"liba.so.1"}})}, "/p is linked with liba.so.1, which is not in the image for EM_X86_64"},
		"library of another":   {files{"p": object(fake{needed: []string{"a.so"}}), "lib/a.so": object(fake{machine: elf.EM_AARCH64})}, "which is not in the image"},
		"library of a library": {files{"p": object(fake{needed: []string{"a.so"}}), "lib/a.so": object(fake{needed: []string{"b.so"}})}, "/lib/a.so is linked with b.so"},
		"library up there":     {files{"p": object(fake{needed: []string{"../../a.so"}})}, `/p: what it is linked with: "../../a.so"`},
		"loop of links":        {files{"p": object(fake{needed: []string{"a.so"}}), "lib/a.so": "-> b.so", "lib/b.so": "-> a.so"}, "/p is linked with a.so"},
		"no loader":            {files{"p": object(fake{interp: "/lib/ld.so"})}, "/lib/ld.so, which /p needs, is not in the image"},
		"relative loader":      {files{"p": object(fake{interp: "lib/ld.so"})}, `/p: its loader is "lib/ld.so\x00", which is no absolute path`},
		"long loader":          {files{"p": object(fake{interp: "/" + strings.Repeat("l", 5000)})}, "/p: the name of its loader has 5002 bytes"},
		"compressed":           {files{"p": string(compressed)}, "/p: it has a compressed section"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := linked(t, c.system, "p")
			wantError(t, err, c.want)
		})
	}
}

// A real program is linked with what ldd says.
func TestLddAgrees(t *testing.T) {
	image, _ := host(t)
	for _, path := range hostPrograms(t)[1:] {
		name := filepath.Base(path)
		want := map[string]bool{}
		for _, lib := range ldd(t, path) {
			want[filepath.Base(lib)] = true
		}
		l := linker{image: image, read: map[string]object{}}
		found, err := l.closure(path[1:])
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for lib := range found {
			got[filepath.Base(lib)] = true
		}
		delete(got, name)
		if !maps.Equal(got, want) || len(want) < 3 {
			t.Errorf("%s is linked with %v, and ldd says %v", name, got, want)
		}
	}
}

func FuzzReadObject(f *testing.F) {
	f.Add(fake{interp: "/lib/ld.so", needed: []string{"liba.so", "/opt/libb.so"}, runpath: "$ORIGIN/../lib:/opt"}.bytes())
	f.Add(fake{}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readObject(bytes.NewReader(data), "usr/bin")
		if err != nil {
			return
		}
		for _, p := range append(slices.Clone(o.dirs), o.loader) {
			if tree.CheckPath(p) != nil {
				t.Errorf("it names the path %q", p)
			}
		}
		for _, p := range o.needed {
			if tree.CheckPath(strings.TrimPrefix(p, "/")) != nil {
				t.Errorf("it needs %q", p)
			}
		}
	})
}
