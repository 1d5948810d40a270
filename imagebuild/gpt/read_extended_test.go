package gpt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

// chain is a disk of 64 KiB whose sectors 8 on are an extended partition of three
// tables, in the sectors 8, 24 and 40, each with a partition of 8 sectors.
func chain() []byte {
	b := make([]byte, 64<<10)
	put := func(e []byte, kind byte, first, count uint32) {
		e[4] = kind
		binary.LittleEndian.PutUint32(e[8:], first)
		binary.LittleEndian.PutUint32(e[12:], count)
	}
	for i := range 3 {
		table := b[(8+16*i)*512:]
		put(table[446:], gpt.MBRLinux, 2, 8)
		if i < 2 {
			put(table[462:], 0x05, uint32(16*(i+1)), 16)
		}
		table[510], table[511] = 0x55, 0xAA
	}
	return b
}

var wholeChain = gpt.MBRPartition{Type: 0x05, Start: 8 * 512, Size: 56 << 10}

func TestExtendedPartitions(t *testing.T) {
	b := chain()
	list, err := gpt.ReadExtended(bytes.NewReader(b), int64(len(b)), wholeChain)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, p := range list {
		if want := (gpt.MBRPartition{Type: gpt.MBRLinux, Start: int64(10+16*i) * 512, Size: 8 * 512}); p != want {
			t.Errorf("%+v, want %+v", p, want)
		}
	}
}

func TestHostileExtendedPartitions(t *testing.T) {
	for want, change := range map[string]func(b []byte){
		"comes twice":                  func(b []byte) { clear(b[24*512+462+8 : 24*512+462+12]) },
		"a table at byte":              func(b []byte) { b[24*512+462+9] = 0xFF },
		"has no signature":             func(b []byte) { b[24*512+510] = 0 },
		"a partition from byte":        func(b []byte) { b[40*512+446+13] = 0xFF },
		"a partition from byte 20480 ": func(b []byte) { b[40*512+446+8] = 0 },
		"a table with two partitions":  func(b []byte) { b[8*512+462+4] = 0x83 },
	} {
		b := chain()
		change(b)
		if _, err := gpt.ReadExtended(bytes.NewReader(b), int64(len(b)), wholeChain); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := gpt.ReadExtended(bytes.NewReader(nil), 0, wholeChain); err == nil || !strings.Contains(err.Error(), "it ends at byte 61440 of 0") {
		t.Error(err)
	}
}

// Logical partitions are where sfdisk says.
func TestExtendedPartitionsOfSfdisk(t *testing.T) {
	if _, err := exec.LookPath("sfdisk"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader("label: dos\n,8M\n,,5\n,8M\n,8M,82\n,8M\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("sfdisk", "-J", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Table struct {
			Partitions []struct{ Start, Size int64 }
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.ReadMBR(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	list, err := gpt.ReadExtended(bytes.NewReader(b), int64(len(b)), m.Partitions[1])
	if err != nil || len(list) != 3 || !gpt.IsExtended(m.Partitions[1].Type) {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, p := range list {
		if want := said.Table.Partitions[2+i]; p.Start != want.Start*512 || p.Size != want.Size*512 {
			t.Errorf("%+v, and sfdisk says %+v", p, want)
		}
	}
}

func FuzzReadExtended(f *testing.F) {
	b := chain()
	f.Add(b[8*512:9*512], b[24*512:25*512], b[40*512:41*512])
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		b := make([]byte, 64<<10)
		for at, part := range map[int][]byte{8: first, 24: second, 40: third} {
			copy(b[at*512:(at+1)*512], part)
		}
		list, _ := gpt.ReadExtended(bytes.NewReader(b), int64(len(b)), wholeChain)
		for _, p := range list {
			if p.Start < wholeChain.Start || p.Size <= 0 || p.Start+p.Size > int64(len(b)) {
				t.Errorf("%+v", p)
			}
		}
	})
}
