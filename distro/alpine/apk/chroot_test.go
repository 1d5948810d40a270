package apk_test

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// A realApk is a root in which the real apk runs.
type realApk struct{ root string }

// newRealApk unpacks an official minirootfs of version and architecture
// x86_64, or skips the test.
func newRealApk(t testing.TB, version string) realApk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("running the real apk in its root needs the user root")
	}
	f, err := os.Open(data(t, "minirootfs", "alpine-minirootfs-"+version+"-x86_64.tar.gz"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	a := realApk{t.TempDir()}
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := unpackEntry(filepath.Join(a.root, h.Name), h, tr); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := a.run("--version"); err != nil {
		t.Skipf("the real apk does not run here: %v\n%s", err, out)
	}
	return a
}

func unpackEntry(path string, h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	case tar.TypeReg:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, fs.FileMode(h.Mode)&0o755|0o200)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, r); err != nil {
			return err
		}
		return f.Close()
	}
	return nil
}

// run runs apk and returns what it printed.
func (a realApk) run(args ...string) (string, error) {
	cmd := exec.Command("/sbin/apk", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: a.root}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
