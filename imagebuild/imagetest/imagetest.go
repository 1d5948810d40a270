// Package imagetest is for tests that hold images against what others make of
// them: the tools of a format, and Linux, which mounts them.
//
// A tool or a right that is missing skips the test, and says why.
package imagetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
)

// File is a file that was written, open until the test ends.
func File(t testing.TB, write func(f *os.File) error) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// Bytes is what is in a file that was written.
func Bytes(t testing.TB, write func(f *os.File) error) []byte {
	t.Helper()
	raw, err := os.ReadFile(File(t, write).Name())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Tool is the output of a tool, which has to be there and to succeed. It runs in
// UTC, with English messages and names in UTF-8.
func Tool(t testing.TB, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.3000s", argv, err, out)
	}
	return string(out)
}

// Mounted is the tree that Linux sees in an image of a file system of a kind. It
// is read until the test ends.
func Mounted(t testing.TB, kind, image string) *tree.Tree {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Skip(err)
	}
	if !strings.Contains(string(known), "\t"+kind+"\n") {
		if out, err := exec.Command("modprobe", kind).CombinedOutput(); err != nil {
			t.Skipf("the kernel has no %s: %s", kind, out)
		}
	}
	at := t.TempDir()
	Tool(t, "mount", "-t", kind, "-o", "loop,ro", image, at)
	// Lazily, since the tree holds on to the directory.
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", at).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	got, err := dir.Read(t.Context(), at, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
