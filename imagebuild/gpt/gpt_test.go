package gpt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

const (
	disk  gpt.GUID = "5eed0000-1111-4222-8333-444455556666"
	one   gpt.GUID = "5eed0001-1111-4222-8333-444455556666"
	two   gpt.GUID = "5eed0002-1111-4222-8333-444455556666"
	three gpt.GUID = "5eed0003-1111-4222-8333-444455556666"
)

// sample is a disk with what disks have.
func sample() gpt.Table {
	return gpt.Table{
		ID: disk,
		Partitions: []gpt.Partition{
			{Type: gpt.ESP, ID: one, Name: "EFI system partition", Size: 5<<20 + 1},
			{Type: gpt.RootX86_64, ID: two, Name: "würzel \U0001f600", Attributes: gpt.ReadOnly | gpt.Required, Size: 7 << 20},
			{Type: gpt.RootVerityX86_64, ID: three, Name: strings.Repeat("n", 36), Size: 4096},
		},
		Signature: 0xCAFE1234, BootCode: []byte{0xFA, 0xF4},
	}
}

func layout(t testing.TB, table gpt.Table) *gpt.Table {
	t.Helper()
	laid, err := table.Layout()
	if err != nil {
		t.Fatal(err)
	}
	return laid
}

// written is a file with a table.
func written(t testing.TB, size int64, table interface{ WriteTo(io.WriterAt) error }) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLayout(t *testing.T) {
	table := layout(t, sample())
	var got [][2]int64
	for _, p := range table.Partitions {
		got = append(got, [2]int64{p.Start, p.Size})
	}
	const mib = 1 << 20
	if want := [][2]int64{{mib, 6 * mib}, {7 * mib, 7 * mib}, {14 * mib, mib}}; !reflect.DeepEqual(got, want) || table.Size != 16*mib {
		t.Errorf("partitions at %v of %d bytes, want %v", got, table.Size, want)
	}
	given := sample()
	given.SectorSize, given.Size = 4096, 100*mib+4096
	given.Partitions[0].Start, given.Partitions[0].Size = 24576, 8192
	given.Partitions[2].Size = gpt.Rest
	table = layout(t, given)
	last := table.Partitions[2]
	if table.Partitions[0].Start != 24576 || table.Partitions[1].Start != mib || last.Start != 8*mib || last.Start+last.Size != 99*mib {
		t.Errorf("%+v", table)
	}
	if given.Partitions[1].Start != 0 {
		t.Error("the table that was given was changed")
	}
	if empty := layout(t, gpt.Table{ID: disk}); empty.Size != mib {
		t.Errorf("an empty disk has %d bytes", empty.Size)
	}
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	for name, change := range map[string]func(*gpt.Table){
		"as it is":          func(*gpt.Table) {},
		"sectors of 4096":   func(t *gpt.Table) { t.SectorSize = 4096 },
		"no partitions":     func(t *gpt.Table) { t.Partitions = nil },
		"in another order":  func(t *gpt.Table) { t.Partitions[0].Start = 200 << 20 },
		"a disk of 3 TiB":   func(t *gpt.Table) { t.Size = 3 << 40; t.Partitions[2].Size = gpt.Rest },
		"an odd size":       func(t *gpt.Table) { t.Size = 64<<20 + 512 },
		"no room behind it": func(t *gpt.Table) { t.Size = 15<<20 + 33*512 },
	} {
		table := sample()
		change(&table)
		want := layout(t, table)
		f := written(t, want.Size, want)
		got, err := gpt.Read(f, want.Size)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want.SectorSize == 0 {
			want.SectorSize = 512
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
	}
}

// The disk may be larger than the table says, as one that an image was put on.
func TestReadOnLargerDisk(t *testing.T) {
	want := layout(t, sample())
	f := written(t, want.Size+5<<20, want)
	got, err := gpt.Read(f, want.Size+5<<20)
	if err != nil || got.Size != want.Size {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestGolden(t *testing.T) {
	table := layout(t, sample())
	raw, err := os.ReadFile(written(t, table.Size, table).Name())
	if err != nil {
		t.Fatal(err)
	}
	const golden = "fe2a36c143613d6234f93c62e4f5ea31072c52f87485173f4dd8d1061680af97"
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != golden {
		t.Errorf("the disk has the digest %x", sum)
	}
}

func TestWhatATableCannotBe(t *testing.T) {
	many := func(t *gpt.Table) {
		for i := range 129 {
			t.Partitions = append(t.Partitions, gpt.Partition{Type: gpt.Swap, ID: gpt.FormatGUID([16]byte{1, byte(i)}), Size: 512})
		}
	}
	for complaint, change := range map[string]func(*gpt.Table){
		"sectors of 1000 bytes":        func(t *gpt.Table) { t.SectorSize = 1000 },
		"a size of 1025 bytes":         func(t *gpt.Table) { t.Size = 1025 },
		"room for the tables":          func(t *gpt.Table) { t.Size = 16384; t.Partitions = nil },
		"at most 128":                  many,
		"boot code of 441":             func(t *gpt.Table) { t.BootCode = make([]byte, 441) },
		"the disk's identifier":        func(t *gpt.Table) { t.ID = "" },
		"no GUID in small letters":     func(t *gpt.Table) { t.Partitions[1].ID = gpt.GUID(strings.ToUpper(string(two))) },
		`partition 2 ("würzel`:         func(t *gpt.Table) { t.Partitions[1].Type = "x" },
		"it has no type":               func(t *gpt.Table) { t.Partitions[1].Type = "00000000-0000-0000-0000-000000000000" },
		"is there twice, or is none":   func(t *gpt.Table) { t.Partitions[1].ID = one },
		"is there twice":               func(t *gpt.Table) { t.Partitions[1].ID = "00000000-0000-0000-0000-000000000000" },
		"its start, 513,":              func(t *gpt.Table) { t.Partitions[0].Start = 513 },
		"it has 0 bytes":               func(t *gpt.Table) { t.Partitions[0].Size = 0 },
		"partitions are between 17408": func(t *gpt.Table) { t.Partitions[0].Start = 512 },
		"and partitions are between":   func(t *gpt.Table) { t.Size = 10 << 20 },
		"not UTF-8":                    func(t *gpt.Table) { t.Partitions[0].Name = "\xff" },
		"more than 36 UTF-16":          func(t *gpt.Table) { t.Partitions[0].Name = strings.Repeat("\U0001f600", 19) },
		"a NUL":                        func(t *gpt.Table) { t.Partitions[0].Name = "a\x00b" },
		"overlap":                      func(t *gpt.Table) { t.Partitions[2].Start = 2 << 20 },
		"take the rest":                func(t *gpt.Table) { t.Partitions[2].Size = gpt.Rest },
		"or is not the last":           func(t *gpt.Table) { t.Size = 1 << 30; t.Partitions[1].Size = gpt.Rest },
		"which is too many":            func(t *gpt.Table) { t.Partitions[1].Size = 1<<63 - 1 },
		"it has -16384 bytes": func(t *gpt.Table) {
			t.Size = 14 << 20
			t.Partitions[1].Size, t.Partitions[2].Size = 6<<20, gpt.Rest
			t.Partitions[2].Start = 14 << 20
		},
		"a size of 9223372036854775296 ": func(t *gpt.Table) { t.Size = 1<<63 - 512 },
	} {
		table := sample()
		change(&table)
		if _, err := table.Layout(); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	unplaced := sample()
	if err := unplaced.WriteTo(nil); err == nil {
		t.Error("a table without places was written")
	}
}

func TestBadTables(t *testing.T) {
	table := layout(t, sample())
	good, err := os.ReadFile(written(t, table.Size, table).Name())
	if err != nil {
		t.Fatal(err)
	}
	end := len(good)
	for complaint, change := range map[string]func(b []byte) []byte{
		"no GUID partition table":         func(b []byte) []byte { b[512] = 'X'; return b },
		"sum of the header in sector 1":   func(b []byte) []byte { b[512+60]++; return b },
		"sum of the entries in sector 2":  func(b []byte) []byte { b[1024+200]++; return b },
		"the copy: sector 32767 is no":    func(b []byte) []byte { b[end-512] = 0; return b },
		"the copy: the sum of the header": func(b []byte) []byte { b[end-512+90]++; return b },
		"beyond the end of the disk":      func(b []byte) []byte { return b[:end-512] },
		"the revision 0x10001":            func(b []byte) []byte { b[512+8] = 1; return b },
		"a header of 91 bytes":            func(b []byte) []byte { b[512+12] = 91; return b },
		"says to be in 2":                 func(b []byte) []byte { b[512+24] = 2; return b },
		"128 entries of 127 bytes":        func(b []byte) []byte { return resum(b, 512, func(h []byte) { h[84] = 127 }) },
		"65535 entries":                   func(b []byte) []byte { return resum(b, 512, func(h []byte) { h[80], h[81] = 255, 255 }) },
		"its copy differ":                 func(b []byte) []byte { return resum(b, end-512, func(h []byte) { h[56]++ }) },
		"has the sectors from":            func(b []byte) []byte { return retable(b, func(e []byte) { e[40+3] = 9 }) },
		"is not between the sectors":      func(b []byte) []byte { return retable(b, func(e []byte) { e[32], e[33] = 33, 0 }) },
		"overlap":                         func(b []byte) []byte { return retable(b, func(e []byte) { e[41] += 0x20 }) },
	} {
		bad := change(bytes.Clone(good))
		_, err := gpt.Read(bytes.NewReader(bad), int64(len(bad)))
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
		if errors.Is(err, gpt.ErrNoTable) != strings.Contains(complaint, "no GUID") {
			t.Errorf("whether there is a table: %v", err)
		}
	}
	if _, err := gpt.Read(bytes.NewReader(nil), 0); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("an empty disk: %v", err)
	}
}

func TestTypes(t *testing.T) {
	for architecture, want := range map[string]gpt.GUID{"amd64": gpt.RootX86_64, "i386": gpt.RootX86, "armhf": gpt.RootARM, "ppc64le": gpt.RootPPC64LE, "mips64le": gpt.RootMIPS64LE} {
		if types, known := gpt.TypesOf(architecture); !known || types.Root != want {
			t.Errorf("%s: %+v", architecture, types)
		}
	}
	if _, known := gpt.TypesOf("pdp11"); known {
		t.Error("pdp11 is known")
	}
	for g, want := range map[gpt.GUID]string{gpt.ESP: "esp", gpt.UsrVeritySigARM64: "usr-verity-sig-arm64", disk: ""} {
		if got := gpt.TypeName(g); got != want {
			t.Errorf("%s is called %q, want %q", g, got, want)
		}
	}
}
