package iso

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

func TestIdentifiers(t *testing.T) {
	for name, want := range map[string]string{
		"readme.txt": "README.TXT;1", "README": "README.;1", "a.b.c": "A_B.C;1", ".profile": "_PROFILE.;1", "é": "_.;1", "a b+c": "A_B_C.;1", "\xff": "_.;1",
		"vmlinuz-6.1.0-56-cloud-amd64": "VMLINUZ_6_1.0_56_CLOUD_AMD64;1",
		strings.Repeat("n", 60):        strings.Repeat("N", 30) + ".;1",
		strings.Repeat("n", 40) + ".x": strings.Repeat("N", 29) + ".X;1",
		"x." + strings.Repeat("e", 60): "X." + strings.Repeat("E", 29) + ";1",
	} {
		if got := identify(name, false).String(); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := identify("etc.d", true).String(); got != "ETC_D" {
		t.Errorf("a directory is %q", got)
	}
}

// No two are the same, they are in order, and no longer than they may be.
func TestIdentifiersAreUnique(t *testing.T) {
	var b tree.Builder
	for i := range 1500 {
		for _, name := range []string{"a very long name of which the end differs %04d", "x%04d.é", "n-%d"} {
			if err := b.Add(fmt.Sprintf(name, i), tree.Inode{Mode: tree.Regular | 0o644}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"Same", "same", "SAME", "same_1", "same.", "S!ME", "s?me"} {
		if err := b.Add(name, tree.Inode{Mode: tree.Regular | 0o644}); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	list := entries(tr.Root())
	for i, e := range list {
		id := e.id.String()
		if met[id] || len(e.id.base)+len(e.id.extension) > maxIdentifier || e.id.base == "" {
			t.Errorf("%q is %q", e.node.Name(), id)
		}
		met[id] = true
		if i > 0 && compareIdentifiers(list[i-1].id, e.id) >= 0 {
			t.Errorf("%q comes before %q", list[i-1].id, id)
		}
	}
	if len(list) != 4507 {
		t.Errorf("%d entries", len(list))
	}
}

// What fits is in one piece; what does not goes on elsewhere, within a sector.
func TestOverflow(t *testing.T) {
	entry := func(n int) []byte { return susp("XX", 1, bytes.Repeat([]byte{7}, n-4)) }
	o := &overflow{start: 100, keep: true}
	if got := o.fit([][]byte{entry(100), entry(54)}, 154); len(got) != 154 || o.size != 0 {
		t.Errorf("%d bytes and %d elsewhere", len(got), o.size)
	}
	if got := o.fit([][]byte{entry(100), entry(55)}, 154); len(got) != 128 || string(got[100:102]) != "CE" || o.size != 55 {
		t.Errorf("%d bytes and %d elsewhere", len(got), o.size)
	}
	var many [][]byte
	for range 20 {
		many = append(many, entry(250))
	}
	got := o.fit(many, 200)
	if len(got) != ceSize || o.size > 5*sectorSize || int64(len(o.data)) != o.size {
		t.Errorf("%d bytes and %d elsewhere", len(got), o.size)
	}
	if n := bytes.Count(o.data, []byte("XX\xfa\x01")); n != 20 {
		t.Errorf("%d of 20 entries are there", n)
	}
}

func TestStamps(t *testing.T) {
	for _, sec := range []int64{firstTime.Sec, -1, 0, 951782400, 4107542400, lastTime.Sec} {
		at := tree.Time{Sec: sec}
		s := stamp(at)
		if got := parseStamp(s[:]); got != at {
			t.Errorf("%s is read as %s", at.Time(), got.Time())
		}
	}
	if got := parseStamp([]byte{126, 3, 1, 12, 0, 0, 4}); got.Sec != 1772323200+11*3600 {
		t.Errorf("noon one hour east of Greenwich is %s", got.Time())
	}
	if got := longStamp(tree.Time{Sec: 1772323200, Nsec: 120_000_000}); got != "2026030100000012\x00" {
		t.Errorf("the long form is %q", got)
	}
	if got := parseLong([]byte(noStamp)); got != (tree.Time{}) {
		t.Errorf("no time is %s", got.Time())
	}
}
