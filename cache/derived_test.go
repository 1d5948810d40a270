package cache

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

func TestDerived(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	key := lockfile.DigestOf([]byte("all that it follows from"))
	if _, err := c.Derived(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("what was never recorded: %v", err)
	}
	blobs := []lockfile.Digest{add(t, c, "one"), add(t, c, "two")}
	must(t, c.SetDerived(ctx, key, "root of\ndebian", blobs))
	got, err := open(t, dir).Derived(ctx, key) // as another process would
	must(t, err)
	if !slices.Equal(got, blobs) {
		t.Errorf("got %v, not %v", got, blobs)
	}
	list, err := c.List(ctx)
	must(t, err)
	names := ""
	for _, b := range list {
		names += strings.Join(b.Names, ";") + "\n"
	}
	for _, want := range []string{"root ofdebian, part 1 of 2\n", "root ofdebian, part 2 of 2\n"} {
		if !strings.Contains(names, want) {
			t.Errorf("the list has the names\n%swithout %q", names, want)
		}
	}
	must(t, c.SetDerived(ctx, key, "less", blobs[:1]))
	if got, err = c.Derived(ctx, key); err != nil || len(got) != 1 {
		t.Errorf("a record that was replaced: %v, %v", got, err)
	}
}

// A record that is not whole is as none, whoever wrote it.
func TestDamagedRecords(t *testing.T) {
	c := open(t, t.TempDir())
	key := lockfile.DigestOf([]byte("key"))
	blob := add(t, c, "blob")
	must(t, c.SetDerived(ctx, key, "label", []lockfile.Digest{blob}))
	path := c.path(derivedDir + "/" + key.String())
	whole, err := os.ReadFile(path)
	must(t, err)
	for _, text := range []string{
		"", "samebits derived 2\n", string(whole[:len(whole)-1]), string(whole[:len(whole)-30]), string(whole) + "more\n",
		derivedHead + key.String() + "\nlabel no blobs\n", strings.ReplaceAll(string(whole), key.String(), blob.String()), strings.ToUpper(string(whole)),
	} {
		must(t, os.WriteFile(path, []byte(text), 0o644))
		if got, err := c.Derived(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q was read as %v, %v", text, got, err)
		}
	}
	must(t, os.Remove(path))
	must(t, os.Symlink("/etc/passwd", path))
	if _, err := c.Derived(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was followed: %v", err)
	}
}

func TestPruneOfRecords(t *testing.T) {
	c := open(t, t.TempDir())
	kept, gone, dead := lockfile.DigestOf([]byte("kept")), lockfile.DigestOf([]byte("gone")), c.path(derivedDir+"/.new-1")
	must(t, c.SetDerived(ctx, kept, "kept", []lockfile.Digest{add(t, c, "stays")}))
	must(t, c.SetDerived(ctx, gone, "gone", []lockfile.Digest{lockfile.DigestOf([]byte("never there"))}))
	whole, err := os.ReadFile(c.path(derivedDir + "/" + kept.String()))
	must(t, err)
	must(t, os.WriteFile(dead, whole, 0o644)) // whoever wrote it was killed
	out, err := c.Prune(ctx, PruneOptions{DryRun: true})
	must(t, err)
	if out.Leftovers != 2 {
		t.Errorf("%d records would go, not 2", out.Leftovers)
	}
	if _, err := os.Stat(dead); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	_, err = c.Prune(ctx, PruneOptions{})
	must(t, err)
	if _, err := c.Derived(ctx, kept); err != nil {
		t.Errorf("a record of use has gone: %v", err)
	}
	for _, name := range []string{dead, c.path(derivedDir + "/" + gone.String())} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	// With its blobs a record goes too.
	must(t, c.Close())
	c = open(t, c.Dir())
	out, err = c.Prune(ctx, PruneOptions{All: true})
	must(t, err)
	if _, err := c.Derived(ctx, kept); !errors.Is(err, fs.ErrNotExist) || out.Leftovers != 1 {
		t.Errorf("a record outlived its blobs: %v, %+v", err, out)
	}
}

func FuzzDerived(f *testing.F) {
	const head = derivedHead + "name\nlabel "
	f.Add(head + "label\n" + lockfile.DigestOf(nil).String() + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		label, blobs, err := parseDerived("name", text)
		if err != nil {
			return
		}
		again := head + label + "\n"
		for _, d := range blobs {
			again += d.String() + "\n"
		}
		if again != text {
			t.Errorf("%q was read as what would be written as %q", text, again)
		}
	})
}

// A record that another user can have written is as none.
func TestRecordsOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed to give a file to another user")
	}
	c := open(t, t.TempDir())
	key := lockfile.DigestOf([]byte("key"))
	must(t, c.SetDerived(ctx, key, "label", []lockfile.Digest{add(t, c, "blob")}))
	path := c.path(derivedDir + "/" + key.String())
	must(t, os.Chown(path, 12345, 0))
	if _, err := c.Derived(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record of another user counts: %v", err)
	}
	must(t, os.Chown(path, 0, 0))
	must(t, os.Chmod(path, 0o666))
	if _, err := c.Derived(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record that anyone can change counts: %v", err)
	}
	must(t, os.Chmod(path, 0o644))
	if _, err := c.Derived(ctx, key); err != nil {
		t.Error(err)
	}
}
