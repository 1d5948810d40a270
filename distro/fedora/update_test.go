package fedora

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/yum"
)

// names lists the files of a lock.
func baseNames(l *distro.Located) string {
	var out []string
	for _, e := range l.Lock.Entries {
		name := strings.TrimSuffix(e.Base(), ".rpm")
		if e.Unsigned {
			name += "!"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// TestUpdate upgrades a lock to a repository that went on.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	got, _ := w.locate(t, w.online())
	old := got.Lock
	var files []string
	for _, s := range []spec{
		{name: "app", version: "1.1", release: "1.fc35", more: "Requires: lib >= 1:2.1\nRequires: added\nRequires: (missing if absent)"},
		{name: "lib", version: "2.1", release: "1.fc35", epoch: "1", arch: "x86_64"},
		{name: "lib", version: "2.2", release: "1.fc35", epoch: "1", arch: "x86_64", more: "Requires: what-nobody-has"},
		{name: "lib", version: "9", release: "1.fc35", arch: "x86_64"}, // of a lower epoch
		{name: "added", version: "1", release: "1", more: "Requires: gcc-c++"},
		{name: "other", version: "7", release: "1"},
	} {
		files = append(files, w.build(t, filepath.Join(w.repo, "Packages", s.name[:1]), s))
	}
	w.sign(t, files...)
	w.index(t, w.repo)
	update := func(req distro.LocateRequest) (*distro.Located, string) {
		t.Helper()
		s, warned := openSystem(t, w.root)
		got, err := s.Update(t.Context(), old, req)
		if err != nil {
			t.Fatal(err)
		}
		return got, warned()
	}
	req := w.online()
	req.Fresh = true
	got, warned := update(req)
	if s := baseNames(got); s != "added-1-1.noarch app-1.1-1.fc35.noarch gcc-c++-1~rc1^git-1.noarch lib-2.1-1.fc35.x86_64" || warned != "" {
		t.Errorf("the newest: %s%s", s, warned)
	}
	w.checkDigests(t, got.Lock)

	w.configure(t, w.root, "fedora", w.base(), "excludepkgs=lib*")
	got, _ = update(req)
	if s := baseNames(got); s != "app-1.0-1.fc35.noarch gcc-c++-1~rc1^git-1.noarch lib-2.0-1.fc35.x86_64" {
		t.Errorf("lib excluded: %s", s)
	}
}

// made makes an offer as an index would have it.
func made(name, version string, more ...string) *offer {
	x := &index{repo: &repo{Repo: yum.Repo{ID: "r"}}, signed: true}
	record := &yum.Record{Location: name + "-" + version + ".noarch.rpm"}
	o := recordOffer(x, record)
	o.Package = distro.Package{Name: name, Version: version, Arch: "noarch"}
	o.provides = []rpm.Dependency{{Name: name, Flags: rpm.Equal, EVR: version}}
	o.priority = 99
	for _, m := range more {
		kind, text, _ := strings.Cut(m, ":")
		f := strings.Fields(text)
		d := rpm.Dependency{Name: f[0]}
		if len(f) == 3 {
			d.Flags, _ = rpm.ParseFlags(f[1])
			d.EVR = f[2]
		}
		if strings.HasPrefix(strings.TrimSpace(text), "(") {
			d = rpm.Dependency{Name: strings.TrimSpace(text)}
		}
		switch kind {
		case "requires":
			o.requires = append(o.requires, d)
		case "provides":
			o.provides = append(o.provides, d)
		case "obsoletes":
			o.obsoletes = append(o.obsoletes, d)
		case "priority":
			o.priority = len(d.Name)
		case "file":
			o.files = func() []string { return []string{d.Name} }
		}
	}
	return o
}

func TestResolve(t *testing.T) {
	for name, c := range map[string]struct {
		locked, offers, around []*offer
		want                   string
	}{
		"newest": {
			locked: []*offer{made("a", "1-1")}, offers: []*offer{made("a", "1-1"), made("a", "10-1"), made("a", "9-1")}, want: "a 10-1",
		},
		"older is not newer": {
			locked: []*offer{made("a", "2-1")}, offers: []*offer{made("a", "1-1")}, want: "a 2-1",
		},
		"what it needs": {
			locked: []*offer{made("a", "1-1")}, want: "a 2-1, b 1-1, c 1-1",
			offers: []*offer{made("a", "2-1", "requires:b"), made("b", "1-1", "requires:/c"), made("c", "1-1", "file:/c"), made("d", "1-1")},
		},
		"what it needs is installed": {
			locked: []*offer{made("a", "1-1")}, want: "a 2-1", around: []*offer{made("b", "1-1")},
			offers: []*offer{made("a", "2-1", "requires:b"), made("b", "2-1")},
		},
		"nothing has what it needs": {
			locked: []*offer{made("a", "1-1")}, want: "a 1-1",
			offers: []*offer{made("a", "2-1", "requires:b >= 2"), made("b", "1-1")},
		},
		"the newest lacks something": {
			locked: []*offer{made("a", "1-1")}, want: "a 2-1",
			offers: []*offer{made("a", "2-1"), made("a", "3-1", "requires:c", "requires:nothing"), made("c", "1-1")},
		},
		"what it needs lacks something": {
			locked: []*offer{made("a", "1-1")}, want: "a 1-1",
			offers: []*offer{made("a", "2-1", "requires:b"), made("b", "1-1", "requires:nothing")},
		},
		"a locked one needs the old": {
			locked: []*offer{made("a", "1-1", "requires:b = 1-1"), made("b", "1-1")}, want: "a 1-1, b 1-1",
			offers: []*offer{made("b", "2-1")},
		},
		"both go together": {
			locked: []*offer{made("a", "1-1", "requires:b = 1-1"), made("b", "1-1")}, want: "a 2-1, b 2-1",
			offers: []*offer{made("b", "2-1"), made("a", "2-1", "requires:b = 2-1")},
		},
		"lacking before": {
			locked: []*offer{made("a", "1-1", "requires:nothing"), made("b", "1-1")}, offers: []*offer{made("b", "2-1")}, want: "a 1-1, b 2-1",
		},
		"obsoleted": {
			locked: []*offer{made("a", "1-1")}, offers: []*offer{made("a", "2-1"), made("b", "1-1", "obsoletes:a < 3", "provides:a = 3")}, want: "b 1-1",
		},
		"not obsoleted": {
			locked: []*offer{made("a", "5-1")}, offers: []*offer{made("b", "1-1", "obsoletes:a < 3")}, want: "a 5-1",
		},
		"what obsoletes lacks something": {
			locked: []*offer{made("a", "1-1"), made("c", "1-1", "requires:a")}, offers: []*offer{made("b", "1-1", "obsoletes:a")}, want: "a 1-1, c 1-1",
		},
		"a better repository": {
			locked: []*offer{made("a", "1-1")}, offers: []*offer{made("a", "9-1"), made("a", "2-1", "priority:x")}, want: "a 2-1",
		},
		"a condition that holds": {
			locked: []*offer{made("a", "1-1"), made("x", "1-1")}, want: "a 2-1, b 1-1, x 1-1",
			offers: []*offer{made("a", "2-1", "requires:(b if x)"), made("b", "1-1")},
		},
		"a condition that does not hold": {
			locked: []*offer{made("a", "1-1")}, offers: []*offer{made("a", "2-1", "requires:(b if x)"), made("b", "1-1")}, want: "a 2-1",
		},
		"several kernels": {
			locked: []*offer{made("k", "1-1"), made("k", "3-1"), made("k", "2-1")}, offers: []*offer{made("k", "4-1")}, want: "k 1-1, k 2-1, k 4-1",
		},
		"each needs the other": {
			locked: []*offer{made("a", "1-1")}, offers: []*offer{made("a", "2-1", "requires:b"), made("b", "1-1", "requires:a = 2-1")}, want: "a 2-1, b 1-1",
		},
	} {
		r := newResolver("x86_64")
		for _, o := range c.offers {
			r.offer(o)
		}
		for _, o := range c.locked {
			o.locked, o.entry.Path = true, "somewhere"
			r.lock(o)
		}
		r.around = c.around
		var got []string
		for _, o := range r.resolve() {
			got = append(got, o.Name+" "+o.Version)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

func TestModules(t *testing.T) {
	name, stream, ok := moduleState("[nodejs]\nname=nodejs\nstream=16\nprofiles=\nstate=enabled\n")
	if name != "nodejs" || stream != "16" || !ok {
		t.Errorf("%s %s %t", name, stream, ok)
	}
	if _, _, ok := moduleState("[nodejs]\nname=nodejs\nstream=16\nstate=disabled\n"); ok {
		t.Error("a disabled module is enabled")
	}
	record := func(s string) *yum.Record {
		n, err := rpm.ParseNEVRA(s)
		if err != nil {
			t.Fatal(err)
		}
		return &yum.Record{NEVRA: n}
	}
	x := &index{repo: &repo{}, modules: []yum.Module{
		{Name: "nodejs", Stream: "16", Artifacts: []rpm.NEVRA{record("nodejs-1:16.1-1.module_f35.x86_64").NEVRA}},
		{Name: "nodejs", Stream: "18", Artifacts: []rpm.NEVRA{record("nodejs-1:18.1-1.module_f35.x86_64").NEVRA}},
		{Name: "perl", Stream: "5.32", Artifacts: []rpm.NEVRA{record("perl-0:5.32-1.module_f35.x86_64").NEVRA}},
	}}
	f := newModuleFilter(&catalog{indexes: []*index{x}}, map[string]string{"nodejs": "16"})
	for nevra, want := range map[string]bool{
		"nodejs-1:16.1-1.module_f35.x86_64": true,
		"nodejs-1:18.1-1.module_f35.x86_64": false,
		"nodejs-1:20.1-1.fc35.x86_64":       false, // hidden by the module
		"perl-5.32-1.module_f35.x86_64":     false,
		"perl-5.34-1.fc35.x86_64":           true,
		"bash-5.1-1.fc35.x86_64":            true,
	} {
		if got := f.allows(x, record(nevra)); got != want {
			t.Errorf("%s: %t", nevra, got)
		}
	}
	x.repo.ModuleHotfixes = true
	if !f.allows(x, record("nodejs-1:20.1-1.fc35.x86_64")) {
		t.Error("a hotfix is hidden")
	}
}
