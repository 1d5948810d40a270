package iso_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

const sector = 2048

// sample is a small volume: the root's directory is in sector 20, dir's in 21,
// what does not fit into them in 22, and the contents from 23 on.
func sample(t testing.TB) []byte {
	t.Helper()
	var b tree.Builder
	for _, err := range []error{
		b.Add("dir", tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}),
		b.Add("dir/"+strings.Repeat("n", 250), treetest.File(0o644, "content")),
		b.Add("dir/link", tree.Inode{Mode: tree.Symlink | 0o777, Target: "/a/../b", ModTime: treetest.Epoch}),
		b.Add("dir/null", tree.Inode{Mode: tree.CharDev | 0o600, Major: 1, Minor: 3, ModTime: treetest.Epoch}),
		b.Add("x.txt", treetest.File(0o644, "x")), b.Link("y.txt", "x.txt"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(image(t, tr, iso.Options{VolumeID: "SAMPLE"}).Name())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Where what is, byte by byte.
func TestLayout(t *testing.T) {
	raw := sample(t)
	if len(raw) != 25*sector {
		t.Errorf("the volume has %d bytes", len(raw))
	}
	for at, want := range map[int]string{
		0:               "\x00\x00",
		16 * sector:     "\x01CD001\x01\x00",
		16*sector + 40:  "SAMPLE   ",
		17 * sector:     "\xffCD001\x01",
		18 * sector:     "\x01\x00\x14\x00\x00\x00\x01\x00\x00\x00\x03\x00\x15\x00\x00\x00\x01\x00DIR\x00",
		19 * sector:     "\x01\x00\x00\x00\x00\x14\x00\x01\x00\x00\x03\x00\x00\x00\x00\x15\x00\x01DIR\x00",
		20*sector + 33:  "\x00SP\x07\x01\xbe\xef\x00PX\x2c\x01\xed\x41\x00\x00\x00\x00\x41\xed\x03\x00\x00\x00",
		23 * sector:     "content\x00",
		24 * sector:     "x\x00",
		16*sector + 881: "\x01",
		16*sector + 80:  "\x19\x00\x00\x00\x00\x00\x00\x19",
		16*sector + 128: "\x00\x08\x08\x00",
		20*sector + 2:   "\x14\x00\x00\x00\x00\x00\x00\x14\x00\x08\x00\x00\x00\x00\x08\x00",
		21*sector + 18:  "\x7e\x03\x01\x00\x00\x00\x00\x02", // 2026-03-01, of a directory
	} {
		if !bytes.HasPrefix(raw[at:], []byte(want)) {
			t.Errorf("at byte %d of sector %d is %q, want %q", at%sector, at/sector, raw[at:at+len(want)], want)
		}
	}
}

// find is the byte of a record in a directory, by its identifier.
func find(t *testing.T, b []byte, dir int, id string) int {
	t.Helper()
	for at := dir * sector; b[at] > 0; at += int(b[at]) {
		if strings.HasPrefix(string(b[at+33:at+33+int(b[at+32])]), id) {
			return at
		}
	}
	t.Fatalf("no record %q", id)
	return 0
}

func TestBadVolumes(t *testing.T) {
	good := sample(t)
	le := binary.LittleEndian
	long, link, file, dir := find(t, good, 21, "NNN"), find(t, good, 21, "LINK"), find(t, good, 20, "X"), find(t, good, 20, "DIR")
	entry := func(b []byte, at int, letters string) int { return at + bytes.Index(b[at:at+254], []byte(letters)) }
	for complaint, change := range map[string]func(b []byte) []byte{
		"the sector 16 is not in it":         func(b []byte) []byte { return b[:16*sector] },
		"does not begin as one":              func(b []byte) []byte { b[16*sector+3] = 'X'; return b },
		"blocks of 512":                      func(b []byte) []byte { b[16*sector+129] = 2; return b },
		"has no primary":                     func(b []byte) []byte { b[16*sector] = 2; return b },
		"have no end":                        func(b []byte) []byte { return endless(b) },
		"the sector 4095 is not":             func(b []byte) []byte { le.PutUint32(b[16*sector+158:], 4095); return b },
		"a record of 33 bytes":               func(b []byte) []byte { b[file] = 33; return b },
		"a record of 34 bytes":               func(b []byte) []byte { b[file] = 34; return b },
		"a directory of 4294967295":          func(b []byte) []byte { le.PutUint32(b[dir+10:], 1<<32-1); return b },
		"are those of another directory":     func(b []byte) []byte { le.PutUint32(b[dir+2:], 20); return b },
		`the extents of "X.TXT;1" do not e`:  func(b []byte) []byte { b[file+25] = 0x80; return b },
		"is a directory, and is none":        func(b []byte) []byte { b[dir+25] = 0; return b },
		"it is interleaved":                  func(b []byte) []byte { b[file+26] = 1; return b },
		"ends at byte":                       func(b []byte) []byte { le.PutUint32(b[file+10:], 1<<20); return b },
		"bytes at byte 4000 of a sector":     func(b []byte) []byte { le.PutUint32(b[entry(b, long, "CE")+12:], 4000); return b },
		"the sector 1000 is not":             func(b []byte) []byte { le.PutUint32(b[entry(b, long, "CE")+4:], 1000); return b },
		"the sector 1000 is not in it":       func(b []byte) []byte { return child(b, entry(b, link, "PX"), 1000) },
		"the sector 16 is not the beginning": func(b []byte) []byte { return child(b, entry(b, link, "PX"), 16) },
		"sectors are those of another":       func(b []byte) []byte { return child(b, entry(b, link, "PX"), 20) },
		`compressed in the way "PZ" in blo`: func(b []byte) []byte {
			copy(b[entry(b, link, "PX"):], "ZF\x10\x01PZ\x04\x0f\x00\x00\x00\x00\x00\x00\x00\x00")
			return b
		},
		"its target is cut off": func(b []byte) []byte { b[entry(b, link, "SL")+6] = 200; return b },
		"a slash":               func(b []byte) []byte { b[entry(b, link, "NM")+6] = '/'; return b },
		`"." is not a name`: func(b []byte) []byte {
			copy(b[entry(b, link, "NM")+2:], "\x06")
			b[entry(b, link, "NM")+5] = '.'
			copy(b[entry(b, link, "NM")+6:], b[entry(b, link, "NM")+9:link+int(b[link])])
			return b
		},
		"its attributes have no end": func(b []byte) []byte { return circle(b, entry(b, long, "CE")) },
		"the path is there twice":    func(b []byte) []byte { copy(b[entry(b, link, "NM")+5:], "null"); return b },
	} {
		bad := change(bytes.Clone(good))
		_, err := iso.Read(t.Context(), bytes.NewReader(bad), int64(len(bad)))
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// child makes an entry tell that the directory is elsewhere.
func child(b []byte, entry int, sector uint32) []byte {
	copy(b[entry:], "CL\x0c\x01")
	binary.LittleEndian.PutUint32(b[entry+4:], sector)
	copy(b[entry+12:], "XX\x18\x01") // what is left of it
	return b
}

// endless has no last descriptor.
func endless(b []byte) []byte {
	b = append(b, make([]byte, 100*sector)...)
	for i := 17; i < 100; i++ {
		copy(b[i*sector:], "\x02CD001\x01")
	}
	return b
}

// circle lets entries go on where they are.
func circle(b []byte, ce int) []byte {
	place := int(binary.LittleEndian.Uint32(b[ce+4:]))*sector + int(binary.LittleEndian.Uint32(b[ce+12:]))
	copy(b[place:], b[ce:ce+28])
	return b
}

func FuzzRead(f *testing.F) {
	good := sample(f)
	f.Add(good[16*sector+80:16*sector+190], good[20*sector:20*sector+700], good[21*sector:21*sector+1000], good[22*sector:22*sector+400])
	f.Fuzz(func(t *testing.T, primary, root, dir, more []byte) {
		data := bytes.Clone(good)
		for at, part := range map[int][]byte{16*sector + 80: primary, 20 * sector: root, 21 * sector: dir, 22 * sector: more} {
			copy(data[at:at+min(len(part), 1500)], part)
		}
		v, err := iso.Read(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		w := &memory{}
		l, err := iso.Write(t.Context(), w, v.Tree, iso.Options{})
		if errors.Is(err, errors.ErrUnsupported) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		w.grow(l.Size)
		again, err := iso.Read(t.Context(), bytes.NewReader(w.b), l.Size)
		if err != nil {
			t.Fatal(err)
		}
		treetest.Report(t, treetest.Compare(v.Tree, again.Tree, holds))
	})
}

// memory is an output in memory.
type memory struct{ b []byte }

func (m *memory) grow(size int64) {
	if size > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, size-int64(len(m.b)))...)
	}
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	m.grow(at + int64(len(p)))
	return copy(m.b[at:], p), nil
}
