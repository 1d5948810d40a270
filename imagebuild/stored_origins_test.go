package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// shelf keeps one package, which holds busybox behind something else.
type shelf struct {
	data   []byte
	opened int
	gone   bool
	plain  bool // only readable from its beginning
}

var shelved = lockfile.DigestOf([]byte("the package"))

type shelfReader struct{ *bytes.Reader }

func (shelfReader) Close() error { return nil }

func (s *shelf) Open(_ context.Context, d lockfile.Digest) (io.ReadCloser, error) {
	if s.gone || d != shelved {
		return nil, fs.ErrNotExist
	}
	s.opened++
	if s.plain {
		return io.NopCloser(io.MultiReader(bytes.NewReader(s.data))), nil
	}
	return shelfReader{bytes.NewReader(s.data)}, nil
}

func (s *shelf) Keep(context.Context, lockfile.Digest, io.Reader) error {
	return errors.New("there is no room")
}

// fromShelf assembles as boxed does, and says where busybox is from.
type fromShelf struct{ *counted }

func (f fromShelf) Assemble(ctx context.Context, a distro.Assembly) error {
	a.Root = labelling{a.Root}
	return f.counted.Assemble(ctx, a)
}

type labelling struct{ distro.Target }

func (l labelling) Put(f distro.File, r io.Reader) error {
	if f.Path == "bin/busybox" {
		f.Origin = distro.Origin{Package: shelved, Offset: 7}
	}
	return l.Target.Put(f, r)
}

// What is kept with its package is not kept again, and comes from there.
func TestStoredRootsShareWithPackages(t *testing.T) {
	b := newBoxed(t)
	const noScripts = "no-scripts: true\n"
	box := &shelf{data: append([]byte("before "), b.box...)}
	c, store := &counted{boxed: b}, newStore(t)
	with := func(p *Plan) { p.Assembler, p.Unpacked = fromShelf{c}, box }
	want := kept(t, c, nil, noScripts)
	if got := kept(t, c, store, noScripts, with); got != want {
		t.Error("another image when it is stored")
	}
	blobs, err := filepath.Glob(filepath.Join(store.Dir(), "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		if info, err := os.Stat(name); err != nil || info.Size() >= int64(len(b.box)) {
			t.Errorf("busybox was stored again: %v", err)
		}
	}
	if got := kept(t, c, store, noScripts, with); got != want || c.times != 2 || box.opened == 0 {
		t.Errorf("another image, or assembled %d times and not 2, or not opened: %d times", c.times, box.opened)
	}
	// Where the package is gone, or cannot be used, the root is made anew.
	for name, spoil := range map[string]func(*Plan){
		"gone":                     func(*Plan) { box.gone = true },
		"nothing kept of packages": func(p *Plan) { p.Unpacked = nil },
		"not to be read at random": func(*Plan) { box.plain = true },
	} {
		store := newStore(t)
		kept(t, c, store, noScripts, with)
		before, warned := c.times, 0
		events := func(p *Plan) { p.Events = &distro.Events{Warn: func(string) { warned++ }} }
		if got := kept(t, c, store, noScripts, with, events, spoil); got != want || c.times != before+1 || warned != 1 {
			t.Errorf("%s: another image, or assembled %d times, or %d warnings; each should be 1", name, c.times-before, warned)
		}
		box.gone, box.plain = false, false
		if got := kept(t, c, store, noScripts, with); got != want || c.times != before+1 {
			t.Errorf("%s: another image afterwards, or assembled once more", name)
		}
	}
}

// Scripts may change what comes from a package, whether or not that was hashed
// before.
func TestStoredRootsAfterScripts(t *testing.T) {
	b := newBoxed(t)
	box := &shelf{data: append([]byte("before "), b.box...)}
	const change = "busybox cp -p /bin/busybox /bin/new; echo more >>/bin/new; busybox mv /bin/new /bin/busybox"
	for _, step := range []string{"busybox sleep 0.2; echo made >/etc/made", "busybox sleep 0.2; " + change, change} {
		b.step = step
		c, store := &counted{boxed: b}, newStore(t)
		with := func(p *Plan) { p.Assembler, p.Unpacked = fromShelf{c}, box }
		want := kept(t, c, nil, "")
		for range 3 {
			if got := kept(t, c, store, "", with); got != want || c.times > 2 {
				t.Errorf("%s: another image, or assembled %d times", step, c.times)
			}
		}
	}
}

func TestOrigins(t *testing.T) {
	one, two := lockfile.DigestOf([]byte("1")), lockfile.DigestOf([]byte("2"))
	for _, o := range []origins{
		{},
		{places: []place{{pkg: inPacks}, {pkg: inPacks}}},
		{packages: []lockfile.Digest{one, two}, places: []place{{1, 1 << 40}, {pkg: inPacks}, {0, 0}, {1, 512}}},
	} {
		got, err := parseOrigins(o.encode())
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%+v became %+v, %v", o, got, err)
		}
	}
	pkg := "package " + one.String() + "\n"
	for text, want := range map[string]string{
		pkg + "0 1":                     "cut off",
		pkg + "1 1\n":                   "there are 1 packages",
		"0 1\n":                         "there are 0 packages",
		pkg + "-1 1\n":                  "no two numbers",
		pkg + "0 -1\n":                  "no two numbers",
		pkg + "0 9223372036854775000\n": "that long",
		pkg + "0 1\n" + pkg:             "no two numbers",
		"package zz\n":                  "package zz",
		"\n":                            "neither",
		"--\n":                          "neither",
	} {
		if _, err := parseOrigins([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

func FuzzOrigins(f *testing.F) {
	f.Add([]byte("package " + shelved.String() + "\n0 512\n-\n0 0\n"))
	f.Add([]byte("-\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseOrigins(data)
		if err != nil {
			return
		}
		for _, at := range o.places {
			if at.pkg != inPacks && (at.pkg < 0 || at.pkg >= len(o.packages) || at.offset < 0) {
				t.Fatalf("a place %+v of %d packages", at, len(o.packages))
			}
		}
		if again, err := parseOrigins(o.encode()); err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("written and read again it is %+v, %v", again, err)
		}
	})
}

// A record that does not fit its manifest is no root.
func TestStoredRootsThatDoNotFit(t *testing.T) {
	b, store := &counted{boxed: newBoxed(t)}, newStore(t)
	b.step = ""
	want := kept(t, b, store, "")
	records, err := filepath.Glob(filepath.Join(store.Dir(), "derived/*"))
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records: %v", len(records), err)
	}
	key, err := lockfile.ParseDigest(filepath.Base(records[0]))
	if err != nil {
		t.Fatal(err)
	}
	good, err := store.Derived(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]string{"fewer places": "-\n", "more places": strings.Repeat("-\n", 100), "no list": "words\n"} {
		d, err := store.Add(t.Context(), strings.NewReader(list), -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		blobs := append([]lockfile.Digest{good[0], d}, good[2:]...)
		if err := store.SetDerived(t.Context(), key, "root of a test", blobs); err != nil {
			t.Fatal(err)
		}
		before, warned := b.times, 0
		events := func(p *Plan) { p.Events = &distro.Events{Warn: func(string) { warned++ }} }
		if got := kept(t, b, store, "", events); got != want || b.times != before+1 || warned != 1 {
			t.Errorf("%s: another image, or assembled %d times, or %d warnings; each should be 1", name, b.times-before, warned)
		}
	}
}
