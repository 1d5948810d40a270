package fat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
)

func TestSuperSaysWhatReadDoes(t *testing.T) {
	good, _, _, _ := sample(t)
	s, err := fat.ReadSuper(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := fat.Read(t.Context(), bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	v.Tree = nil
	if *s != *v {
		t.Errorf("%+v, want %+v", s, v)
	}
	if _, err := fat.ReadSuper(bytes.NewReader(good), 100); err == nil || !strings.Contains(err.Error(), "the first sector") {
		t.Errorf("of 100 bytes: %v", err)
	}
}

func TestSupersOfMkfs(t *testing.T) {
	if _, err := exec.LookPath("mkfs.vfat"); err != nil {
		t.Skip(err)
	}
	for kind, blocks := range map[string]string{"12": "4000", "16": "60000", "32": "80000"} {
		path := filepath.Join(t.TempDir(), "fs")
		if out, err := exec.Command("mkfs.vfat", "-F", kind, "-n", "LABEL", "-i", "1234abcd", "-S", "512", "-s", "2", "-C", path, blocks).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := fat.ReadSuper(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(s.Type) != "FAT"+kind || s.Label != "LABEL" || s.VolumeID != 0x1234ABCD || s.ClusterSize != 1024 || s.Size != int64(len(b)) {
			t.Errorf("%+v", s)
		}
	}
}

func FuzzReadSuper(f *testing.F) {
	good, _, _, _ := sample(f)
	f.Add(good[:512], int64(len(good)))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		s, err := fat.ReadSuper(bytes.NewReader(b), size)
		if err == nil && (s.Size > size || s.Clusters < 0 || s.ClusterSize <= 0) {
			t.Errorf("%+v", s)
		}
	})
}
