package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// A cache of very many small files says the same of them whether its index was
// there, was deleted, or was rebuilt since.
func TestAcceptManyBlobs(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 10,000 files")
	}
	cache, extra := manyBlobs(t)
	index := []string{filepath.Join(cache, "index.db"), filepath.Join(cache, "index.sum")}
	ask := func() map[string]string {
		said := map[string]string{}
		for _, args := range []string{"list", "list --json", "verify --json", "info --json", "prune --dry-run --all --json", "prune --dry-run --max-size 20M --json", "prune --dry-run --all"} {
			r := samebits(t, 0, cache, append([]string{"cache"}, strings.Fields(args)...)...)
			said[args] = r.stdout + r.stderr
		}
		return said
	}
	first := ask()
	for args, want := range map[string]string{
		"list":                  "file-09999.bin",
		"verify --json":         "10000",
		"prune --dry-run --all": "9900 files, 40.6 MB, would be removed",
	} {
		if !strings.Contains(first[args], want) {
			t.Errorf("cache %s does not say %q: %s", args, want, head(first[args]))
		}
	}
	if n := strings.Count(first["list"], "\n"); n != manyFiles+1 {
		t.Errorf("the list has %d lines, want %d", n, manyFiles+1)
	}
	remove := func() {
		for _, name := range index {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove()
	sameAnswers(t, "without the index", ask(), first)
	// A new name brings the index back.
	samebits(t, 0, cache, "cache", "import", extra)
	rebuilt := ask()
	if !strings.Contains(rebuilt["list"], "file-00000.bin other-name.bin") {
		t.Error("the list lacks a name that was added")
	}
	remove() // which fails where it was not rebuilt
	sameAnswers(t, "with the index rebuilt", rebuilt, ask())
}

// sameAnswers compares what several commands said.
func sameAnswers(t *testing.T, when string, got, want map[string]string) {
	t.Helper()
	for args, said := range got {
		if said != want[args] {
			t.Errorf("cache %s says another thing %s:\n%s\nwant\n%s", args, when, head(said), head(want[args]))
		}
	}
}

const manyFiles, manySize = 10_000, 4096

// manyBlobs makes a cache of very many files, of which a pin names one in a
// hundred, and one of the files by another name.
func manyBlobs(t *testing.T) (cache, extra string) {
	t.Helper()
	from := t.TempDir()
	cache = t.TempDir()
	pin := &lockfile.Lock{}
	data := fetchtest.Data(1, manyFiles*manySize)
	for i := range manyFiles {
		name, content := fmt.Sprintf("file-%05d.bin", i), data[i*manySize:(i+1)*manySize]
		if err := os.WriteFile(filepath.Join(from, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			pin.Entries = append(pin.Entries, lockfile.Entry{Path: name, Digest: lockfile.DigestOf(content)})
		}
	}
	if err := pin.Sort(); err != nil {
		t.Fatal(err)
	}
	samebits(t, 0, cache, "cache", "import", from)
	samebits(t, 0, cache, "cache", "pin", "kept", write(t, filepath.Join(t.TempDir(), "kept"), string(pin.Format())))
	return cache, write(t, filepath.Join(t.TempDir(), "other-name.bin"), string(data[:manySize]))
}
