package target

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

func newMemory(t *testing.T) *Memory {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return NewMemory(NewSpool(f))
}

// manifest freezes a root and is its manifest, with all contents read.
func manifest(t *testing.T, r interface {
	distro.Target
}) string {
	t.Helper()
	var frozen *tree.Tree
	var err error
	switch r := r.(type) {
	case *Dir:
		frozen, err = r.Freeze(t.Context(), when.AddDate(1, 0, 0))
	case *Memory:
		frozen, err = r.Freeze(t.Context(), when.AddDate(1, 0, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	for n := range frozen.Inodes() {
		if n.Mode().IsRegular() {
			if err := n.CopyTo(io.Discard); err != nil {
				t.Error(err)
			}
		}
	}
	var b bytes.Buffer
	if err := tree.WriteManifest(&b, frozen); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// random is a thing to do to a root: mostly sensible, often not.
func random(r *rand.Rand) func(distro.Target) string {
	names := []string{"a", "b", "c", "d"}
	name := names[r.IntN(len(names))]
	for range r.IntN(3) {
		name += "/" + names[r.IntN(len(names))]
	}
	other := names[r.IntN(len(names))] + "/" + names[r.IntN(len(names))]
	if r.IntN(20) == 0 {
		name = []string{"", ".", "/a", "../a", "a/../b", "a//b", "a\x00", "a/", strings.Repeat("n", 256)}[r.IntN(9)]
	}
	f := distro.File{Path: name, Mode: uint32(r.IntN(0o10000)), UID: uint32(r.IntN(3)), GID: uint32(r.IntN(3)), ModTime: when}
	switch r.IntN(14) {
	case 0, 1, 2, 3:
		f.Type, f.Mode = distro.Directory, f.Mode|0o700
	case 4, 5:
		f.Type, f.Size = distro.Regular, int64(len(other))
	case 6:
		f.Type, f.Link = distro.Symlink, []string{other, "/" + other, "../" + other, "../../.././" + other, names[r.IntN(4)], "/", ".."}[r.IntN(7)]
	case 7:
		f.Type, f.Link = distro.Hard, []string{other, names[r.IntN(4)]}[r.IntN(2)]
	case 8:
		f.Type = distro.Fifo
	case 9, 10:
		return func(t distro.Target) string { return "remove " + name + word(t.Remove(name)) }
	case 11:
		return func(t distro.Target) string {
			list, err := t.ReadDir(name)
			return fmt.Sprint("list ", name, list, word(err))
		}
	case 12:
		return func(t distro.Target) string {
			f, err := t.Stat(name)
			if f.Type == distro.Symlink {
				f.Mode = 0 // of no meaning
			}
			f.ModTime = when // of directories it is another meanwhile
			return fmt.Sprintf("stat %+v %s", f, word(err))
		}
	default:
		return func(t distro.Target) string {
			r, err := t.Read(name)
			if err != nil {
				return "read " + name + word(err)
			}
			defer r.Close()
			data, err := io.ReadAll(r)
			return "read " + name + " " + string(data) + word(err)
		}
	}
	return func(t distro.Target) string {
		// Of two reasons to fail, either may come first.
		return fmt.Sprintf("put %c %s %s %t", f.Type, name, f.Link, t.Put(f, strings.NewReader(other)) == nil)
	}
}

// word says in one word what an error means to who assembles.
func word(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return " absent"
	}
	return " failed"
}

// A root in memory is what a root on disk is, whatever is done to it.
func TestMemoryIsAsDir(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir, memory := newDir(t), newMemory(t)
		for range 80 {
			do := random(r)
			want, got := do(dir), do(memory)
			if got != want {
				t.Fatalf("seed %d: %q in memory, %q on disk", seed, got, want)
			}
		}
		if want, got := manifest(t, dir), manifest(t, memory); got != want {
			t.Fatalf("seed %d: in memory\n%s\non disk\n%s", seed, got, want)
		}
	}
}

// What was frozen and laid out again, on disk or in memory, is the same.
func TestFillAndMemoryOf(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		first := newMemory(t)
		for range 80 {
			random(r)(first)
		}
		for _, f := range []distro.File{
			{Path: "null", Type: distro.CharDev, Mode: 0o666, Major: 1, Minor: 3, ModTime: when},
			{Path: "ping", Type: distro.Regular, Mode: 0o755, Size: 1, ModTime: when, Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		} {
			if err := first.Put(f, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}
		want := manifest(t, first)
		frozen, err := first.Freeze(t.Context(), when.AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		dir := newDir(t)
		if err := dir.Fill(t.Context(), frozen); err != nil {
			t.Fatal(err)
		}
		if got := manifest(t, dir); got != want {
			t.Fatalf("seed %d: on disk\n%s\nnot\n%s", seed, got, want)
		}
		if got := manifest(t, MemoryOf(frozen, NewSpool(nil))); got != want {
			t.Fatalf("seed %d: in memory\n%s\nnot\n%s", seed, got, want)
		}
		// Nothing is on disk with a time that a command could tell from another's.
		if err := dir.Settle(t.Context(), frozen); err != nil {
			t.Fatal(err)
		}
		for n := range frozen.All() {
			if n.Path() == "" || n.Mode().IsDevice() {
				continue
			}
			if f, err := dir.Stat(n.Path()); err != nil || !f.ModTime.Equal(n.Inode().ModTime.Time()) {
				t.Errorf("%s has the time %v, not %v: %v", n.Path(), f.ModTime, n.Inode().ModTime.Time(), err)
			}
		}
	}
}

// What a root in memory cannot tell, it does not guess.
func TestMemoryRefuses(t *testing.T) {
	m := newMemory(t)
	acl := file("f")
	acl.Xattrs = map[string]string{"system.posix_acl_access": "x"}
	if err := m.Put(acl, strings.NewReader("f")); !errors.Is(err, ErrWantsDisk) {
		t.Errorf("an access control list: %v", err)
	}
	short := file("g")
	short.Size = 5
	for _, text := range []string{"four", "sixsix"} {
		if err := m.Put(short, strings.NewReader(text)); err == nil {
			t.Errorf("%q was taken for five bytes", text)
		}
	}
	for _, f := range []distro.File{{Path: "l", Type: distro.Symlink}, {Path: "m", Type: distro.Regular, Mode: 0o10000}, {Path: "n", Type: 'x'}} {
		if err := m.Put(f, nil); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	if names, err := m.ReadDir("."); err != nil || len(names) > 0 {
		t.Errorf("something of it is there: %v, %v", names, err)
	}
}

// Contents larger and smaller than what is written at a time come back, those
// that are not written yet too.
func TestSpool(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := NewSpool(f)
	r := rand.New(rand.NewPCG(3, 4))
	var texts [][]byte
	var kept []tree.Content
	for i := range 60 {
		text := bytes.Repeat([]byte{byte(i)}, r.IntN([]int{1, 100, 100_000, 3 * pendingBytes}[i%4]))
		content, size, digest, err := s.Keep(bytes.NewReader(text))
		if err != nil || size != int64(len(text)) || digest == (tree.Digest{}) {
			t.Fatalf("%d bytes: %d, %v", len(text), size, err)
		}
		texts, kept = append(texts, text), append(kept, content)
		j := r.IntN(len(kept))
		in, err := kept[j].Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, texts[j]) {
			t.Errorf("content %d of %d bytes came back with %d: %v", j, len(texts[j]), len(got), err)
		}
	}
	if n, err := s.ReadAt(make([]byte, 10), s.end+int64(len(s.pending))-4); n != 4 || err != io.EOF {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
}
