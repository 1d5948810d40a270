package filetime_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/filetime"
)

// TestTimes sets times of files, links and open files, which a file system of
// this machine holds, and reads them.
func TestTimes(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(path, "link")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	file, err := os.Open(filepath.Join(path, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, want := range []time.Time{
		time.Unix(0, 0), time.Unix(1772323200, 5), time.Unix(-1<<31, 0), time.Unix(1<<31-1, 999_999_999),
		time.Unix(1<<31, 0), time.Unix(1<<32-1, 7), time.Unix(1<<32+5, 0), // 2038, 2106
	} {
		for _, c := range []struct {
			dir   *os.File
			name  string
			flags int
		}{{dir, "file", 0}, {dir, "link", unix.AT_SYMLINK_NOFOLLOW}, {dir, ".", 0}, {file, "", unix.AT_EMPTY_PATH}} {
			fd := int(c.dir.Fd())
			if err := filetime.Set(fd, c.name, want, c.flags); err != nil {
				t.Fatalf("%q, %s: %v", c.name, want, err)
			}
			var stat unix.Stat_t
			if err := unix.Fstatat(fd, c.name, &stat, c.flags); err != nil {
				t.Fatal(err)
			}
			got, err := filetime.Modified(fd, c.name, c.flags, &stat)
			if err != nil || !got.Equal(want) {
				t.Errorf("%q has the time %s, not %s: %v", c.name, got, want, err)
			}
		}
	}
}

func TestErrorsAreTheKernels(t *testing.T) {
	for _, when := range []time.Time{time.Unix(5, 0), time.Unix(1<<31, 0)} {
		if err := filetime.Set(unix.AT_FDCWD, filepath.Join(t.TempDir(), "missing"), when, 0); err != unix.ENOENT {
			t.Errorf("%s: %v", when, err)
		}
		if err := filetime.Set(unix.AT_FDCWD, "a\x00b", when, 0); err != unix.EINVAL {
			t.Errorf("a name with a NUL, %s: %v", when, err)
		}
	}
}
