package arch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// dataDir is where real states and packages are, which are no part of the
// project.
func dataDir(t testing.TB, name string) string {
	t.Helper()
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir, err := filepath.Abs(filepath.Join(data, "arch", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs real data: ", err)
	}
	return dir
}

// TestConformance runs the suite of all families on a real state.
func TestConformance(t *testing.T) {
	root := dataDir(t, "local-2026-03-x86_64")
	distrotest.Run(t, distrotest.Fixture{
		Distro: arch.Distro{}, Families: []distro.Distro{arch.Distro{}},
		Root: root, Want: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"},
		Others: []string{otherMirror(t, root)},
	})
}

// otherMirror makes a root of the same packages that is set to other mirrors.
func otherMirror(t *testing.T, from string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(root, "etc/pacman.d/mirrorlist")
	text := strings.Join([]string{"Server = http://mirror.example/a/$repo/os/$arch", "Server = http://user:word@other.example/$arch/$repo"}, "\n")
	if err := os.Chmod(list, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}
