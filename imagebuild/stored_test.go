package imagebuild

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/lockfile"
)

// counted is a boxed that counts how often it assembles.
type counted struct {
	*boxed
	times int
}

func (c *counted) Traits() distro.Traits { return distro.Traits{Family: "boxed"} }

func (c *counted) Assemble(ctx context.Context, a distro.Assembly) error {
	c.times++
	return c.boxed.Assemble(ctx, a)
}

// kept builds with a store, reads all contents, and returns what tells the
// image from others.
func kept(t *testing.T, c *counted, store Store, text string, change ...func(*Plan)) string {
	t.Helper()
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{
		Spec: s, Assembler: c, Sources: "testdata", Temp: t.TempDir(), Store: store, Program: "test",
		Lock: &lockfile.Lock{Date: epoch, System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}},
	}
	for _, f := range change {
		f(&p)
	}
	img, err := Build(t.Context(), p)
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for n := range img.Tree.Inodes() {
		if n.Mode().IsRegular() {
			if err := n.CopyTo(io.Discard); err != nil {
				t.Error(err)
			}
		}
	}
	digest := img.Tree.Digest().String()
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	return digest
}

func newStore(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The image is the same whether the root was assembled for it, stored while it
// was, or taken from the store.
func TestStoredRoots(t *testing.T) {
	const files = "files: [{path: /etc/motd, content: hello}]\nusers: [{name: app, home: /srv/app}]\n"
	for name, text := range map[string]string{
		"as it is":        "",
		"with files":      files,
		"without scripts": files + "no-scripts: true\n",
		// What the command sees of times is the same, too.
		"with commands": files + "run: [{script: \"seen=$(busybox stat -c '%n %Y %a' /etc/* /var/log /var/log/*); echo $seen > /etc/seen; echo more >>/var/log/x; busybox rm /etc/passwd-\"}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, store := &counted{boxed: newBoxed(t)}, newStore(t)
			b.step = "echo log > /var/log/x; busybox ln /var/log/x /var/log/y; busybox mkdir -m 1700 /srv; busybox chown 5:6 /srv"
			want := kept(t, b, nil, text)
			for i, how := range []string{"stored", "from the store", "from the store again"} {
				if got := kept(t, b, store, text); got != want {
					t.Errorf("%s: another image", how)
				}
				if b.times != 2 {
					t.Errorf("build %d assembled %d times, not 2", i+1, b.times)
				}
			}
		})
	}
}

// A stored root serves every spec that differs in what is added to it.
func TestStoredRootOfAnotherSpec(t *testing.T) {
	b, store := &counted{boxed: newBoxed(t)}, newStore(t)
	one := kept(t, b, store, "files: [{path: /etc/motd, content: one}]")
	two := kept(t, b, store, "files: [{path: /etc/motd, content: two}]")
	if b.times != 1 || one == two {
		t.Errorf("assembled %d times; the same image: %t", b.times, one == two)
	}
}

// What a root follows from is told apart.
func TestStoredRootsAreToldApart(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"another program": func(p *Plan) { p.Program = "newer" },
		"another epoch":   func(p *Plan) { p.Spec.Epoch.Time = epoch.AddDate(1, 0, 0) },
		"no scripts":      func(p *Plan) { p.Spec.NoScripts = true },
		"another lock":    func(p *Plan) { p.Lock.Entries = []lockfile.Entry{{Path: "a.deb"}} },
		"another system":  func(p *Plan) { p.Lock.System.Arch = "arm64" },
	} {
		t.Run(name, func(t *testing.T) {
			b, store := &counted{boxed: newBoxed(t)}, newStore(t)
			kept(t, b, store, "")
			kept(t, b, store, "", change)
			if b.times != 2 {
				t.Error("the root of one was used for the other")
			}
		})
	}
}

// Whatever happens to what is stored, the image stays the same.
func TestDamagedStoredRoots(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"a byte": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 10); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, store := &counted{boxed: newBoxed(t)}, newStore(t)
			want := kept(t, b, store, "")
			blobs, err := filepath.Glob(filepath.Join(store.Dir(), "blobs/sha256/*"))
			if err != nil || len(blobs) < 2 {
				t.Fatalf("%d blobs are stored: %v", len(blobs), err)
			}
			for _, blob := range blobs {
				before := b.times
				damage(t, blob)
				warned := 0
				events := func(p *Plan) { p.Events = &distro.Events{Warn: func(string) { warned++ }} }
				if got := kept(t, b, store, "", events); got != want {
					t.Error("another image")
				}
				if b.times != before+1 || warned != 1 {
					t.Errorf("assembled %d times more, with %d warnings; each should be 1", b.times-before, warned)
				}
			}
			if kept(t, b, store, ""); b.times != 1+len(blobs) {
				t.Error("what was mended is not used")
			}
		})
	}
}

// Packs end anywhere, also within a file.
func TestReadingOverParts(t *testing.T) {
	var m many
	for _, text := range []string{"ab", "", "c", "defg"} {
		m = append(m, part{strings.NewReader(text), int64(len(text))})
	}
	const whole = "abcdefg"
	for from := range len(whole) + 1 {
		for to := from; to <= len(whole)+1; to++ {
			b := make([]byte, to-from)
			n, err := m.ReadAt(b, int64(from))
			want := whole[from:min(to, len(whole))]
			if string(b[:n]) != want || (err == nil) != (to <= len(whole) && n == len(b)) && n < len(b) {
				t.Errorf("%d to %d: %q, %v", from, to, b[:n], err)
			}
		}
	}
	if n, err := (many{{strings.NewReader("ab"), 3}}).ReadAt(make([]byte, 3), 0); n != 2 || err == nil {
		t.Errorf("a part that was cut off: %d, %v", n, err)
	}
}
