package fat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// sample is a small volume and where its parts are.
func sample(t testing.TB) (raw []byte, table, root, data int) {
	t.Helper()
	f := image(t, build(t, strings.Repeat("0123456789", 150), "dir/", "dir/Long Name", "FILE"), fat.Options{Label: "SAMPLE"})
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	table = int(le.Uint16(raw[14:])) * 512
	root = table + 2*int(le.Uint16(raw[22:]))*512
	return raw, table, root, root + 512*32
}

// Where what is, byte by byte: FILE has the clusters 2 to 4, dir 5, and what is in
// it 6 to 8.
func TestLayout(t *testing.T) {
	raw, table, root, data := sample(t)
	le := binary.LittleEndian
	var got []uint16
	for i := range 10 {
		got = append(got, le.Uint16(raw[table+2*i:]))
	}
	want := []uint16{0xFFF8, 0xFFFF, 3, 4, 0xFFFF, 0xFFFF, 7, 8, 0xFFFF, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the table is %x, want %x", got, want)
		}
	}
	second := table + int(le.Uint16(raw[22:]))*512
	if !bytes.Equal(raw[table:second], raw[second:root]) {
		t.Error("the tables differ")
	}
	for at, want := range map[int]string{
		root: "SAMPLE     \x08", root + 32: "FILE       \x20", root + 64: "Ad\x00i\x00r\x00\x00\x00\xff\xff\x0f", root + 96: "DIR        \x10",
		data: "01234", data + 3*512: ".          \x10", data + 3*512 + 32: "..         \x10", data + 3*512 + 96: "LONGNA~1   \x20", data + 4*512: "01234",
	} {
		if !bytes.HasPrefix(raw[at:], []byte(want)) {
			t.Errorf("at %#x is %q, want %q", at, raw[at:at+len(want)], want)
		}
	}
}

func TestBadVolumes(t *testing.T) {
	good, table, root, data := sample(t)
	dir := data + 3*512
	for complaint, change := range map[string]func(b []byte) []byte{
		"unexpected EOF":              func(b []byte) []byte { return b[:100] },
		"no boot signature":           func(b []byte) []byte { b[510] = 0; return b },
		"sectors of 300 bytes":        func(b []byte) []byte { b[11], b[12] = 300&255, 300>>8; return b },
		"and 3 in a cluster":          func(b []byte) []byte { b[13] = 3; return b },
		"0 reserved sectors":          func(b []byte) []byte { b[14] = 0; return b },
		"and 0 tables":                func(b []byte) []byte { b[16] = 0; return b },
		"is cut off":                  func(b []byte) []byte { return b[:len(b)-512] },
		"/: \"FILE\": its clusters":   func(b []byte) []byte { b[13] = 2; return b }, // by their number, these are clusters of FAT12
		"no room for clusters":        func(b []byte) []byte { b[19], b[20] = 9, 0; return b },
		"no entries for all":          func(b []byte) []byte { b[22] = 2; return b },
		"the cluster 3 is there":      func(b []byte) []byte { b[table+4*2] = 3; b[table+3*2] = 3; return b },
		"has the cluster 1, which":    func(b []byte) []byte { b[table+2*2] = 1; return b },
		"the cluster 65000, which":    func(b []byte) []byte { b[table+2*2], b[table+2*2+1] = 65000&255, 65000>>8; return b },
		"are not of the 1500 bytes":   func(b []byte) []byte { b[table+2*2], b[table+2*2+1] = 255, 255; return b },
		"are not of the 1000 bytes":   func(b []byte) []byte { b[root+32+28], b[root+32+29] = 1000&255, 1000>>8; return b },
		"the path is there twice":     func(b []byte) []byte { copy(b[root+64:], "FILE       \x20"); clear(b[root+76 : root+96]); return b },
		"/dir: \"dir/Long Name\": th": func(b []byte) []byte { b[dir+96+26] = 2; return b },
		"the cluster 5 is there":      func(b []byte) []byte { b[dir+96+11] = 0x10; b[dir+96+26] = 5; return b },
		"a slash":                     func(b []byte) []byte { b[root+32+2] = '/'; return b },
	} {
		bad := change(bytes.Clone(good))
		_, err := fat.Read(t.Context(), bytes.NewReader(bad), int64(len(bad)))
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// A long name that is not of its entry is passed over, as the kernel does.
func TestOrphanedLongNames(t *testing.T) {
	good, _, root, data := sample(t)
	dir := data + 3*512
	for name, change := range map[string]func(b []byte){
		"a wrong checksum":    func(b []byte) { b[dir+64+13]++ },
		"a wrong number":      func(b []byte) { b[dir+64] = 0x42 },
		"not the last":        func(b []byte) { b[dir+64] = 1 },
		"an unpaired unit":    func(b []byte) { b[dir+64+2] = 0xD8 },
		"no unit":             func(b []byte) { b[dir+64+1] = 0 },
		"a deleted one after": func(b []byte) { copy(b[dir+128:], b[dir+96:dir+128]); b[dir+96] = 0xE5 },
	} {
		b := bytes.Clone(good)
		change(b)
		v, err := fat.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, found := v.Tree.Lookup("dir/LONGNA~1"); !found {
			t.Errorf("%s: the short name is not there", name)
		}
	}
	b := bytes.Clone(good)
	b[root+32] = 0x05 // for 0xE5
	b[root+32+12] = 0x08
	v, err := fat.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, found := v.Tree.Lookup("σile"); !found {
		t.Error("a name that begins with the byte of deleted ones is not there")
	}
}

func FuzzRead(f *testing.F) {
	good, _, _, _ := sample(f)
	f.Add(good[:24<<10])
	f.Fuzz(func(t *testing.T, head []byte) {
		// What is behind is as it was, so that sizes may stay as they are.
		data := bytes.Clone(good)
		copy(data, head)
		v, err := fat.Read(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		w := &memory{}
		size, err := fat.Write(t.Context(), w, v.Tree, fat.Options{Label: "", DropModes: true})
		if errors.Is(err, errors.ErrUnsupported) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		w.grow(size)
		again, err := fat.Read(t.Context(), bytes.NewReader(w.b), size)
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

// Clusters beyond 65536 are in two words of an entry, and a chain of many goes
// through several parts of the table.
func TestManyClusters(t *testing.T) {
	tr := build(t, string(treetest.Random(5, 1500)), "z/", "z/last")
	b := tr.Edit()
	if err := b.Add("large", treetest.Holes(40<<20, []tree.Extent{{Offset: 39 << 20, Length: 1000}})); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := image(t, tr, fat.Options{Type: fat.FAT32, ClusterSize: 512})
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, got, holds))
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
	imagetest.Tool(t, "fsck.vfat", "-n", f.Name())
	if out := imagetest.Tool(t, "mcopy", "-n", "-i", f.Name(), "::z/last", "-"); out != string(treetest.Random(5, 1500)) {
		t.Error("mcopy has another content of a file beyond cluster 65536")
	}
}

// Clusters begin where a flash's blocks may.
func TestClustersAreAligned(t *testing.T) {
	for _, o := range kinds() {
		raw := make([]byte, 512)
		if _, err := image(t, build(t, "", "f"), o).ReadAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		le := binary.LittleEndian
		table := int(le.Uint16(raw[22:]))
		if table == 0 {
			table = int(le.Uint32(raw[36:]))
		}
		data := int(le.Uint16(raw[14:])) + 2*table + int(le.Uint16(raw[17:]))*32/512
		if data%int(raw[13]) != 0 {
			t.Errorf("%+v: the clusters of %d sectors begin at sector %d", o, raw[13], data)
		}
	}
}

// The second and its hundredths that the time of modification leaves out are in
// the one of creation.
func TestTimes(t *testing.T) {
	n := treetest.File(0o644, "")
	n.ModTime = tree.Time{Sec: 1772323200 + 3600 + 61, Nsec: 990_000_000}
	raw, err := os.ReadFile(image(t, one(t, "TIMED", n), fat.Options{}).Name())
	if err != nil {
		t.Fatal(err)
	}
	entry := raw[bytes.Index(raw, []byte("TIMED      ")):][:32]
	if want := []byte{199, 0x20, 0x08, 0x61, 0x5c, 0x61, 0x5c}; !bytes.Equal(entry[13:20], want) || !bytes.Equal(entry[22:26], want[1:5]) {
		t.Errorf("the times are % x and % x", entry[13:20], entry[22:26])
	}
}
