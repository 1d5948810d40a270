// Package distrotest holds implementations of [distro.Distro] to its contracts.
// Each family runs [Run] on fixtures of its own: roots with real or made-up
// systems and, where it can, a way to the indexes and packages.
//
// It refuses to know any family: all that it asks goes through the interfaces.
package distrotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// A Fixture is a system to try a family on.
type Fixture struct {
	Distro distro.Distro
	// Families are all that detection chooses from; Distro is among them.
	Families []distro.Distro
	// Root is the path of a system of the family.
	Root string
	// Want is what ID must say; not compared where it is zero.
	Want lockfile.System
	// Fetcher reaches indexes, nil for none. Answers must not change during
	// the test.
	Fetcher distro.Fetcher
	// Identifier finds out digests, nil for none.
	Identifier distro.Identifier
	// Blobs gives files for Pending; nil for none at hand.
	Blobs distro.Blobs
	// Others are roots of the same packages set to other mirrors of the same
	// archives: they must give the same lock.
	Others []string
	// NoLocate leaves out what needs indexes, for roots that have none.
	NoLocate bool
}

// Run tries all contracts on a fixture.
func Run(t *testing.T, f Fixture) {
	t.Run("traits", func(t *testing.T) { testTraits(t, f) })
	t.Run("describe", func(t *testing.T) { testDescribe(t, f) })
	t.Run("detect", func(t *testing.T) { testDetect(t, f) })
	t.Run("open", func(t *testing.T) { testOpen(t, f) })
	t.Run("installed", func(t *testing.T) { testInstalled(t, f) })
	t.Run("select", func(t *testing.T) { testSelect(t, f) })
	t.Run("access", func(t *testing.T) { testAccess(t, f) })
	if f.NoLocate {
		return
	}
	t.Run("locate", func(t *testing.T) { testLocate(t, f) })
	if len(f.Others) > 0 {
		t.Run("mirrors", func(t *testing.T) { testMirrors(t, f) })
	}
	t.Run("pending", func(t *testing.T) { testPending(t, f) })
}

func open(t *testing.T, f Fixture, root string) distro.System {
	t.Helper()
	s, err := f.Distro.Open(root, nil)
	if err != nil {
		t.Fatalf("open %s: %v", root, err)
	}
	return s
}

func installed(t *testing.T, s distro.System) []distro.Package {
	t.Helper()
	ps, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(ps) == 0 {
		t.Fatal("the fixture has no packages")
	}
	return ps
}

func testTraits(t *testing.T, f Fixture) {
	tr := f.Distro.Traits()
	if tr.Family == "" {
		t.Error("the family has no name")
	}
	for _, list := range [][]string{tr.IDs, tr.State, tr.Suffixes} {
		if len(list) == 0 {
			t.Error("IDs, State or Suffixes are empty")
		}
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(sorted)) != len(list) {
			t.Errorf("twice in %q", list)
		}
	}
	for _, p := range tr.State {
		if err := lockfile.CheckPath(p); err != nil {
			t.Errorf("the state is not relative to a root: %v", err)
		}
	}
	for _, s := range tr.Suffixes {
		if !strings.HasPrefix(s, ".") {
			t.Errorf("the suffix %q has no dot", s)
		}
	}
	keeper := false
	for _, m := range tr.Mirrors {
		if !strings.Contains(m.URL, "://") {
			t.Errorf("%q is not the URL of a mirror", m.URL)
		}
		if strings.ContainsAny(m.Archive, " \t\n") {
			t.Errorf("%q cannot be the name of an archive", m.Archive)
		}
		if keeper && !m.Keeper {
			t.Errorf("%s is asked after the archives that keep everything", m.URL)
		}
		keeper = m.Keeper
	}
	for _, other := range f.Families {
		o := other.Traits()
		if o.Family == tr.Family {
			continue
		}
		for _, s := range o.Suffixes {
			if slices.Contains(tr.Suffixes, s) {
				t.Errorf("%s and %s both have files that end in %s", tr.Family, o.Family, s)
			}
		}
	}
}

func testDescribe(t *testing.T, f Fixture) {
	suffix := f.Distro.Traits().Suffixes[0]
	for _, path := range []string{"", "/", suffix, "x", "x" + suffix + ".txt", "\x00" + suffix, "a b" + suffix, strings.Repeat("-", 5000) + suffix, strings.Repeat("_", 5000) + suffix} {
		if p, ok := f.Distro.Describe(path); ok {
			t.Errorf("%.40q is said to be %v", path, p)
		}
	}
}

func testDetect(t *testing.T, f Fixture) {
	got, err := distro.Detect(f.Root, f.Families)
	if err != nil {
		t.Fatal(err)
	}
	if got.Traits().Family != f.Distro.Traits().Family {
		t.Errorf("%s is taken for %s", f.Root, got.Traits().Family)
	}
}

func testOpen(t *testing.T, f Fixture) {
	if _, err := f.Distro.Open(t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty root: %v, want fs.ErrNotExist", err)
	}
	id := open(t, f, f.Root).ID()
	if id.Distro == "" || id.Version == "" || id.Arch == "" || strings.ContainsAny(id.Distro+id.Version+id.Arch, " \t\n") {
		t.Errorf("the system is named %q", id)
	}
	if !f.Want.IsZero() && id != f.Want {
		t.Errorf("the system is %q, want %q", id, f.Want)
	}
}

func testInstalled(t *testing.T, f Fixture) {
	s := open(t, f, f.Root)
	ps := installed(t, s)
	for i, p := range ps {
		if p.Name == "" || p.Version == "" || p.Arch == "" || strings.ContainsAny(p.String(), "\t\n/") || strings.Count(p.String(), " ") != 2 {
			t.Errorf("an impossible package: %+v", p)
		}
		if i > 0 && ps[i-1].Compare(p) >= 0 {
			t.Errorf("%v stands before %v", ps[i-1], p)
		}
	}
	if again := installed(t, open(t, f, f.Root)); !slices.Equal(ps, again) {
		t.Error("a second look gives another list")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Installed(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func testSelect(t *testing.T, f Fixture) {
	s := open(t, f, f.Root)
	ps := installed(t, s)
	if _, err := s.Select(t.Context(), []string{ps[0].Name, "no-such-package-here"}, true); err == nil || !strings.Contains(err.Error(), "no-such-package-here") {
		t.Errorf("a package that is not there: %v", err)
	}
	for _, p := range ps[:min(len(ps), 25)] {
		alone, err := s.Select(t.Context(), []string{p.Name + ":" + p.Arch}, false)
		if err != nil || !slices.Contains(alone, p) {
			t.Errorf("%v is not among %v: %v", p, alone, err)
			continue
		}
		with, err := s.Select(t.Context(), []string{p.Name + ":" + p.Arch}, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(with, distro.Package.Compare) {
			t.Errorf("what %v needs is not sorted", p)
		}
		for _, q := range append(alone, with...) {
			if _, found := slices.BinarySearchFunc(ps, q, distro.Package.Compare); !found {
				t.Errorf("%v needs %v, which is not installed", p, q)
			}
		}
		for _, q := range alone {
			if !slices.Contains(with, q) {
				t.Errorf("%v is lost when dependencies are asked for", q)
			}
		}
	}
}

func testAccess(t *testing.T, f Fixture) {
	for _, m := range open(t, f, f.Root).Access().Mirrors {
		if !strings.Contains(m.URL, ":") {
			t.Errorf("%q is not the URL of a mirror", m.URL)
		}
	}
}

// locate locates all that is installed and checks the bookkeeping.
func locate(t *testing.T, f Fixture, root string) (*distro.Located, []byte) {
	t.Helper()
	s := open(t, f, root)
	ps := installed(t, s)
	got, err := s.Locate(t.Context(), distro.LocateRequest{Packages: ps, Fetcher: f.Fetcher, Identifier: f.Identifier})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Lock.Entries) + len(got.Lock.Missing); n != len(ps) {
		t.Errorf("%d entries and %d missing for %d packages", len(got.Lock.Entries), len(got.Lock.Missing), len(ps))
	}
	return got, got.Lock.Format()
}

func testLocate(t *testing.T, f Fixture) {
	s := open(t, f, f.Root)
	ps := installed(t, s)
	got, text := locate(t, f, f.Root)
	if got.Lock.System != s.ID() {
		t.Errorf("the lock is of %s, the system is %s", got.Lock.System, s.ID())
	}
	for _, e := range got.Lock.Entries {
		if err := lockfile.CheckPath(e.Path); err != nil {
			t.Error(err)
		}
		if e.Digest.IsZero() {
			t.Errorf("%s has no digest", e.Path)
		}
		if e.Archive.Name == "" || strings.Contains(e.Archive.Name, "://") {
			t.Errorf("%s is of the archive %q", e.Path, e.Archive)
		}
		if isKnown(f, e.Archive.Name) && e.Archive.URL != "" {
			t.Errorf("%s names the mirror %s of a known archive", e.Path, e.Archive.URL)
		}
		checkDescribed(t, f, e.Path, ps)
	}
	for _, m := range got.Lock.Missing {
		if !slices.ContainsFunc(ps, func(p distro.Package) bool { return p.Missing() == m }) {
			t.Errorf("%v is missing but was not asked for", m)
		}
		if got.Reasons[m].Kind == "" {
			t.Errorf("no reason why %v is missing", m)
		}
	}
	parsed, err := lockfile.Parse("lock", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.Format(), text) {
		t.Error("the lock is not canonical")
	}
	if _, second := locate(t, f, f.Root); !bytes.Equal(second, text) {
		t.Error("locating twice gives different locks")
	}
	part, err := s.Locate(t.Context(), distro.LocateRequest{Packages: ps[:1], Fetcher: f.Fetcher, Identifier: f.Identifier})
	if err != nil || len(part.Lock.Entries)+len(part.Lock.Missing) != 1 {
		t.Errorf("one package asked for: %+v, %v", part, err)
	}
}

func isKnown(f Fixture, archive string) bool {
	return slices.ContainsFunc(f.Distro.Traits().Mirrors, func(m distro.Mirror) bool { return m.Archive == archive })
}

// checkDescribed sees that the name of a located file tells which package is
// in it, but for the epoch of its version.
func checkDescribed(t *testing.T, f Fixture, path string, ps []distro.Package) {
	t.Helper()
	p, ok := f.Distro.Describe(path)
	if !ok {
		return // a family whose paths say nothing, or a vendor's odd name
	}
	same := func(q distro.Package) bool {
		_, bare, found := strings.Cut(q.Version, ":")
		return q.Name == p.Name && q.Arch == p.Arch && (q.Version == p.Version || found && bare == p.Version)
	}
	if !slices.ContainsFunc(ps, same) {
		t.Errorf("%s is said to be %v, which is not installed", path, p)
	}
}

func testMirrors(t *testing.T, f Fixture) {
	_, want := locate(t, f, f.Root)
	for _, root := range f.Others {
		if _, got := locate(t, f, root); !bytes.Equal(got, want) {
			t.Errorf("%s gives another lock than %s", root, f.Root)
		}
	}
}

func testPending(t *testing.T, f Fixture) {
	s := open(t, f, f.Root)
	got, _ := locate(t, f, f.Root)
	blobs := f.Blobs
	if blobs == nil {
		blobs = noBlobs{}
	}
	pending, err := s.Pending(t.Context(), got.Lock, blobs)
	if err != nil {
		t.Fatal(err)
	}
	if f.Blobs == nil {
		// Without the files, names alone must do where they tell enough.
		pending = slices.DeleteFunc(pending, func(e lockfile.Entry) bool {
			_, ok := f.Distro.Describe(e.Path)
			return !ok
		})
	}
	if len(pending) > 0 {
		t.Errorf("%d entries of the system's own lock are pending, first %s", len(pending), pending[0].Path)
	}
}

// noBlobs is a cache with nothing in it.
type noBlobs struct{}

func (noBlobs) Path(_ context.Context, d lockfile.Digest) (string, error) {
	return "", fmt.Errorf("no file with SHA-256 %s: %w", d, fs.ErrNotExist)
}
