package ext4_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// smallVolume is a file system of ours in memory.
func smallVolume(t testing.TB) []byte {
	tr := treetest.Of(t, map[string]tree.Inode{"file": treetest.File(0o644, "content")})
	o := ext4.Options{UUID: [16]byte{1, 2, 3}, Label: "samebits", Time: tree.Time{Sec: 5_000_000_000}, Reserved: 5}
	return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestSuperIsWhatWasWritten(t *testing.T) {
	b := smallVolume(t)
	s, err := ext4.ReadSuper(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	late := tree.Time{Sec: 5_000_000_000} // beyond 32 bits
	if s.Kind != "ext4" || s.Label != "samebits" || s.UUID != [16]byte{1, 2, 3} || s.Size != int64(len(b)) || s.Journal != 4<<20 || !s.Clean || s.Created != late || s.Written != late {
		t.Errorf("%+v", s)
	}
}

func TestSuperRefuses(t *testing.T) {
	good := smallVolume(t)
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"cut off":        {func(b []byte) []byte { return b[:len(b)-4096] }, "it is cut off"},
		"shorter than 2": {func(b []byte) []byte { return b[:1500] }, "EOF"},
		"no magic":       {func(b []byte) []byte { b[1024+0x38] = 0; return b }, "there is none"},
		"a flipped bit":  {func(b []byte) []byte { b[1024+0x68] ^= 1; return b }, "its checksum is wrong"},
	} {
		b := c.damage(bytes.Clone(good))
		if _, err := ext4.ReadSuper(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// dumpe2fs is what that program says, by its names.
func dumpe2fs(t *testing.T, path string) map[string]string {
	t.Helper()
	cmd := exec.Command("dumpe2fs", "-h", path)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z][^:]*):\s*(.*?)\s*$`).FindAllStringSubmatch(string(out), -1) {
		said[m[1]] = m[2]
	}
	return said
}

func TestSupersOfMke2fs(t *testing.T) {
	for _, program := range []string{"mke2fs", "dumpe2fs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct{ name, kind, size string }{{"ext2", "ext2", "8M"}, {"ext3", "ext3", "32M"}, {"ext4", "ext4", "64M"}} {
		path := filepath.Join(t.TempDir(), c.name)
		if out, err := exec.Command("mke2fs", "-q", "-t", c.name, "-L", "label", path, c.size).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ext4.ReadSuper(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		said := dumpe2fs(t, path)
		for _, v := range []struct {
			name string
			got  any
		}{
			{"Filesystem features", strings.Join(s.Features, " ")},
			{"Block count", s.Blocks}, {"Free blocks", s.Free}, {"Reserved block count", s.Reserved},
			{"Inode count", s.Inodes}, {"Free inodes", s.FreeInodes}, {"Block size", s.BlockSize}, {"Inode size", s.InodeSize},
			{"Filesystem created", s.Created.Time().Format("Mon Jan _2 15:04:05 2006")},
		} {
			if got := strings.TrimSpace(fmt.Sprint(v.got)); got != said[v.name] {
				t.Errorf("%s: %s is %s, dumpe2fs says %s", c.name, v.name, got, said[v.name])
			}
		}
		if s.Kind != c.kind || s.Label != "label" || !s.Clean {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func FuzzReadSuper(f *testing.F) {
	f.Add(smallVolume(f)[1024:2048])
	f.Fuzz(func(t *testing.T, b []byte) {
		const size = 1 << 50
		s, err := ext4.ReadSuper(bytes.NewReader(append(make([]byte, 1024), b...)), size)
		if err == nil && (s.Size > size || s.Size <= 0 || s.Free > s.Blocks) {
			t.Errorf("%+v", s)
		}
	})
}
