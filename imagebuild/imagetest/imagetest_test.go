package imagetest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func TestFiles(t *testing.T) {
	write := func(f *os.File) error {
		_, err := f.WriteAt([]byte("text"), 2)
		return errors.Join(err, f.Truncate(8))
	}
	if b := imagetest.Bytes(t, write); string(b) != "\x00\x00text\x00\x00" {
		t.Errorf("%q", b)
	}
}

// Tools speak English, in UTC.
func TestTools(t *testing.T) {
	if got := imagetest.Tool(t, "date", "-d", "@0", "+%A %H:%M %Z"); got != "Thursday 00:00 UTC\n" {
		t.Errorf("%q", got)
	}
}

// What Linux mounts is read.
func TestMounted(t *testing.T) {
	image, source := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "mksquashfs", source, image, "-quiet", "-no-progress")
	tr := imagetest.Mounted(t, "squashfs", image)
	if n, found := tr.Lookup("file"); !found || n.Inode().Size != 4 || treetest.Read(tr) != nil {
		t.Errorf("%d paths are seen", tr.Len())
	}
}
