package iso_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// bootable is a small volume with both kinds of boot images.
func bootable(t testing.TB) []byte {
	t.Helper()
	tr, err := (&tree.Builder{}).Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loader := &iso.BootImage{Content: tree.Bytes(make([]byte, 4096)), Size: 4096}
	raw, err := os.ReadFile(image(t, tr, iso.Options{
		VolumeID: "SAMPLE", System: "LINUX", VolumeSet: "SET", Publisher: "WHO", Preparer: "WITH", Application: "FOR", Time: treetest.Epoch,
		BIOS: loader, UEFI: loader,
	}).Name())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSuperIsWhatWasWritten(t *testing.T) {
	b := bootable(t)
	s, err := iso.ReadSuper(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"identifiers": s.VolumeID == "SAMPLE" && s.System == "LINUX" && s.VolumeSet == "SET" && s.Publisher == "WHO" && s.Preparer == "WITH" && s.Application == "FOR",
		"times":       s.Created == treetest.Epoch && s.Modified == treetest.Epoch,
		"size":        s.Size == int64(len(b)),
		"boot":        len(s.Boot) == 2 && !s.Boot[0].UEFI && s.Boot[1].UEFI && s.Catalog > 0,
		"no Joliet":   !s.Joliet,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, s)
		}
	}
}

func TestSuperRefuses(t *testing.T) {
	good := bootable(t)
	s, err := iso.ReadSuper(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"nothing":           {func([]byte) []byte { return nil }, "the sector 16 is not in it"},
		"no magic":          {func(b []byte) []byte { b[16*sector+1] = 0; return b }, "it does not begin as one"},
		"no primary":        {func(b []byte) []byte { b[16*sector] = 3; return b }, "no primary descriptor"},
		"the catalog's sum": {func(b []byte) []byte { b[s.Catalog+5] ^= 1; return b }, "its sum is wrong"},
		"a catalog outside": {func(b []byte) []byte { b[17*sector+74] = 0x7F; return b }, "the boot catalog: the sector"},
	} {
		b := c.damage(bytes.Clone(good))
		if _, err := iso.ReadSuper(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What xorriso writes is as isoinfo says.
func TestSuperOfXorriso(t *testing.T) {
	for _, program := range []string{"xorriso", "isoinfo"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "boot.bin"), make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "iso")
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-J", "-R", "-V", "VOLUME", "-p", "PREPARER", "-publisher", "PUBLISHER", "-A", "APPLICATION",
		"-b", "boot.bin", "-no-emul-boot", "-o", path, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := iso.ReadSuper(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("isoinfo", "-d", "-i", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Volume id: " + s.VolumeID, "Data preparer id: " + s.Preparer, "Publisher id: " + s.Publisher, "Application id: " + s.Application} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("%q is not what isoinfo says: %s", want, out)
		}
	}
	if s.VolumeID != "VOLUME" || s.Publisher != "PUBLISHER" || !s.Joliet || len(s.Boot) != 1 || s.Boot[0].UEFI {
		t.Errorf("%+v", s)
	}
}

func FuzzReadSuper(f *testing.F) {
	good := bootable(f)
	f.Add(good[16*sector:16*sector+900], good[17*sector:17*sector+100], good[19*sector:20*sector])
	f.Fuzz(func(t *testing.T, first, second, rest []byte) {
		data := bytes.Clone(good)
		for at, part := range map[int][]byte{16 * sector: first, 17 * sector: second, 19 * sector: rest} {
			copy(data[at:at+min(len(part), sector)], part)
		}
		s, err := iso.ReadSuper(bytes.NewReader(data), int64(len(data)))
		if err == nil && (len(s.Boot) > 64 || s.Size < 0) {
			t.Errorf("%+v", s)
		}
	})
}
