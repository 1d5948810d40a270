package ext4_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"golang.org/x/sys/unix"
)

func TestDumpe2fs(t *testing.T) {
	out := imagetest.Tool(t, "dumpe2fs", image(t, treetest.Odd(), golden()).Name())
	for _, want := range []string{"samebits", "metadata_csum", "unsigned_directory_hash", "half_md4", "01020300-0000-0000", "clean", "journal_checksum_v3"} {
		if !strings.Contains(out, want) {
			t.Errorf("dumpe2fs shows no %q:\n%.3000s", want, out)
		}
	}
}

// What Linux does with the file system leaves it sound: 200 MB of writes, more
// names in the hashed directory, growing while mounted and while not.
func TestUse(t *testing.T) {
	f := image(t, treetest.Odd(), golden())
	at := mount(t, f.Name())
	for i := range 200 {
		if err := os.WriteFile(filepath.Join(at, "many", fmt.Sprintf("new %d", i)), treetest.Random(uint64(i), 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		if err := os.Remove(filepath.Join(at, "many", fmt.Sprintf("file-%04d.txt", 7*i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(9 << 30); err != nil {
		t.Fatal(err)
	}
	if mayResize(t) {
		device := strings.TrimSpace(imagetest.Tool(t, "findmnt", "-n", "-o", "SOURCE", at))
		imagetest.Tool(t, "losetup", "-c", device)
		imagetest.Tool(t, "resize2fs", device)
	} else {
		t.Log("not grown while mounted, which TestGrowsWhileMounted does")
	}
	imagetest.Tool(t, "umount", at)
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	imagetest.Tool(t, "e2fsck", "-fp", f.Name()) // or resize2fs asks for it
	if err := f.Truncate(10 << 30); err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "resize2fs", f.Name())
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
}

// mayResize reports whether the kernel lets this process grow what is mounted.
func mayResize(t testing.TB) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "CapEff:")
	line, _, _ := strings.Cut(after, "\n")
	caps, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return caps>>unix.CAP_SYS_RESOURCE&1 == 1
}

func TestResizeWhileNotMounted(t *testing.T) {
	f := image(t, treetest.Odd(), ext4.Options{})
	if err := f.Truncate(3 << 30); err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "resize2fs", f.Name())
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
}

// What cannot be held is told by its path.
func TestRefusals(t *testing.T) {
	for path, n := range map[string]tree.Inode{
		"late":       {Mode: tree.Regular, ModTime: tree.Time{Sec: 1<<34 - 1<<31}},
		"early":      {Mode: tree.Regular, ModTime: tree.Time{Sec: -1<<31 - 1}},
		"major":      {Mode: tree.CharDev, Major: 4096},
		"namespace":  {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "system.other", Value: "x"}}},
		"big xattrs": {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "user.big", Value: strings.Repeat("x", 4090)}}},
		"bad acl":    {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "system.posix_acl_access", Value: "x"}}},
		"lost+found": {Mode: tree.Regular},
	} {
		_, err := ext4.Size(build(t, path, n), ext4.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error is %v", path, err)
		}
	}
	full := build(t, "full", treetest.File(0o644, string(treetest.Random(1, 9<<20))))
	if _, err := ext4.Write(t.Context(), image(t, full, ext4.Options{}), full, ext4.Options{Size: 8 << 20}); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "full") {
		t.Errorf("too small a size: %v", err)
	}
}

// build is a tree of one inode besides the root.
func build(t testing.TB, path string, n tree.Inode) *tree.Tree {
	t.Helper()
	return treetest.Of(t, map[string]tree.Inode{path: n})
}

// A lost+found of the tree is as the tree says.
func TestOwnLostAndFound(t *testing.T) {
	tr := build(t, "lost+found", tree.Inode{Mode: tree.Directory | 0o711, UID: 5})
	f := image(t, tr, ext4.Options{})
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, got, treetest.All))
}

// The peer is mke2fs -d of the same 250 MB.
func BenchmarkAgainstMke2fs(b *testing.B) {
	if _, err := exec.LookPath("mke2fs"); err != nil {
		b.Skip(err)
	}
	var builder tree.Builder
	for i := range 2000 {
		if err := builder.Add(fmt.Sprintf("file %04d", i), treetest.File(0o644, string(treetest.Random(uint64(i), 125_000)))); err != nil {
			b.Fatal(err)
		}
	}
	tr, err := builder.Freeze(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	source := filepath.Join(b.TempDir(), "source")
	if err := dir.Write(b.Context(), source, tr, dir.Options{}); err != nil {
		b.Fatal(err)
	}
	onDisk, err := dir.Read(b.Context(), source, dir.ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			image(b, onDisk, ext4.Options{Size: 400 << 20})
		}
	})
	b.Run("mke2fs", func(b *testing.B) {
		for b.Loop() {
			imagetest.Tool(b, "mke2fs", "-q", "-t", "ext4", "-d", source, filepath.Join(b.TempDir(), "image"), "400M")
		}
	})
}
