package imagebuild

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/lockfile"
)

// bomb assembles a root with a file of so many zeros.
type bomb struct {
	*boxed
	size int64
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (b bomb) Assemble(ctx context.Context, a distro.Assembly) error {
	if err := b.boxed.Assemble(ctx, a); err != nil {
		return err
	}
	return a.Root.Put(distro.File{Path: "usr/bomb", Type: distro.Regular, Mode: 0o644, Size: b.size, ModTime: epoch}, io.LimitReader(zeros{}, b.size))
}

// Packages that unpack to more than there is room for end in an error that
// says what to do, and leave the host some room.
func TestPackagesDoNotFillTheDisk(t *testing.T) {
	b := newBoxed(t)
	temp := t.TempDir()
	if err := syscall.Mount("tmpfs", temp, "tmpfs", 0, "size=64m,mode=755"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(temp, syscall.MNT_DETACH) })
	for _, text := range []string{"", "no-scripts: true\n"} {
		for name, limit := range map[string]int64{"no limit of its own": 0, "a limit": 16 << 20} {
			for _, size := range []int64{8 << 20, 60 << 20, 1 << 50} {
				p := plan(t, b, text)
				p.Assembler, p.Temp = bomb{b, size}, temp
				p.Limits.Bytes = limit
				img, err := Build(t.Context(), p)
				if size == 8<<20 {
					if err != nil {
						t.Errorf("%s: what there is room for: %v", name, err)
					} else if err := img.Close(); err != nil {
						t.Error(err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), "usr/bomb") || !strings.Contains(err.Error(), "set TMPDIR") || !strings.Contains(err.Error(), temp) {
					t.Errorf("%s, %d bytes: %v", name, size, err)
				}
				if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
					t.Errorf("%s: left are %q: %v", name, left, err)
				}
			}
		}
	}
}

func plan(t *testing.T, b *boxed, text string) Plan {
	t.Helper()
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	lock := &lockfile.Lock{Date: epoch, System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}}
	return Plan{Spec: s, Assembler: b, Sources: "testdata", Temp: t.TempDir(), Lock: lock}
}
