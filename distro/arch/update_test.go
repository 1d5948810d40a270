package arch

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// lockOf makes a lock of packages of core.
func lockOf(t *testing.T, s *System, packages ...*made) *lockfile.Lock {
	t.Helper()
	lock := &lockfile.Lock{System: s.ID(), Date: time.Unix(1600000000, 0).UTC()}
	for _, m := range packages {
		lock.Entries = append(lock.Entries, lockfile.Entry{
			Digest: lockfile.DigestOf(m.data), Path: "core/os/x86_64/" + m.file(), Archive: lockfile.Archive{Name: archLinux},
			Comments: []string{"# mine: " + m.name},
		})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock
}

// names lists what a lock has, as "name version", and what it is missing.
func names(l *lockfile.Lock) string {
	var out []string
	for _, e := range l.Entries {
		p, _ := Distro{}.Describe(e.Path)
		out = append(out, p.Name+" "+p.Version)
	}
	for _, m := range l.Missing {
		out = append(out, "missing "+m.Name+" "+m.Version)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestUpdate(t *testing.T) {
	for name, tt := range map[string]struct {
		options   string
		locked    []*made
		around    []*made // installed, not locked
		core      []*made
		extra     []*made
		want, err string
	}{
		"newer":               {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1")}, want: "a 2-1"},
		"by epoch":            {locked: []*made{pkg(t, "a", "9-1")}, core: []*made{pkg(t, "a", "1:1-1")}, want: "a 1:1-1"},
		"older":               {locked: []*made{pkg(t, "a", "2-1")}, core: []*made{pkg(t, "a", "1-1")}, want: "a 2-1"},
		"gone":                {locked: []*made{pkg(t, "a", "2-1")}, want: "a 2-1"},
		"first repository":    {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1")}, extra: []*made{pkg(t, "a", "3-1")}, want: "a 2-1"},
		"ignored":             {options: "IgnorePkg = x a*", locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1")}, want: "a 1-1"},
		"ignored group":       {options: "IgnoreGroup = g", locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1", "GROUPS=g")}, want: "a 1-1"},
		"replaced":            {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "b", "1-1", "REPLACES=a<2", "CONFLICTS=a")}, want: "b 1-1"},
		"replaced, not ours":  {locked: []*made{pkg(t, "a", "2-1")}, core: []*made{pkg(t, "b", "1-1", "REPLACES=a<2")}, want: "a 2-1"},
		"split":               {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "b", "1-1", "REPLACES=a"), pkg(t, "c", "1-1", "REPLACES=a")}, want: "b 1-1, c 1-1"},
		"new dependency":      {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=b>=2"), pkg(t, "b", "2-1", "DEPENDS=c"), pkg(t, "d", "1-1", "PROVIDES=c")}, want: "a 2-1, b 2-1, d 1-1"},
		"there already":       {locked: []*made{pkg(t, "a", "1-1")}, around: []*made{pkg(t, "b", "1-1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=b"), pkg(t, "b", "2-1")}, want: "a 2-1"},
		"name before provide": {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=b"), pkg(t, "x", "1-1", "PROVIDES=b")}, extra: []*made{pkg(t, "b", "1-1")}, want: "a 2-1, b 1-1"},
		"not to be had":       {locked: []*made{pkg(t, "a", "1-1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=b")}, err: "a 2-1 needs b"},
		"held back by ignore": {options: "IgnorePkg = b", locked: []*made{pkg(t, "a", "1-1", "DEPENDS=b=1"), pkg(t, "b", "1-1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=b=2"), pkg(t, "b", "2-1")}, err: "a 2-1 needs b=2"},
		"broken before":       {locked: []*made{pkg(t, "a", "1-1", "DEPENDS=gone")}, core: []*made{pkg(t, "a", "1-1", "DEPENDS=gone")}, want: "a 1-1"},
		"conflict":            {locked: []*made{pkg(t, "a", "1-1"), pkg(t, "b", "1-1")}, core: []*made{pkg(t, "a", "2-1", "CONFLICTS=b"), pkg(t, "b", "1-1")}, err: "a 2-1 conflicts with b"},
		"library":             {locked: []*made{pkg(t, "a", "1-1", "DEPENDS=so=1"), pkg(t, "b", "1-1", "PROVIDES=so=1")}, core: []*made{pkg(t, "a", "2-1", "DEPENDS=so=2"), pkg(t, "b", "2-1", "PROVIDES=so=2")}, want: "a 2-1, b 2-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.config("SigLevel = Required DatabaseOptional\n"+tt.options, "[extra]", "Server = "+w.url+"/$repo/os/$arch")
			w.install(tt.locked...)
			w.install(tt.around...)
			w.sync(tt.core...)
			w.put("var/lib/pacman/sync/extra.db", databaseOf(t, tt.extra...))
			s := w.open()
			lock := lockOf(t, s, tt.locked...)
			got, err := s.Update(t.Context(), lock, w.offline())
			if err != nil || tt.err != "" {
				if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %q", err, tt.err)
				}
				return
			}
			if names(got.Lock) != tt.want {
				t.Errorf("%s, want %s", names(got.Lock), tt.want)
			}
			for _, e := range got.Lock.Entries {
				kept := slices.ContainsFunc(lock.Entries, func(o lockfile.Entry) bool { return o.Digest == e.Digest })
				if kept == e.Unsigned {
					t.Errorf("%s: kept %t, unsigned %t", e.Path, kept, e.Unsigned)
				}
			}
			if tt.want == "a 2-1" && got.Lock.Entries[0].Comments[0] != "# mine: a" {
				t.Errorf("comments: %q", got.Lock.Entries[0].Comments)
			}
		})
	}
}

func TestUpdateKeepsSignaturesAndLooksForTheMissing(t *testing.T) {
	w := newWorld(t)
	a, b, c := pkg(t, "a", "1-1"), pkg(t, "b", "1-1"), pkg(t, "c", "1-1")
	w.install(a, b, c)
	w.sync(pkg(t, "b", "2-1"), c)
	s := w.open()
	lock := lockOf(t, s, a, b)
	for _, m := range []*made{a, b} {
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: lockfile.DigestOf(m.sig), Path: "core/os/x86_64/" + m.file() + ".sig"})
	}
	lock.Missing = []lockfile.Missing{c.id().Missing(), {Name: "d", Version: "1-1", Arch: "any"}}
	got, err := s.Update(t.Context(), lock, w.online())
	if err != nil {
		t.Fatal(err)
	}
	// The signature of b is of the old version.
	if want := " ,  , a 1-1, b 2-1, c 1-1, missing d 1-1"; strings.Replace(names(got.Lock), " , ", " ,  , ", 1) != want {
		t.Errorf("%q", names(got.Lock))
	}
	for m, r := range got.Reasons {
		if m.Name != "d" || r.Kind == "" {
			t.Errorf("%v: %v", m, r)
		}
	}
	if got.Lock.Date.Before(lock.Date) {
		t.Errorf("the date went back to %v", got.Lock.Date)
	}
	lock.Entries = append(lock.Entries, lockOf(t, s, pkg(t, "a", "3-1")).Entries...)
	if _, err := s.Update(t.Context(), lock, w.offline()); err == nil || !strings.Contains(err.Error(), "two versions of a") {
		t.Errorf("twice: %v", err)
	}
	var mismatch *distro.MismatchError
	if _, err := s.Update(t.Context(), &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: "aarch64"}}, w.offline()); !errors.As(err, &mismatch) {
		t.Errorf("another architecture: %v", err)
	}
}
