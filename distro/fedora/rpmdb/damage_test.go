package rpmdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/rootfs"
)

func openRoot(t *testing.T, root string) *rootfs.Root {
	t.Helper()
	files, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return files
}

// testHeader makes a header without a region, padded to a size.
func testHeader(name string, padding int) []byte {
	var index, data []byte
	add := func(tag, kind, count uint32, value []byte) {
		for _, n := range []uint32{tag, kind, uint32(len(data)), count} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		data = append(data, value...)
	}
	for _, s := range []struct {
		tag   uint32
		value string
	}{{tagName, name}, {tagVersion, "1"}, {tagRelease, "2.fc35"}, {tagArch, "noarch"}, {tagVendor, "(none)"}, {tagDescription, strings.Repeat("x", padding)}} {
		add(s.tag, typeString, 1, append([]byte(s.value), 0))
	}
	blob := binary.BigEndian.AppendUint32(nil, uint32(len(index)/entrySize))
	blob = binary.BigEndian.AppendUint32(blob, uint32(len(data)))
	return append(append(blob, index...), data...)
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	if _, err := Find(openRoot(t, root)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty root: %v", err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("var/lib/rpm/rpmdb.sqlite", "")
	put("var/lib/rpm/Packages", "something")
	place, err := Find(openRoot(t, root))
	if err != nil || place.Backend != "bdb" || place.File() != "var/lib/rpm/Packages" {
		t.Errorf("beside an empty database: %+v, %v", place, err)
	}
	if _, err := Read(t.Context(), openRoot(t, root), place); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "var/lib/rpm/Packages") {
		t.Errorf("what is no database: %v", err)
	}
	put("var/lib/rpm/rpmdb.sqlite", "something")
	if place, err = Find(openRoot(t, root)); err != nil || place.Backend != "sqlite" {
		t.Errorf("after a conversion: %+v, %v", place, err)
	}
}

func TestImpossibleNames(t *testing.T) {
	for _, name := range []string{"", "a b", "../etc", "a\nb", "ü"} {
		if _, err := parsePackage(testHeader(name, 0)); err == nil {
			t.Errorf("%q passes for the name of a package", name)
		}
	}
	p, err := parsePackage(testHeader("hello", 0))
	if err != nil || p.EVR() != "1-2.fc35" || p.Vendor != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// small has a small real database of each form.
func small(t testing.TB, form string) []byte {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Skip("no real database is at hand: ", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg/testdata", form))
	if err != nil {
		t.Skip("no real database is at hand: ", err)
	}
	return data
}

type opener func(data []byte) (iter.Seq2[[]byte, error], error)

var openers = map[string]opener{
	"libuuid/Packages":      func(b []byte) (iter.Seq2[[]byte, error], error) { return bdbBlobs(bytes.NewReader(b), int64(len(b))) },
	"sle15-bci/Packages.db": func(b []byte) (iter.Seq2[[]byte, error], error) { return ndbBlobs(bytes.NewReader(b), int64(len(b))) },
	"cbl-mariner-2.0/rpmdb.sqlite": func(b []byte) (iter.Seq2[[]byte, error], error) {
		return sqliteBlobs(bytes.NewReader(b), int64(len(b)), nil, 0)
	},
}

// all reads all that an opener gives, and what it means.
func all(open opener, data []byte) (n int, err error) {
	blobs, err := open(data)
	if err != nil {
		return 0, err
	}
	for blob, err := range blobs {
		if err != nil {
			return n, err
		}
		p, err := parsePackage(blob)
		if err != nil {
			return n, err
		}
		use(p)
		n++
	}
	return n, nil
}

func use(p *Package) {
	p.Requires()
	p.Provides()
	p.Files()
	p.Key()
	p.Signature()
	p.HeaderDigest()
}

// TestCutOff sees that no part of a database passes for a whole one.
func TestCutOff(t *testing.T) {
	for form, open := range openers {
		data := small(t, form)
		want, err := all(open, data)
		if err != nil || want == 0 {
			t.Fatalf("%s: %d packages, %v", form, want, err)
		}
		for i := 1; i < 8; i++ {
			part := data[:len(data)*i/8]
			if n, err := all(open, part); err == nil {
				t.Errorf("%s: %d of %d bytes pass for a database of %d packages", form, len(part), len(data), n)
			}
		}
	}
}

func fuzzForm(f *testing.F, form string, fields ...[2]int) {
	data := small(f, form)
	f.Add(uint32(0), []byte{})
	for _, at := range fields {
		f.Add(uint32(at[0]), bytes.Repeat([]byte{0xff}, at[1]))
		f.Add(uint32(at[0]), make([]byte, at[1]))
	}
	f.Fuzz(func(_ *testing.T, at uint32, patch []byte) {
		changed := bytes.Clone(data[:min(len(data), 1<<18)])
		copy(changed[int(at)%len(changed):], patch)
		all(openers[form], changed)
	})
}

func FuzzBDB(f *testing.F) { fuzzForm(f, "libuuid/Packages", [2]int{20, 4}, [2]int{4096 + 20, 8}) }
func FuzzNDB(f *testing.F) { fuzzForm(f, "sle15-bci/Packages.db", [2]int{12, 4}, [2]int{32, 16}) }
func FuzzSQLite(f *testing.F) {
	fuzzForm(f, "cbl-mariner-2.0/rpmdb.sqlite", [2]int{16, 2}, [2]int{100, 12})
}

func FuzzHeader(f *testing.F) {
	f.Add(testHeader("hello", 10))
	if blobs, err := openers["libuuid/Packages"](small(f, "libuuid/Packages")); err == nil {
		for blob := range blobs {
			f.Add(blob)
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		if p, err := parsePackage(blob); err == nil {
			use(p)
			if p.IsKey() != (p.Name == "gpg-pubkey") || strings.ContainsAny(p.Name, " \n/") && !p.IsKey() {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzLog(f *testing.F) {
	f.Add([]byte{}, uint32(0))
	f.Add(append([]byte{0x37, 0x7f, 0x06, 0x82, 0x00, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0}, make([]byte, 5000)...), uint32(12))
	db := small(f, "cbl-mariner-2.0/rpmdb.sqlite")
	f.Fuzz(func(_ *testing.T, log []byte, _ uint32) {
		if blobs, err := sqliteBlobs(bytes.NewReader(db), int64(len(db)), bytes.NewReader(log), int64(len(log))); err == nil {
			for range blobs {
			}
		}
	})
}

// TestFlippedByte has a package of an ndb that is not as it was written.
func TestFlippedByte(t *testing.T) {
	data := small(t, "sle15-bci/Packages.db")
	at := bytes.Index(data, []byte("gpg-pubkey"))
	if at < 0 {
		at = bytes.Index(data, []byte("glibc"))
	}
	data[at]++
	if _, err := all(openers["sle15-bci/Packages.db"], data); !errors.Is(err, errDamaged) {
		t.Errorf("a flipped byte: %v", err)
	}
}
