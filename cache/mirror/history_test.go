package mirror

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// What has another digest than before is told when it comes, once, and later
// too: from the lines alone, if the index is lost.
func TestHistoryTellsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	file, index := filepath.Join(dir, "history"), filepath.Join(dir, "history.db")
	h, err := openHistory(file, index)
	if err != nil {
		t.Fatal(err)
	}
	other := func(path, version, content string) Seen {
		s := seen(0)
		s.Path, s.Version, s.Digest = path, version, lockfile.DigestOf([]byte(content))
		return s
	}
	elsewhere := other("pool/a.deb", "1", "another archive has its own build")
	elsewhere.Archive, elsewhere.Prefix = "Ubuntu", "ubuntu"
	nameless := other("dists/x/Contents", "", "one")
	nameless.Name, nameless.Version, nameless.Arch = "", "", ""
	nameless2 := nameless
	nameless2.Path, nameless2.Digest = "dists/y/Contents", lockfile.DigestOf([]byte("two"))
	for i, step := range []struct {
		add  []Seen
		want string
	}{
		{[]Seen{other("pool/a.deb", "1", "first")}, "[]"},
		{[]Seen{other("pool/a.deb", "1", "first"), other("pool/moved.deb", "1", "first"), elsewhere, nameless, nameless2}, "[]"},
		{[]Seen{other("pool/b.deb", "1", "second")}, "[pool/b.deb 1]"},
		{[]Seen{other("pool/b.deb", "1", "second"), other("pool/c.deb", "1", "second")}, "[]"},
		{[]Seen{other("pool/a.deb", "2", "third")}, "[pool/a.deb 2]"},
		{[]Seen{other("pool/a.deb", "1", "fourth")}, "[pool/a.deb 3]"},
		{[]Seen{other("pool/z.deb", "9", "in one"), other("pool/z.deb", "9", "index")}, "[pool/z.deb 3]"},
	} {
		_, changed, err := h.add(step.add)
		if got := changedText(changed); err != nil || got != step.want {
			t.Errorf("step %d: %s, %v, want %s", i, got, err, step.want)
		}
	}
	const all = "[pool/z.deb 3 pool/a.deb 3 pool/a.deb 2 pool/b.deb 1]"
	for _, lost := range []bool{false, true} {
		any := func(changedSeen) bool { return true }
		if got := changedText(h.changes(10, any)); got != all {
			t.Errorf("lost %t: %s", lost, got)
		}
		if got := changedText(h.changes(2, func(c changedSeen) bool { return c.what&sameVersion != 0 })); got != "[pool/z.deb 3 pool/a.deb 3]" {
			t.Errorf("lost %t: %s", lost, got)
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(index); err != nil {
			t.Fatal(err)
		}
		if h, err = openHistory(file, index); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.close(); err != nil {
		t.Error(err)
	}
}

func changedText(changed []changedSeen) string {
	out := []string{}
	for _, c := range changed {
		out = append(out, fmt.Sprintf("%s %d", c.Path, c.what))
	}
	return "[" + strings.Join(out, " ") + "]"
}

// Another digest for a version is told as long as the mirror lives, with the
// one that was seen first. What came in between does not hide it.
func TestChangesOutliveTheProcess(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	r.waitIndexed()
	first := lockfile.DigestOf(repo.debs[smallDeb])
	for i := range 2 {
		repo.build("small", "1.0-1", 200+i)
		o.set(repo.publish())
		r.want(inReleasePath, 200, nil)
		r.waitIndexed()
	}
	last := lockfile.DigestOf(repo.debs[smallDeb])
	for range 2 {
		got := r.Changes(10)
		if len(got) != 2 || got[0].Digest != last || got[0].Name != "small" || got[0].Before != first || got[1].Before != first {
			t.Errorf("%+v", got)
		}
		if one := r.Changes(1); len(one) != 1 || one[0].Digest != last {
			t.Errorf("%+v", one)
		}
		r.restart()
	}
}
