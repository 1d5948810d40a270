package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// One lock of real packages goes from a cache to every place that it can be
// put, and from there into empty caches: from each place alone, from all
// together while one of them fails, and with the tools that others use.
func TestAcceptBackends(t *testing.T) {
	g := realPackages(t, 100, 6)
	y := newYard(t)
	t.Run("nobody else", func(t *testing.T) {
		cache := t.TempDir()
		y.run(t, 3, cache, "lock", "fetch", "--no-snapshot", g.lock)
		if n := len(blobSizes(t, cache)); n > 0 {
			t.Fatalf("%d files came from places that were not named", n)
		}
	})
	for _, d := range y.depots {
		t.Run("alone/"+d.name, func(t *testing.T) { testAlone(t, y, d, g) })
	}
	t.Run("carried", func(t *testing.T) { testCarried(t, y, g) })
	if t.Failed() {
		return // what follows wants all places filled
	}
	luck := random(t)
	for _, d := range y.all() {
		t.Run("together/"+d.name+" fails", func(t *testing.T) { testTogether(t, y, d, g, luck) })
	}
	t.Run("skopeo", func(t *testing.T) { testSkopeo(t, y, g) })
	t.Run("oras", func(t *testing.T) { testOras(t, y, g) })
}

// testAlone pushes twice, pulls the lock, and fetches what it names.
func testAlone(t *testing.T, y *yard, d depot, g goodsOf) {
	said, address := y.push(t, d, g)
	if want := fmt.Sprintf("%d files sent to ", len(g.sizes)); !strings.Contains(said, want) || !strings.Contains(said, "; 0 had been there") {
		t.Errorf("the first push says %q, want %q", said, want)
	}
	first := d.sent(t)
	if first < g.total {
		t.Errorf("%d bytes are there after the push of %d", first, g.total)
	}
	said, again := y.push(t, d, g)
	if want := fmt.Sprintf("; %d had been there", len(g.sizes)); !strings.Contains(said, "0 files sent to ") || !strings.Contains(said, want) {
		t.Errorf("the second push says %q, want %q", said, want)
	}
	if again != address {
		t.Errorf("the address of the lock is %s, then %s", address, again)
	}
	// The lock and the manifest may be sent once more, but no package.
	if more, most := d.sent(t)-first, int64(len(read(t, g.lock))+100<<10); more > most {
		t.Errorf("the second push sent %d bytes, want no more than %d", more, most)
	} else {
		t.Logf("the first push sent %d bytes, the second %d", first, more)
	}
	pulled := filepath.Join(t.TempDir(), "SHA256SUMS")
	y.run(t, 0, t.TempDir(), "lock", "pull", "-o", pulled, address)
	if got, want := read(t, pulled), read(t, g.lock); got != want {
		t.Errorf("the lock comes back as\n%s\nwant\n%s", head(got), head(want))
	}
	for _, source := range d.sources {
		cache := t.TempDir()
		r := y.run(t, 0, cache, "lock", "fetch", "--no-snapshot", "--source", source, pulled)
		g.arrived(t, cache)
		if strings.Contains(r.stderr, "failure") || strings.Contains(r.stderr, " lie") {
			t.Errorf("%s: %v", source, r)
		}
	}
	if d.name == "layout" {
		cache := t.TempDir()
		y.run(t, 0, cache, "cache", "import", address)
		g.arrived(t, cache)
	}
}

// testCarried takes the packages elsewhere as files, which are imported, are a
// source, or are served to others over HTTP.
func testCarried(t *testing.T, y *yard, g goodsOf) {
	for layout, source := range map[string]string{"pool": y.pool, "flat": y.pool + "-flat", "tar": ""} {
		to := source
		if layout == "tar" {
			to = filepath.Join(t.TempDir(), "packages.tar")
		}
		y.run(t, 0, g.cache, "cache", "export", "--layout", layout, g.lock, to)
		cache := t.TempDir()
		y.run(t, 0, cache, "cache", "import", to)
		g.arrived(t, cache)
		if source != "" {
			cache = t.TempDir()
			y.run(t, 0, cache, "lock", "fetch", "--offline", "--source", source, g.lock)
			g.arrived(t, cache)
		}
	}
	said := y.tool(t, y.pool, "sha256sum", "--strict", "-c", "SHA256SUMS")
	if n := strings.Count(said, ": OK\n"); n != len(g.sizes) {
		t.Errorf("%d files are right, want %d", n, len(g.sizes))
	}
	cache := t.TempDir()
	y.run(t, 0, cache, "lock", "fetch", "--no-snapshot", "--source", y.mirror.sources[0], g.lock)
	g.arrived(t, cache)
}

// testTogether fetches from all places while one, which is asked first, fails
// at random.
func testTogether(t *testing.T, y *yard, bad depot, g goodsOf, luck *rand.Rand) {
	sources := slices.Clone(bad.sources)
	failed := func() (n int64) {
		for _, f := range bad.fronts {
			n += f.failed.Load()
		}
		return n
	}
	for _, f := range bad.fronts {
		f.ill(rand.New(rand.NewPCG(luck.Uint64(), 0)))
		defer f.ill(nil)
	}
	if bad.name == "layout" {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(bad.dest)); err != nil {
			t.Fatal(err)
		}
		hurt := mangle(t, luck, filepath.Join(copied, "blobs", "sha256"))
		sources = []string{copied}
		failed = func() int64 { return int64(hurt) }
	}
	for _, d := range y.all() {
		if d.name != bad.name {
			sources = append(sources, d.sources...)
		}
	}
	args := []string{"lock", "fetch", "--no-snapshot", "--verbose"}
	for _, s := range sources {
		args = append(args, "--source", s)
	}
	cache := t.TempDir()
	r := y.run(t, 0, cache, append(args, g.lock)...)
	g.arrived(t, cache)
	if failed() == 0 {
		t.Error("nothing failed")
	}
	if place, _, _ := strings.Cut(sources[0], "?"); !strings.Contains(r.stderr, place) {
		t.Errorf("the place that fails is not named: %v", r)
	}
	if left := partialSizes(t, cache); len(left) > 0 {
		t.Errorf("left over in partial: %v", left)
	}
	t.Logf("%d requests or files failed", failed())
}

// testSkopeo copies what is in the registry to a layout, and what is in the
// layout to the registry. The copies give the lock and its files as the
// originals do.
func testSkopeo(t *testing.T, y *yard, g goodsOf) {
	needs(t, false, "skopeo")
	dir := t.TempDir()
	copied, there := filepath.Join(dir, "copied"), y.host+"/copied/packages"
	for _, c := range []struct{ from, to, source string }{
		{"docker://" + y.host + "/team/packages:v1", "oci:" + copied + ":v2", copied},
		{"oci:" + y.layout + ":v1", "docker://" + there + ":v2", "oci://" + there},
	} {
		y.tool(t, dir, "skopeo", "copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", c.from, c.to)
		cache, pulled := t.TempDir(), filepath.Join(t.TempDir(), "SHA256SUMS")
		y.run(t, 0, cache, "lock", "pull", "-o", pulled, c.source+":v2")
		y.run(t, 0, cache, "lock", "fetch", "--no-snapshot", "--source", c.source, pulled)
		g.arrived(t, cache)
	}
}

// testOras pulls from the registry and from the layout. The files lie where the
// lock says, with the lock beside them.
func testOras(t *testing.T, y *yard, g goodsOf) {
	program := oras(t)
	for name, from := range map[string][]string{
		"registry": {"--plain-http", y.host + "/team/packages:v1"},
		"layout":   {"--oci-layout", y.layout + ":v1"},
	} {
		dir := t.TempDir()
		y.tool(t, dir, program, append([]string{"pull", "--no-tty"}, from...)...)
		said := y.tool(t, dir, "sha256sum", "--strict", "-c", "SHA256SUMS")
		if n := strings.Count(said, ": OK\n"); n != len(g.sizes) {
			t.Errorf("from the %s: %d files are right, want %d", name, n, len(g.sizes))
		}
		files := 0
		err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files++
			}
			return err
		})
		if err != nil || files != len(g.sizes)+1 {
			t.Errorf("from the %s: %d files, error %v, want the packages and the lock", name, files, err)
		}
	}
}
