package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes a root beside a secret that must not be read.
func tree(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	root := filepath.Join(top, "root")
	for _, d := range []string{"etc/sub", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"secret": "host", "root/usr/lib/file": "inside", "root/secret": "of the root"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"etc/absolute":   "/usr/lib/file",
		"etc/relative":   "../usr/lib/file",
		"etc/escaping":   "../../../../secret",
		"etc/host":       filepath.Join(top, "secret"),
		"etc/dir":        "/usr/lib",
		"etc/loop":       "loop",
		"etc/dangling":   "/nowhere",
		"etc/sub/twice":  "../dir/../lib/file",
		"etc/sub/parent": "..",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "etc/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

var resolveTests = []struct {
	name, want string
	err        error
}{
	{"usr/lib/file", "inside", nil},
	{"/usr/lib/file", "inside", nil},
	{"etc/absolute", "inside", nil},
	{"etc/relative", "inside", nil},
	{"etc/dir/file", "inside", nil},
	{"etc/sub/twice", "inside", nil},
	{"etc/sub/parent/absolute", "inside", nil},
	{"../secret", "of the root", nil},
	{"etc/escaping", "of the root", nil},
	{"etc/host", "", fs.ErrNotExist},
	{"etc/dangling", "", fs.ErrNotExist},
	{"etc/absolute/x", "", unix.ENOTDIR},
	{"etc/loop", "", unix.ELOOP},
}

func TestOpenStaysWithin(t *testing.T) {
	r, err := Open(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, tt := range resolveTests {
		got, err := r.ReadFile(tt.name, 100)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestWalk holds the way of old kernels to the same results.
func TestWalk(t *testing.T) {
	dir, err := os.Open(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, tt := range resolveTests {
		name := strings.TrimPrefix(filepath.Clean("/"+tt.name), "/")
		fd, err := walk(int(dir.Fd()), name, unix.O_RDONLY)
		got := ""
		if err == nil {
			buf := make([]byte, 100)
			n, _ := unix.Read(fd, buf)
			unix.Close(fd)
			got = string(buf[:n])
		}
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestRefusals(t *testing.T) {
	path := tree(t)
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open("etc/pipe"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a named pipe: %v", err)
	}
	if _, err := r.ReadFile("usr/lib/file", 5); err == nil || !strings.Contains(err.Error(), "longer than 5 bytes") {
		t.Errorf("a file over the limit: %v", err)
	}
	if got, err := r.ReadFile("usr/lib/file", 6); err != nil || string(got) != "inside" {
		t.Errorf("a file at the limit: %q, %v", got, err)
	}
	if _, err := r.ReadFile("usr/lib", 5); err == nil {
		t.Error("a directory is read as a file")
	}
	if _, err := Open(filepath.Join(path, "usr/lib/file")); err == nil {
		t.Error("a file is opened as a root")
	}
	if _, err := Open(filepath.Join(path, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent root: %v", err)
	}
}

func TestReadDirAndStat(t *testing.T) {
	r, err := Open(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := r.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "etc secret usr" {
		t.Errorf("the root holds %q", got)
	}
	info, err := r.Stat("etc/absolute")
	if err != nil || !info.Mode().IsRegular() || info.Size() != 6 {
		t.Errorf("stat through a link: %v, %v", info, err)
	}
	if _, err := r.Stat("etc/host"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a file of the host: %v", err)
	}
}
