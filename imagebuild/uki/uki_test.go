package uki_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/uki/ukitest"
)

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func sample(room int) uki.Options {
	return uki.Options{
		Stub:      section(ukitest.Program(uki.AMD64, room, nil)),
		Linux:     section(append(ukitest.Program(uki.AMD64, 512, nil), treetest.Random(1, 5001)...)),
		Initrds:   []*io.SectionReader{section([]byte("first")), section([]byte("second"))},
		Microcode: section([]byte("microcode")),
		DTBs:      []*io.SectionReader{section([]byte("tree 1")), section([]byte("tree 2"))},
		Splash:    section([]byte("BM")),
		OSRelease: []byte("ID=test\n"), Uname: "6.1.0", Cmdline: "quiet root=/dev/vda é",
	}
}

func made(t testing.TB, o uki.Options) []byte {
	t.Helper()
	u, err := uki.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := u.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != u.Size() {
		t.Fatalf("%d bytes, and %d were told", len(b), u.Size())
	}
	return b
}

// A unified image is a tree's content.
var _ tree.Content = (*uki.Unified)(nil)

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	for _, room := range []int{512, 1024, 3584} {
		raw := made(t, sample(room))
		p, err := uki.Read(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		end := int64(0)
		for _, s := range p.Sections {
			names = append(names, s.Name)
			if int64(s.Address) < end {
				t.Errorf("%s is loaded over what is before it", s.Name)
			}
			if strings.HasPrefix(s.Name, ".t") || s.Name == ".data" {
				content, err := io.ReadAll(p.Section(s.Name))
				if err != nil || string(content) != strings.Repeat(s.Name, 60) {
					t.Errorf("%s of the stub is %q, %v", s.Name, content, err)
				}
			} else if s.Address%4096 != 0 || s.Offset%512 != 0 || s.RawSize%512 != 0 {
				t.Errorf("%+v is not aligned", s)
			}
			end = int64(s.Address) + int64(max(s.VirtualSize, s.RawSize))
		}
		if got := strings.Join(names, " "); got != ".text .data .osrel .cmdline .uname .ucode .splash .dtb .dtb .initrd .linux" {
			t.Errorf("the sections are %s", got)
		}
		for name, want := range map[string]string{".osrel": "ID=test\n", ".cmdline": "quiet root=/dev/vda é", ".uname": "6.1.0", ".ucode": "microcode",
			".splash": "BM", ".dtb": "tree 1", ".initrd": "first\x00\x00\x00second"} {
			if got, err := io.ReadAll(p.Section(name)); err != nil || string(got) != want {
				t.Errorf("%s is %q, %v; want %q", name, got, err, want)
			}
		}
		linux, err := io.ReadAll(p.Section(".linux"))
		if err != nil || !bytes.Equal(linux[len(linux)-5001:], treetest.Random(1, 5001)) {
			t.Errorf("the kernel is another: %v", err)
		}
		checkHeaders(t, raw, end)
	}
}

// checkHeaders checks what the headers tell of the whole.
func checkHeaders(t *testing.T, raw []byte, end int64) {
	t.Helper()
	o := raw[88:]
	le := binary.LittleEndian
	if size := le.Uint32(o[56:]); int64(size) < end || size%512 != 0 {
		t.Errorf("the size of the image is %d, and its sections end at %d", size, end)
	}
	if headers := le.Uint32(o[60:]); headers < 64+24+240+11*40 || headers%512 != 0 {
		t.Errorf("the headers have %d bytes", headers)
	}
	if stamp := le.Uint32(raw[72:]); stamp != 0x11223344 {
		t.Errorf("the time is %#x", stamp)
	}
	want := le.Uint32(o[64:])
	b := bytes.Clone(raw)
	clear(b[88+64 : 88+68])
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(le.Uint16(b[i:]))
		sum = sum>>16 + sum&0xFFFF
	}
	if sum += uint32(len(b)); sum != want {
		t.Errorf("the checksum is %#x, want %#x", want, sum)
	}
}

func TestGolden(t *testing.T) {
	const golden = "e381bfef74066b40fb9505cbd4a959a8429f965f70d25768b6ef4f30bb2f0e59"
	for range 2 {
		if sum := sha256.Sum256(made(t, sample(1024))); hex.EncodeToString(sum[:]) != golden {
			t.Errorf("the image has the digest %x", sum)
		}
	}
}

func TestOnlyWhatIsGiven(t *testing.T) {
	o := sample(1024)
	raw := made(t, uki.Options{Stub: o.Stub, Linux: o.Linux})
	p, err := uki.Read(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || len(p.Sections) != 3 || p.Section(".linux") == nil || p.Section(".initrd") != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	le := binary.LittleEndian
	stub := func(change func(b []byte)) func(*uki.Options) {
		return func(o *uki.Options) { o.Stub = section(ukitest.Program(uki.AMD64, 1024, change)) }
	}
	huge := io.NewSectionReader(zeros{}, 0, 2<<30)
	for complaint, change := range map[string]func(*uki.Options){
		"the stub or the kernel is missing": func(o *uki.Options) { o.Linux = nil },
		"the stub: it does not begin":       func(o *uki.Options) { o.Stub = section(make([]byte, 100)) },
		"stub: it is signed":                stub(func(b []byte) { b[88+112+8*4] = 1 }),
		"debug information":                 stub(func(b []byte) { b[88+112+8*6] = 1 }),
		"no EFI application":                stub(func(b []byte) { b[88+68] = 3 }),
		`a section ".linux" already`:        stub(func(b []byte) { copy(b[328+40:], ".linux\x00") }),
		"is in the headers":                 stub(func(b []byte) { le.PutUint32(b[328+20:], 512) }),
		"are said to have 1000":             stub(func(b []byte) { le.PutUint32(b[88+60:], 1000) }),
		"have no room for more": func(o *uki.Options) {
			o.Stub = section(ukitest.Program(uki.AMD64, 512, func(b []byte) { le.PutUint32(b[328+12:], 600) }))
		},
		"the kernel is no EFI program, or":   func(o *uki.Options) { o.Linux = section([]byte(strings.Repeat("\x1f\x8b", 100))) },
		"machine 0xaa64, and the stub for":   func(o *uki.Options) { o.Linux = section(ukitest.Program(uki.ARM64, 512, nil)) },
		"makes it larger than 2 GiB":         func(o *uki.Options) { o.Initrds = []*io.SectionReader{huge} },
		"sections are too many":              func(o *uki.Options) { o.DTBs = make([]*io.SectionReader, 0); many(o) },
		"reading the parts: the disk is bad": func(o *uki.Options) { o.Splash = io.NewSectionReader(broken{}, 0, 10) },
		"unexpected EOF":                     func(o *uki.Options) { o.Splash = io.NewSectionReader(strings.NewReader("x"), 0, 10) },
	} {
		o := sample(1024)
		change(&o)
		if _, err := uki.New(o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func many(o *uki.Options) {
	for i := range 95 {
		o.DTBs = append(o.DTBs, section(fmt.Appendf(nil, "%d", i)))
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("the disk is bad") }

func TestBadPrograms(t *testing.T) {
	le := binary.LittleEndian
	for complaint, change := range map[string]func(b []byte) []byte{
		"EOF":                       func(b []byte) []byte { return b[:63] },
		"does not begin as one":     func(b []byte) []byte { le.PutUint32(b[60:], 1<<20); return b },
		"no PE header":              func(b []byte) []byte { b[64] = 'X'; return b },
		"97 sections":               func(b []byte) []byte { b[70] = 97; return b },
		"96 sections after":         func(b []byte) []byte { b[70] = 96; return b[:1000] },
		"no optional header":        func(b []byte) []byte { b[88] = 7; return b },
		"of a kind":                 func(b []byte) []byte { b[84] = 100; return b },
		"sections aligned to 3":     func(b []byte) []byte { le.PutUint32(b[88+32:], 3); return b },
		"and 131072 in the file":    func(b []byte) []byte { le.PutUint32(b[88+36:], 1<<17); return b },
		`the section ".data" ends`:  func(b []byte) []byte { return b[:len(b)-1] },
		`the section ".text" is at`: func(b []byte) []byte { le.PutUint32(b[328+12:], 0xFFFFF000); return b },
	} {
		bad := change(ukitest.Program(uki.AMD64, 1024, nil))
		if _, err := uki.Read(bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// A program that can be read is a stub that can be used or is refused, and what
// comes of it can be read.
func FuzzStub(f *testing.F) {
	f.Add(ukitest.Program(uki.AMD64, 1024, nil))
	f.Add(ukitest.Program(uki.AMD64, 512, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := uki.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		o := sample(1024)
		o.Stub, o.Linux = section(b), section(ukitest.Program(p.Machine, 1024, nil))
		u, err := uki.New(o)
		if err != nil {
			return
		}
		r, err := u.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := uki.Read(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(again.Section(".uname")); err != nil || string(got) != "6.1.0" {
			t.Fatalf("%q, %v", got, err)
		}
		for i, s := range p.Sections {
			old, new := io.NewSectionReader(bytes.NewReader(b), int64(s.Offset), s.Size()), again.Sections[i]
			was, err1 := io.ReadAll(old)
			is, err2 := io.ReadAll(io.NewSectionReader(bytes.NewReader(raw), int64(new.Offset), new.Size()))
			if err1 != nil || err2 != nil || !bytes.Equal(was, is) {
				t.Fatalf("the section %d has changed: %v, %v", i, err1, err2)
			}
		}
	})
}
