package imagebuild

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/spec"
)

func TestCheckPlace(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{os.Mkdir(dir+"/empty", 0o755), os.Mkdir(dir+"/full", 0o755), os.WriteFile(dir+"/full/x", nil, 0o644), os.WriteFile(dir+"/file", nil, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		kind, dest string
		images     int
		want       string
	}{
		{"tar", "new", 1, ""},
		{"tar", "file", 1, ""}, // it is replaced
		{"tar", "-", 1, ""},
		{"tar", "full", 1, "it is a directory, and an output of the type tar is a file"},
		{"tar", "none/new", 1, "there is no directory " + dir + "/none; make it first"},
		{"tar", "file/new", 1, "not a directory"},
		{"tar", "new", 2, "holds one architecture"},
		{"disk", "-", 1, "cannot go to standard output"},
		{"dir", "-", 1, "cannot go to standard output"},
		{"dir", "new", 1, ""},
		{"dir", "empty", 1, ""},
		{"dir", "none/new", 1, "make it first"},
		{"dir", "file", 1, "it is a file, and an output of the type dir is a directory"},
		{"dir", "full", 1, `it has "x" in it already`},
		{"oci", "none/deep/new", 2, ""},
		{"oci", "full", 1, `it has "x" in it already`},
		{"oci", "file/new", 1, "not a directory"},
		{"zip", "new", 1, "no type of output"},
		{"tar", strings.Repeat("long", 100), 1, "file name too long"},
	} {
		dest := c.dest
		if dest != "-" {
			dest = filepath.Join(dir, dest)
		}
		err := CheckPlace(spec.Output{Type: c.kind, Dest: dest}, c.images)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %q", c.kind, c.dest, err, c.want)
		}
	}
	// Root may write to all but what is mounted so.
	if err := CheckPlace(spec.Output{Type: "tar", Dest: "/proc/sys/kernel/new"}, 1); os.Geteuid() != 0 && err == nil {
		t.Error("a place that may not be written to was taken")
	}
}

// What fails leaves no directory, but does not remove one that was there.
func TestDirectoriesOfFailures(t *testing.T) {
	dir := t.TempDir()
	failed := errors.New("failed")
	for _, path := range []string{dir + "/new", dir} {
		err := inNew(path, func() error {
			_ = os.Mkdir(path, 0o755)
			return errors.Join(os.WriteFile(path+"/x", nil, 0o644), failed)
		})
		if !errors.Is(err, failed) {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir + "/new"); err == nil {
		t.Error("the directory is left")
	}
	if _, err := os.Stat(dir + "/x"); err != nil {
		t.Error("a directory that was there was removed")
	}
	if err := inNew(dir+"/new", func() error { return os.Mkdir(dir+"/new", 0o755) }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/new"); err != nil {
		t.Error("what was written is gone")
	}
}
