package target

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// from is a file that says where its content is from.
func from(path string) distro.File {
	f := file(path)
	f.Origin = distro.Origin{Package: lockfile.DigestOf([]byte("a package")), Offset: int64(len(path))}
	return f
}

// hashAll hashes ahead until nothing is left to hash.
func hashAll(t *testing.T, d *Dir) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		names := len(d.fresh)
		d.mu.Unlock()
		if names == 0 {
			return
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("%d files are still not hashed", names)
		}
		wait(t, d)
		stop := d.HashAhead(t.Context())
		time.Sleep(10 * time.Millisecond)
		stop()
	}
}

// wait waits until the clock of the root's file system has gone on.
func wait(t *testing.T, d *Dir) {
	t.Helper()
	begun, err := clock(d.Path())
	for now := begun; err == nil && !now.After(begun); now, err = clock(d.Path()) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// state is the digest of a file in a frozen root, and whether its origin is
// known.
func state(t *testing.T, d *Dir, path string) (tree.Digest, bool) {
	t.Helper()
	frozen, err := d.Freeze(t.Context(), when)
	if err != nil {
		t.Fatal(err)
	}
	n, ok := frozen.Lookup(path)
	if !ok {
		t.Fatalf("%s is not there", path)
	}
	if err := n.CopyTo(&strings.Builder{}); err != nil {
		t.Error(err)
	}
	c, ok := n.Inode().Content.(Originated)
	return n.Inode().Digest, ok && c.Origin() == from(path).Origin
}

// What is known of a file's content is used as long as nobody touched the file,
// and never after.
func TestHashAhead(t *testing.T) {
	for name, c := range map[string]struct {
		touch  func(at string) error
		want   string
		origin bool
	}{
		"not touched": {func(string) error { return nil }, "f", true},
		"read":        {func(at string) error { _, err := os.ReadFile(at); return err }, "f", true},
		"its mode":    {func(at string) error { return os.Chmod(at, 0o600) }, "f", false},
		"its owner":   {func(at string) error { return os.Chown(at, 1, 1) }, "f", false},
		"its content, and the time set back": {func(at string) error {
			if err := os.WriteFile(at, []byte("g"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(at, when, when)
		}, "g", false},
		"another file in its place": {func(at string) error {
			if err := os.WriteFile(at+".new", []byte("h"), 0o644); err != nil {
				return err
			}
			return os.Rename(at+".new", at)
		}, "h", false},
		"another name": {func(at string) error { return os.Link(at, at+".link") }, "f", false},
	} {
		for _, when := range []string{"after it was hashed", "before"} {
			t.Run(name+" "+when, func(t *testing.T) {
				d := newDir(t)
				put(t, d, from("f"))
				if when == "before" {
					wait(t, d)
				} else {
					hashAll(t, d)
				}
				if err := c.touch(filepath.Join(d.Path(), "f")); err != nil {
					t.Fatal(err)
				}
				hashAll(t, d)
				digest, origin := state(t, d, "f")
				if want := lockfile.DigestOf([]byte(c.want)); digest != tree.Digest(want) || origin != c.origin {
					t.Errorf("%s, from a package: %t; want %s, %t", digest, origin, want, c.origin)
				}
			})
		}
	}
}

// Files that are changed at the moment in which they are hashed are not taken
// for what they were.
func TestHashAheadBesideAScript(t *testing.T) {
	d := newDir(t)
	for i := range 300 {
		name := fmt.Sprintf("f%03d", i)
		put(t, d, from(name))
		stop := d.HashAhead(t.Context())
		if err := os.WriteFile(filepath.Join(d.Path(), name), []byte("g"+name[1:]), 0o644); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	hashAll(t, d)
	frozen, err := d.Freeze(t.Context(), when)
	if err != nil {
		t.Fatal(err)
	}
	for n := range frozen.All() {
		if !n.Mode().IsRegular() {
			continue
		}
		if want := lockfile.DigestOf([]byte("g" + n.Path()[1:])); n.Inode().Digest != tree.Digest(want) {
			t.Errorf("%s has the digest of what it was", n.Path())
		}
		if c := n.Inode().Content.(Originated); c.Origin() != (distro.Origin{}) {
			t.Errorf("%s is said to be from a package", n.Path())
		}
	}
}

// The clocks of file systems go in steps, so a file that was changed in the
// present one may be changed again without showing it.
func TestHashAheadInTheSameMoment(t *testing.T) {
	d := newDir(t)
	put(t, d, from("f"))
	f := d.fresh[0]
	d.fresh = nil
	d.hashOne(t.Context(), sha256.New(), f, f.changed.Nano())
	if len(d.digests) != 0 || len(d.fresh) != 1 || d.fresh[0].origin != (distro.Origin{}) {
		t.Errorf("%v were hashed, and %v is left", d.digests, d.fresh)
	}
}

// What stop or the context cut off is hashed the next time.
func TestHashAheadGoesOn(t *testing.T) {
	d := newDir(t)
	for i := range 50 {
		put(t, d, from(fmt.Sprintf("f%d", i)))
	}
	wait(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.HashAhead(ctx)()
	if len(d.fresh) != 50 || len(d.digests) != 0 {
		t.Errorf("%d files are left to hash, and %d were", len(d.fresh), len(d.digests))
	}
	hashAll(t, d)
	if len(d.digests) != 50 {
		t.Errorf("%d files were hashed, not 50", len(d.digests))
	}
	for i := range 50 {
		if _, origin := state(t, d, fmt.Sprintf("f%d", i)); !origin {
			t.Errorf("where f%d is from was forgotten", i)
		}
	}
}

// A script may put anything in the place of a file.
func TestHashAheadOfWhatIsNoFile(t *testing.T) {
	d := newDir(t)
	put(t, d, from("pipe"), from("link"), from("gone"), from("dir"))
	at := func(name string) string { return filepath.Join(d.Path(), name) }
	for _, name := range []string{"pipe", "link", "gone", "dir"} {
		if err := os.Remove(at(name)); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{unix.Mkfifo(at("pipe"), 0o600), os.Symlink(secret, at("link")), os.Mkdir(at("dir"), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	hashAll(t, d)
	if len(d.digests) != 0 {
		t.Errorf("%d files were hashed, and there is none", len(d.digests))
	}
}

// A root in memory knows where its contents are from, too.
func TestMemoryKnowsOrigins(t *testing.T) {
	m := NewMemory(&tree.MemoryStore{})
	if err := m.Put(from("f"), strings.NewReader("f")); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(file("g"), strings.NewReader("g")); err != nil {
		t.Fatal(err)
	}
	frozen, err := m.Freeze(t.Context(), when)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f", "g"} {
		n, _ := frozen.Lookup(name)
		c, ok := n.Inode().Content.(Originated)
		if ok != (name == "f") || ok && c.Origin() != from("f").Origin {
			t.Errorf("%s is from a package: %t", name, ok)
		}
	}
}
