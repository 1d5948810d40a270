package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

var ctx = context.Background()

func open(t testing.TB, dir string) *Cache {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add puts bytes into the cache and returns their digest.
func add(t testing.TB, c *Cache, text string) lockfile.Digest {
	t.Helper()
	d := lockfile.DigestOf([]byte(text))
	p, err := c.Begin(ctx, d)
	must(t, err)
	if p == nil {
		return d
	}
	_, err = io.WriteString(p, text)
	must(t, errors.Join(err, p.Commit(), p.Close()))
	return d
}

// files lists the regular files in a folder of the cache.
func files(t testing.TB, c *Cache, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(c.path(dir))
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantEmpty(t testing.TB, c *Cache, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if left := files(t, c, dir); len(left) > 0 {
			t.Errorf("left over in %s: %v", dir, left)
		}
	}
}

func TestOpenMakesTheLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	c := open(t, dir)
	if b, _ := os.ReadFile(c.path(versionFile)); string(b) != "samebits cache 1\n" {
		t.Errorf("version file is %q", b)
	}
	if b, _ := os.ReadFile(c.path(tagFile)); !strings.HasPrefix(string(b), "Signature: 8a477f597d28d172789f06886806bc55\n") {
		t.Errorf("CACHEDIR.TAG is %q", b)
	}
	d := add(t, c, "hello")
	info, err := os.Stat(c.blobPath(d))
	must(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("a blob has mode %o", info.Mode().Perm())
	}
	again := open(t, dir)
	if !again.Has(d) {
		t.Error("a second Open does not see the blob")
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name, file, content, want string
	}{
		{"newer", versionFile, "samebits cache 2\n", "has format 2 and this samebits knows formats up to 1"},
		{"garbage", versionFile, "Makefile\n", "is no samebits cache"},
		{"zero", versionFile, "samebits cache 0\n", "is no samebits cache"},
		{"other directory", "homework.txt", "x", `has "homework.txt" in it`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.content), 0o644))
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("the directory was changed: %v", entries)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	if _, err := Open(file); err == nil {
		t.Error("a file was opened as a cache")
	}
}

func TestOpenAfterCrashInOpen(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, versionFile), nil, 0o644))
	must(t, os.Mkdir(filepath.Join(dir, blobsDir), 0o755))
	c := open(t, dir)
	add(t, c, "x")
	if b, _ := os.ReadFile(c.path(versionFile)); string(b) != "samebits cache 1\n" {
		t.Errorf("version file is %q", b)
	}
}

func TestPathHashesAgain(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "good bytes")
	name, err := c.Path(ctx, d)
	must(t, err)
	if b, _ := os.ReadFile(name); string(b) != "good bytes" {
		t.Fatalf("%s holds %q", name, b)
	}
	must(t, os.WriteFile(name, []byte("evil bytes"), 0o644))
	_, err = c.Path(ctx, d)
	var damaged *DamagedError
	var digest *lockfile.DigestError
	if !errors.As(err, &damaged) || !errors.As(err, &digest) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	if digest.Got != lockfile.DigestOf([]byte("evil bytes")) || digest.Size != 10 {
		t.Errorf("got %v", digest)
	}
	if b, _ := os.ReadFile(damaged.SetAside); string(b) != "evil bytes" {
		t.Errorf("%q was set aside as %s", b, damaged.SetAside)
	}
	if c.Has(d) {
		t.Error("the damaged blob is still there")
	}
	add(t, c, "good bytes")
	f, err := c.Open(ctx, d)
	must(t, err)
	defer f.Close()
	if b, _ := io.ReadAll(f); string(b) != "good bytes" {
		t.Errorf("Open gave %q", b)
	}
}

func TestAbsent(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("absent"))
	if c.Has(d) {
		t.Error("Has says yes")
	}
	if _, err := c.Size(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Size: %v", err)
	}
	if _, err := c.Path(ctx, d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Path: %v", err)
	}
}

func TestNonRegularBlobIsDamaged(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("directory"))
	must(t, os.Mkdir(c.blobPath(d), 0o755))
	_, err := c.Path(ctx, d)
	var damaged *DamagedError
	if !errors.As(err, &damaged) || c.Has(d) {
		t.Errorf("got %v, still there: %v", err, c.Has(d))
	}
}

// TestSetAsideSparesTheNewBlob is the case of two that find one blob damaged,
// of which the first has fetched it again already.
func TestSetAsideSparesTheNewBlob(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "x")
	f, err := os.Open(c.blobPath(d))
	must(t, err)
	defer f.Close()
	must(t, os.Remove(c.blobPath(d)))
	add(t, c, "x")
	_, err = c.setAside(f, d)
	must(t, err)
	if !c.Has(d) {
		t.Error("the new blob was set aside")
	}
}

func TestCancelledHashDoesNotDamage(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "x")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Path(cancelled, d); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !c.Has(d) {
		t.Error("the blob went away")
	}
}

func TestUseIsRecorded(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "x")
	old := time.Now().Add(-48 * time.Hour)
	must(t, os.Chtimes(c.blobPath(d), old, old))
	_, err := c.Path(ctx, d)
	must(t, err)
	blobs, err := c.List(ctx)
	must(t, err)
	if len(blobs) != 1 || time.Since(blobs[0].Used) > time.Hour {
		t.Errorf("got %+v", blobs)
	}
}

func TestListAndInfo(t *testing.T) {
	c := open(t, t.TempDir())
	a, b := add(t, c, "aaaa"), add(t, c, "bb")
	must(t, c.Remember(ctx, []lockfile.Entry{{Digest: a, Path: "pool/a.deb"}, {Digest: a, Path: "alias/a.deb"}}))
	must(t, c.Pin(ctx, "release", &lockfile.Lock{Entries: []lockfile.Entry{{Digest: b, Path: "pool/b.deb"}}}))
	must(t, os.WriteFile(c.path(blobsPath+"/.download-1.tmp"), []byte("not ours"), 0o644))
	p, err := c.Begin(ctx, lockfile.DigestOf([]byte("partial")))
	must(t, err)
	p.Write([]byte("par"))
	must(t, p.Close())
	blobs, err := c.List(ctx)
	must(t, err)
	got := map[lockfile.Digest]string{}
	for _, b := range blobs {
		got[b.Digest] = fmt.Sprint(b.Size, b.Names, b.Pins)
	}
	if len(blobs) != 2 || got[a] != "4 [alias/a.deb pool/a.deb] []" || got[b] != "2 [] [release]" {
		t.Errorf("got %v", got)
	}
	info, err := c.Info(ctx)
	must(t, err)
	want := Info{Dir: c.Dir(), Format: 1, Blobs: 2, Bytes: 6, PinnedBlobs: 1, PinnedBytes: 2, Pins: 1, Partials: 1, PartialBytes: 3}
	if info != want {
		t.Errorf("got %+v", info)
	}
}

func TestVerify(t *testing.T) {
	c := open(t, t.TempDir())
	var bad []lockfile.Digest
	for i := range 20 {
		d := add(t, c, fmt.Sprint("blob ", i))
		if i%7 == 3 {
			must(t, os.WriteFile(c.blobPath(d), nil, 0o644))
			bad = append(bad, d)
		}
	}
	var last, total int64
	v, err := c.Verify(ctx, func(d, n int64) { last, total = d, n })
	var damaged *DamagedError
	if !errors.As(err, &damaged) || len(v.Damaged) != len(bad) || v.Blobs != 20 || last != total {
		t.Errorf("got %+v, %v, progress %d of %d", v, err, last, total)
	}
	for _, d := range bad {
		if c.Has(d) {
			t.Errorf("%s is still there", d)
		}
	}
	v, err = c.Verify(ctx, nil)
	if err != nil || len(v.Damaged) != 0 || v.Blobs != 17 {
		t.Errorf("second time: %+v, %v", v, err)
	}
}

func TestPins(t *testing.T) {
	c := open(t, t.TempDir())
	d := lockfile.DigestOf([]byte("x"))
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Digest: d, Path: "pool/x.deb"}}}
	must(t, c.Pin(ctx, "b", lock))
	must(t, c.Pin(ctx, "a-1.0", lock))
	must(t, c.Pin(ctx, "b", lock))
	pins, err := c.Pins()
	must(t, err)
	if len(pins) != 2 || pins[0].Name != "a-1.0" || pins[1].Lock.Entries[0].Digest != d {
		t.Errorf("got %+v", pins)
	}
	must(t, c.Unpin(ctx, "b"))
	if err := c.Unpin(ctx, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"", ".new", "../x", "a/b", "-x", "a b", strings.Repeat("x", 129)} {
		if err := c.Pin(ctx, name, lock); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
	must(t, os.WriteFile(c.path(pinsDir+"/broken"), []byte("garbage\n"), 0o644))
	if _, err := c.Pins(); err == nil {
		t.Error("a damaged pin was passed over")
	}
	if _, err := c.Prune(ctx, PruneOptions{All: true}); err == nil {
		t.Error("pruned with a damaged pin")
	}
}
