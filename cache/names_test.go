package cache

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

func remember(t testing.TB, c *Cache, paths ...string) {
	t.Helper()
	var entries []lockfile.Entry
	for _, p := range paths {
		entries = append(entries, lockfile.Entry{Digest: lockfile.DigestOf([]byte(p)), Path: p})
	}
	must(t, c.Remember(ctx, entries))
}

func answers(t testing.TB, c *Cache) string {
	t.Helper()
	all, err := c.allNames(ctx)
	must(t, err)
	for d, want := range all {
		if got, err := c.Names(ctx, d); err != nil || !slices.Equal(got, want) {
			t.Errorf("Names(%s) is %v (%v), not %v", d, got, err, want)
		}
	}
	return fmt.Sprint(all)
}

func TestRememberOnce(t *testing.T) {
	c := open(t, t.TempDir())
	remember(t, c, "pool/b.deb", "pool/a.deb", "pool/b.deb")
	first, _ := os.ReadFile(c.path(namesFile))
	remember(t, c, "pool/a.deb")
	second, _ := os.ReadFile(c.path(namesFile))
	if bytes.Count(first, []byte("\n")) != 2 || !bytes.Equal(first, second) {
		t.Errorf("first %q, then %q", first, second)
	}
	if _, err := lockfile.Parse("names", bytes.NewReader(first)); err != nil {
		t.Errorf("the names file is not in the form of SHA256SUMS: %v", err)
	}
	if err := c.Remember(ctx, []lockfile.Entry{{Path: "../x"}}); err == nil {
		t.Error("a path with .. was accepted")
	}
}

// TestIndexIsOnlyAnIndex damages the index in every way that comes to mind;
// the answers stay the same, at once and after the next change.
func TestIndexIsOnlyAnIndex(t *testing.T) {
	overwrite := func(t *testing.T, name string, at int64, b []byte) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt(b, at)
		must(t, err)
		must(t, f.Close())
	}
	damages := map[string]func(t *testing.T, c *Cache){
		"deleted":   func(t *testing.T, c *Cache) { must(t, os.Remove(c.path(indexFile))) },
		"no seal":   func(t *testing.T, c *Cache) { must(t, os.Remove(c.path(sealFile))) },
		"empty":     func(t *testing.T, c *Cache) { must(t, os.Truncate(c.path(indexFile), 0)) },
		"truncated": func(t *testing.T, c *Cache) { must(t, os.Truncate(c.path(indexFile), 9000)) },
		"garbage":   func(t *testing.T, c *Cache) { must(t, os.WriteFile(c.path(indexFile), []byte("garbage"), 0o644)) },
		"damaged page": func(t *testing.T, c *Cache) {
			overwrite(t, c.path(indexFile), 4096*3, bytes.Repeat([]byte{0xff}, 4096))
		},
		"one bit": func(t *testing.T, c *Cache) { overwrite(t, c.path(indexFile), 17000, []byte{1}) },
		"a directory": func(t *testing.T, c *Cache) {
			must(t, os.Remove(c.path(indexFile)))
			must(t, os.Mkdir(c.path(indexFile), 0o755))
		},
	}
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			c := open(t, t.TempDir())
			remember(t, c, "pool/a.deb", "pool/b.deb")
			want := answers(t, c)
			damage(t, c)
			if got := answers(t, c); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			remember(t, c, "pool/a.deb") // known already: rebuilds only
			if got := answers(t, c); got != want {
				t.Errorf("after a rebuild: got %s\nwant %s", got, want)
			}
			wantIndex(t, c)
			damage(t, c)
			must(t, c.Rebuild(ctx))
			wantIndex(t, c)
			if got := answers(t, c); got != want {
				t.Errorf("after Rebuild: got %s\nwant %s", got, want)
			}
		})
	}
}

// wantIndex fails the test if the index is not in use.
func wantIndex(t testing.TB, c *Cache) {
	t.Helper()
	f, err := os.Open(c.path(namesFile))
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	x, err := c.sealedIndex(f, info.Size())
	if err != nil {
		t.Fatalf("the index is not in use: %v", err)
	}
	x.close()
}

func TestNamesFileEditedByHand(t *testing.T) {
	c := open(t, t.TempDir())
	remember(t, c, "pool/a.deb")
	d := lockfile.DigestOf([]byte("z"))
	f, err := os.OpenFile(c.path(namesFile), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	fmt.Fprintf(f, "%s  by/hand.deb\nnonsense\n%s  torn/off.d", d, d)
	must(t, f.Close())
	for range 2 {
		if got, err := c.Names(ctx, d); err != nil || !slices.Equal(got, []string{"by/hand.deb"}) {
			t.Errorf("got %v, %v", got, err)
		}
		remember(t, c, "pool/after.deb")
	}
	if b, _ := os.ReadFile(c.path(namesFile)); bytes.Contains(b, []byte("torn")) {
		t.Errorf("the torn line is still there: %q", b)
	}
	wantIndex(t, c)
}

func TestNamesInManyBatches(t *testing.T) {
	c := open(t, t.TempDir())
	var paths []string
	for i := range 2*batch + 1 {
		paths = append(paths, fmt.Sprintf("pool/%d.deb", i))
	}
	remember(t, c, paths...)
	wantIndex(t, c)
	if all, _ := c.allNames(ctx); len(all) != len(paths) {
		t.Errorf("%d digests have names", len(all))
	}
}

func FuzzNames(f *testing.F) {
	line := strings.Repeat("ab", 32) + "  pool/a.deb\n"
	f.Add([]byte(line))
	f.Add([]byte(line + line[:50]))
	f.Add([]byte("x" + line))
	f.Add([]byte(strings.Repeat("x", maxNameLine) + line + line))
	f.Add([]byte(strings.ToUpper(line) + "\n\n" + strings.Repeat("00", 32) + "  ../x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var names []name
		must(t, parseNames(bytes.NewReader(b), func(n name) { names = append(names, n) }))
		var again []name
		var text bytes.Buffer
		for _, n := range names {
			must(t, lockfile.CheckPath(n.path))
			fmt.Fprintf(&text, "%s  %s\n", n.digest, n.path)
		}
		must(t, parseNames(&text, func(n name) { again = append(again, n) }))
		if !slices.Equal(names, again) {
			t.Errorf("%v is read again as %v", names, again)
		}
	})
}

// FuzzCacheFiles puts hostile bytes wherever the cache reads small files.
func FuzzCacheFiles(f *testing.F) {
	f.Add([]byte("samebits cache 1\n"))
	f.Add([]byte("samebits cache 99999999999999999999\n"))
	f.Add([]byte(`{"Basename":"../../etc/passwd"}`))
	f.Add([]byte(`{"Basename":"hello.deb"}`))
	f.Add(fmt.Appendf(nil, "%x  index.db\n", [32]byte{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if parseVersion(string(b)) == nil && !strings.HasPrefix(string(b), versionPrefix) {
			t.Errorf("version %q was accepted", b)
		}
		dir := t.TempDir()
		d := lockfile.DigestOf(b)
		must(t, os.MkdirAll(dir+"/metadata/sha256", 0o755))
		must(t, os.WriteFile(dir+"/metadata/sha256/"+d.String(), b, 0o644))
		for _, n := range reproGetName(dir, d) {
			if strings.Contains(n, "/") || lockfile.CheckPath(n) != nil {
				t.Errorf("the name %q was accepted", n)
			}
		}
		must(t, os.WriteFile(dir+"/"+sealFile, b, 0o644))
		must(t, os.WriteFile(dir+"/"+indexFile, b, 0o644))
		must(t, os.WriteFile(dir+"/"+namesFile, b, 0o644))
		c := &Cache{dir: dir}
		_, err := c.allNames(ctx)
		must(t, err)
	})
}
