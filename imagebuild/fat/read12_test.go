package fat_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// floppy is a volume of FAT12, which is not written here: 3,000 clusters of a
// sector, a table of 9 sectors and a root directory of one. Each file has the
// clusters that are named for it; each byte of a cluster is its number.
func floppy(files map[string][]uint16) (raw []byte, table int) {
	const rootAt, dataAt, clusters = 10, 11, 3000
	raw = make([]byte, (dataAt+clusters)*512)
	le := binary.LittleEndian
	le.PutUint16(raw[11:], 512)
	raw[13], raw[14], raw[16], raw[17] = 1, 1, 1, 16
	le.PutUint16(raw[19:], uint16(len(raw)/512))
	le.PutUint16(raw[22:], 9)
	raw[510], raw[511] = 0x55, 0xAA
	entry := raw[rootAt*512:]
	for name, chain := range files {
		copy(entry, fmt.Sprintf("%-11s", name))
		le.PutUint16(entry[26:], chain[0])
		le.PutUint32(entry[28:], uint32(len(chain)*512-5))
		entry = entry[32:]
		for i, cluster := range chain {
			next := uint16(0xFF8 + i%8) // any of them is an end
			if i+1 < len(chain) {
				next = chain[i+1]
			}
			put12(raw[512:], cluster, next)
			at := (dataAt + int(cluster) - 2) * 512
			for k := range 512 {
				raw[at+k] = byte(cluster)
			}
		}
	}
	return raw, 512
}

// put12 is the entry of a cluster: its low bits are in the lower half of a byte
// or in the upper one.
func put12(table []byte, cluster, value uint16) {
	at := int(cluster) / 2 * 3
	if cluster%2 == 0 {
		table[at] = byte(value)
		table[at+1] = table[at+1]&0xF0 | byte(value>>8)
	} else {
		table[at+1] = table[at+1]&0x0F | byte(value<<4)
		table[at+2] = byte(value >> 4)
	}
}

var chains = map[string][]uint16{"EVEN": {2, 4, 6, 8}, "ODD": {3, 5, 7}, "MIXED": {20, 11, 2900, 3001, 2730, 2731, 2732}, "ONE": {9}}

func TestFAT12(t *testing.T) {
	raw, _ := floppy(chains)
	v, err := fat.Read(t.Context(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if v.Type != fat.FAT12 || v.Type.String() != "FAT12" || v.Clusters != 3000 || v.Tree.Len() != len(chains)+1 {
		t.Errorf("%+v with %d entries", v, v.Tree.Len())
	}
	for name, chain := range chains {
		n, found := v.Tree.Lookup(name)
		if !found {
			t.Errorf("no %s", name)
			continue
		}
		var want []byte
		for _, cluster := range chain {
			want = append(want, bytes.Repeat([]byte{byte(cluster)}, 512)...)
		}
		if got := readAll(t, n); !bytes.Equal(got, want[:len(want)-5]) {
			t.Errorf("%s has other %d bytes", name, len(got))
		}
	}
}

func readAll(t testing.TB, n tree.Node) []byte {
	t.Helper()
	r, err := n.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBadFAT12(t *testing.T) {
	good, table := floppy(chains)
	for complaint, change := range map[string]func(b []byte){
		"the cluster 3002, which is none": func(b []byte) { put12(b[table:], 20, 3002) },
		"the cluster 4087, which is none": func(b []byte) { put12(b[table:], 5, 0xFF7) }, // a bad one
		"the cluster 0, which is none":    func(b []byte) { put12(b[table:], 4, 0) },
		"the cluster 4 is there twice":    func(b []byte) { put12(b[table:], 6, 4) },
		"its clusters are not of the":     func(b []byte) { put12(b[table:], 6, 0xFFF) },
		"no entries for all":              func(b []byte) { b[22] = 8 },
	} {
		bad := bytes.Clone(good)
		change(bad)
		if _, err := fat.Read(t.Context(), bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func FuzzFAT12(f *testing.F) {
	good, _ := floppy(chains)
	f.Add(good[:11*512])
	f.Fuzz(func(t *testing.T, head []byte) {
		data := bytes.Clone(good)
		copy(data, head)
		v, err := fat.Read(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if err := treetest.Read(v.Tree); err != nil {
			t.Fatal(err)
		}
	})
}
