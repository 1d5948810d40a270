package inspect_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// nothing is a disk of zeros that knows it.
type nothing struct{}

func (nothing) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }
func (nothing) Extents() []tree.Extent                { return nil }

// A small file can say to have a disk that would take years to read.
func TestDisksThatAreTooLarge(t *testing.T) {
	path := file(t, "disk.qcow2", func(f *os.File) error {
		_, err := qcow2.Write(t.Context(), nothing{}, 1<<39, f, qcow2.Options{})
		return err
	})
	p := open(t, path)
	if p.Format != "qcow2" || len(p.Parts) != 0 || p.Problem == nil || !strings.Contains(p.Problem.Error(), "larger than what is looked into") {
		t.Errorf("%+v", p)
	}
	if failed, n := wrong(t, path); n != 1 || len(failed) != 1 {
		t.Errorf("%q", failed)
	}
}

// The catalog of an ISO counts 32 MiB at most; a larger image for UEFI is as long
// as its file system.
func TestBootImageOfMoreThanTheCatalogCounts(t *testing.T) {
	image := sized(t, "esp", func(f *os.File) (int64, error) {
		var b tree.Builder
		return fat.Write(t.Context(), f, freeze(t, &b), fat.Options{Size: 40 << 20, Label: "LARGE"})
	})
	content, err := os.ReadFile(image)
	must(t, err)
	var b tree.Builder
	path := sized(t, "iso", func(f *os.File) (int64, error) {
		l, err := iso.Write(t.Context(), f, freeze(t, &b), iso.Options{UEFI: &iso.BootImage{Content: tree.Bytes(content), Size: 40 << 20}})
		if err != nil {
			return 0, err
		}
		return l.Size, nil
	})
	q, err := open(t, path).Find("boot/uefi/1")
	must(t, err)
	if q.Size != 40<<20 || q.Attribute("label") != "LARGE" || q.Problem != nil {
		t.Errorf("%+v", q)
	}
	q, err = open(t, damaged(t, path, func(b []byte) {
		at := bytes.Index(b, []byte("\x88\x00")) // the catalog's entry
		copy(b[at+8:], "\xff\xff\xff\x7f")
	})).Find("boot/uefi/1")
	must(t, err)
	if q.Problem == nil || !strings.Contains(q.Problem.Error(), "it would be at byte") {
		t.Errorf("%+v", q)
	}
}

func TestManyProgramsOfOneVolume(t *testing.T) {
	var b tree.Builder
	for i := range 40 {
		must(t, b.Add(fmt.Sprintf("%02d.EFI", i), treetest.File(0o644, string(program()))))
	}
	path := sized(t, "fat", func(f *os.File) (int64, error) {
		return fat.Write(t.Context(), f, freeze(t, &b), fat.Options{})
	})
	p := open(t, path)
	if len(p.Parts) != 32 || p.Parts[0].Format != "efi program" || p.Parts[31].Name != "31.EFI" {
		t.Errorf("%d parts", len(p.Parts))
	}
}

// retabled is a disk with another table.
func retabled(t testing.TB, path string, change func(*gpt.Table)) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	table, err := gpt.Read(bytes.NewReader(raw), int64(len(raw)))
	must(t, err)
	change(table)
	return file(t, "disk", func(f *os.File) error {
		if _, err := f.Write(raw); err != nil {
			return err
		}
		return table.WriteTo(f)
	})
}

func TestPartsThatOneDiskHas(t *testing.T) {
	d := newDisk(t)
	less := retabled(t, d.path, func(g *gpt.Table) { g.Partitions = slices.Delete(g.Partitions, 2, 3) })
	if lines := diff(t, d.path, less); !slices.Equal(lines, []string{"hashes: part verity>"}) {
		t.Errorf("%q", lines)
	}
	if lines := diff(t, less, d.path); !slices.Equal(lines, []string{"hashes: part >verity"}) {
		t.Errorf("%q", lines)
	}
	other := retabled(t, d.path, func(g *gpt.Table) {
		g.ID = "33333333-3333-4333-8333-333333333333"
		g.Partitions[0].Attributes = gpt.Required | 1<<50
		g.Partitions[1], g.Partitions[2] = g.Partitions[2], g.Partitions[1]
	})
	want := []string{
		": disk_id 22222222-2222-4222-8222-222222222222>33333333-3333-4333-8333-333333333333", "esp: flags >required 0x4000000000000",
	}
	if lines := diff(t, d.path, other); !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// What cannot be read is compared by its bytes, and that is told.
func TestDiffOfWhatCannotBeRead(t *testing.T) {
	d := newDisk(t)
	broken := damaged(t, d.path, func(b []byte) { b[d.start["root"]+1024+40] = 0xFF })
	if lines := diff(t, broken, broken); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	more := damaged(t, broken, func(b []byte) { b[d.rootOffset] ^= 1 })
	list, err := inspect.DiffAll(t.Context(), open(t, broken), open(t, more))
	must(t, err)
	if len(list) != 1 || list[0].Changes[0].Attribute != "sha256" {
		t.Errorf("%+v", list)
	}
	paths := images(t, d.root)
	cut := damaged(t, paths["tar.gz"], func(b []byte) { b[len(b)/2] ^= 1 })
	if _, err := inspect.DiffAll(t.Context(), open(t, cut), open(t, paths["ext4"])); err == nil {
		t.Error("an archive that cannot be read is compared")
	}
	list, err = inspect.DiffAll(t.Context(), open(t, cut), open(t, paths["tar.gz"]))
	must(t, err)
	if len(list) != 1 || list[0].Problem == nil || list[0].Changes[0].Attribute != "sha256" {
		t.Errorf("%+v", list)
	}
}

// Every part that has bytes has them all, and their digest.
func TestDigestsOfParts(t *testing.T) {
	d := newDisk(t)
	raw, err := os.ReadFile(d.path)
	must(t, err)
	open(t, asQcow2(t, d.path, qcow2.Deflate)).All(func(path []string, q *inspect.Part) bool {
		r, err := q.Open()
		must(t, err)
		defer r.Close()
		b, err := io.ReadAll(r)
		must(t, err)
		digest, err := q.Digest(t.Context())
		must(t, err)
		if int64(len(b)) != q.Size || sum(string(b)) != digest.String() {
			t.Errorf("%q: %d bytes of %d, %s", path, len(b), q.Size, digest)
		}
		if len(path) == 1 && !bytes.Equal(b, raw) {
			t.Error("the disk is another one")
		}
		return true
	})
	if _, err := open(t, images(t, d.root)["oci"]).Open(); err == nil {
		t.Error("a directory is a row of bytes")
	}
}

// mirrors is a disk whose every sector is a table of four partitions, from the
// next sector to the end.
type mirrors struct{ size int64 }

func (m mirrors) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		b[i] = m.byteAt(at + int64(i))
	}
	return len(b), nil
}

func (m mirrors) byteAt(at int64) byte {
	var table [512]byte
	for i := range 4 {
		e := table[446+16*i:]
		e[4] = 0x83
		binary.LittleEndian.PutUint32(e[8:], 1)
		binary.LittleEndian.PutUint32(e[12:], uint32((m.size-at/512*512)/512-1))
	}
	table[510], table[511] = 0x55, 0xAA
	if at >= 16*512 {
		return 0
	}
	return table[at%512]
}

// Partitions that lie over each other are not all read: they would be as often as
// there are ways to go.
func TestPartsOverEachOther(t *testing.T) {
	const gib = 1 << 30
	p := inspect.OpenAt(t.Context(), mirrors{4 * gib}, 4*gib)
	n := 0
	p.All(func([]string, *inspect.Part) bool { n++; return true })
	if n > 100 || !strings.Contains(problems(p), "the parts lie over each other: they have more than") {
		t.Errorf("%d parts: %.200s", n, problems(p))
	}
}
