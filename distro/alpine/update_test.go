package alpine

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// A fakePackage is name, version and further lines of .PKGINFO.
type fakePackage struct{ name, version, info string }

// updated updates a lock of the locked packages in a root where these are
// installed, with what repositories (by tag, "" for none) offer.
func updated(t *testing.T, world string, locked []fakePackage, offered map[string][]fakePackage) (string, *distro.Located, string, error) {
	t.Helper()
	s := newSigner(t, "own.rsa.pub")
	root := rootWith(t, map[string]string{"etc/apk/arch": "x86_64\n", worldFile: world, "etc/os-release": "ID=alpine\nVERSION_ID=3.19.4\n"})
	s.trust(t, root)
	old := t.TempDir()
	text := ""
	lock := &lockfile.Lock{System: lockfile.System{Distro: "alpine", Version: "3.19.4", Arch: "x86_64"}}
	for _, p := range locked {
		file := signedPackage(t, s, old, p.name, p.version, p.info, nil)
		r, err := readPackageFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += "C:" + checksum(r) + "\n" + strings.TrimSuffix(record(p.name, p.version, "x86_64"), "\n")
		for key, list := range map[string][]string{"D": r.Depends, "p": r.Provides, "i": r.InstallIf} {
			if len(list) > 0 {
				text += key + ":" + strings.Join(list, " ") + "\n"
			}
		}
		text += "\n"
		if !strings.HasPrefix(p.info, "#around") {
			lock.Entries = append(lock.Entries, lockfile.Entry{Digest: lockfile.DigestOf([]byte(read(t, file))), Path: "x86_64/" + filepath.Base(file),
				Archive: lockfile.Archive{Name: "old", URL: "http://old.example"}, Comments: []string{"# of " + p.name}})
		}
	}
	put(t, filepath.Join(root, installedFile), text)
	repositories := ""
	for tag, list := range offered {
		dir := filepath.Join(root, "repo"+tag, "x86_64")
		for _, p := range list {
			signedPackage(t, s, dir, p.name, p.version, p.info, nil)
		}
		repository(t, s, dir)
		repositories += strings.TrimSpace(tag+" /repo"+tag) + "\n"
	}
	put(t, filepath.Join(root, "etc/apk/repositories"), repositories)
	var r recorded
	sys, err := open(root, r.events())
	if err != nil {
		t.Fatal(err)
	}
	got, err := sys.Update(t.Context(), lock, distro.LocateRequest{})
	if err != nil {
		return "", nil, r.String(), err
	}
	var names []string
	for _, e := range got.Lock.Entries {
		name, version, _, _ := splitName(e.Base())
		names = append(names, name+"-"+version)
	}
	for _, m := range got.Lock.Missing {
		names = append(names, "missing:"+m.Name+"-"+m.Version)
	}
	slices.Sort(names)
	return strings.Join(names, " "), got, r.String(), nil
}

func TestUpdate(t *testing.T) {
	for name, tt := range map[string]struct {
		world   string
		locked  []fakePackage
		offered map[string][]fakePackage
		want    string
		warned  string
	}{
		"the newest":         {"app\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "1-r1", ""}, {"app", "2-r0", ""}, {"app", "2_rc1-r0", ""}}}, "app-2-r0", ""},
		"nothing older":      {"", []fakePackage{{"app", "3-r0", ""}}, map[string][]fakePackage{"": {{"app", "2-r0", ""}}}, "app-3-r0", ""},
		"world's constraint": {"app<2\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "1.5-r0", ""}, {"app", "2-r0", ""}}}, "app-1.5-r0", ""},
		"a new dependency": {"app\n", []fakePackage{{"app", "1-r0", ""}},
			map[string][]fakePackage{"": {{"app", "2-r0", "depend = so:libnew.so.1\n"}, {"libnew", "1-r0", "provides = so:libnew.so.1=1.2\ndepend = libdeep>=2\n"}, {"libdeep", "2-r0", ""}, {"unrelated", "1-r0", ""}}},
			"app-2-r0 libdeep-2-r0 libnew-1-r0", ""},
		"a library renamed": {"app\n", []fakePackage{{"app", "1-r0", "depend = so:liba.so.1\n"}, {"liba1", "1-r0", "provides = so:liba.so.1=1\n"}},
			map[string][]fakePackage{"": {{"app", "2-r0", "depend = so:liba.so.2\n"}, {"liba2", "2-r0", "provides = so:liba.so.2=2\n"}}},
			"app-2-r0 liba2-2-r0", "liba1 1-r0 is left out"},
		"what cannot be had": {"app\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "2-r0", "depend = nowhere\n"}, {"app", "1.5-r0", ""}}}, "app-1.5-r0", "app 2-r0 is not taken"},
		"exact versions go together": {"app\n", []fakePackage{{"app", "1-r0", "depend = data=1-r0\n"}, {"data", "1-r0", ""}, {"user", "1-r0", "depend = data<2\n"}},
			map[string][]fakePackage{"": {{"app", "2-r0", "depend = data=2-r0\n"}, {"data", "2-r0", ""}}}, "app-1-r0 data-1-r0 user-1-r0", ""},
		"a tag that was not asked for":                    {"app\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "1-r1", ""}}, "@edge": {{"app", "9-r0", ""}}}, "app-1-r1", ""},
		"only under a tag that was not asked for":         {"app\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"@edge": {{"app", "9-r0", ""}}}, "app-1-r0", ""},
		"a dependency under a tag that was not asked for": {"app\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "2-r0", "depend = deep\n"}}, "@edge": {{"deep", "9-r0", ""}}}, "app-1-r0", "app 2-r0 is not taken"},
		"a tag that was asked for": {"app@edge\nother\n", []fakePackage{{"app", "1-r0", "depend = lib\n"}, {"lib", "1-r0", ""}, {"other", "1-r0", ""}},
			map[string][]fakePackage{"": {{"app", "1-r1", ""}, {"lib", "1-r1", ""}}, "@edge": {{"app", "9-r0", "depend = lib\ndepend = deep>=9\n"}, {"lib", "9-r0", ""}, {"deep", "9-r0", ""}, {"other", "9-r0", ""}}},
			"app-9-r0 deep-9-r0 lib-1-r1 other-1-r0", ""},
		"what comes by itself": {"app\nopenrc\n", []fakePackage{{"app", "1-r0", ""}, {"openrc", "1-r0", ""}},
			map[string][]fakePackage{"": {{"app", "2-r0", ""}, {"app-openrc", "2-r0", "install_if = app=2-r0 openrc\n"}, {"app-doc", "2-r0", "install_if = app=2-r0 docs\n"}}},
			"app-2-r0 app-openrc-2-r0 openrc-1-r0", ""},
		"a conflict": {"app\nother\n", []fakePackage{{"app", "1-r0", ""}, {"other", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "2-r0", "depend = !other\n"}}}, "app-1-r0 other-1-r0", "app 2-r0 is not taken"},
		"a virtual name": {"app\n", []fakePackage{{"app", "1-r0", ""}},
			map[string][]fakePackage{"": {{"app", "2-r0", "depend = editor\n"}, {"ed", "1-r0", "provides = editor\n"}, {"vi", "1-r0", "provides = editor\nprovider_priority = 10\n"}}}, "app-2-r0 vi-1-r0", ""},
		"what nobody has":                  {"app=5\n", []fakePackage{{"app", "1-r0", ""}}, map[string][]fakePackage{"": {{"app", "2-r0", ""}}}, "app-1-r0", ""},
		"a version that world forbids now": {"app<2\n", []fakePackage{{"app", "2-r0", ""}}, map[string][]fakePackage{"": {{"app", "1.9-r0", ""}}}, "app-1.9-r0", ""},
		"around":                           {"", []fakePackage{{"app", "1-r0", ""}, {"lib", "1-r0", "#around\n"}}, map[string][]fakePackage{"": {{"app", "2-r0", "depend = lib\n"}, {"lib", "2-r0", ""}}}, "app-2-r0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, warned, err := updated(t, tt.world, tt.locked, tt.offered)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || !strings.Contains(warned, tt.warned) {
				t.Errorf("got %s, want %s; warned %s, want %q", got, tt.want, warned, tt.warned)
			}
		})
	}
}

func TestUpdateKeepsWhatIsLocked(t *testing.T) {
	_, got, _, err := updated(t, "", []fakePackage{{"same", "1-r0", ""}, {"newer", "1-r0", ""}}, map[string][]fakePackage{"": {{"same", "1-r0", ""}, {"newer", "2-r0", ""}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Lock.Entries {
		name, _, _, _ := splitName(e.Base())
		if len(e.Comments) != 1 || e.Comments[0] != "# of "+name {
			t.Errorf("the comments of %s are %q", e.Path, e.Comments)
		}
		if want := map[string]string{"same": "old", "newer": "repo"}[name]; e.Archive.Name != want && !strings.HasPrefix(e.Archive.Name, want+"/") {
			t.Errorf("%s is of %s", e.Path, e.Archive)
		}
	}
	if got.Lock.Date.Unix() != 1700000000 {
		t.Errorf("the date is %s", got.Lock.Date)
	}
}

func TestUpdateRefuses(t *testing.T) {
	root := rootWith(t, map[string]string{"etc/apk/arch": "x86_64\n", installedFile: "", "etc/os-release": "ID=alpine\n"})
	s := openRoot(t, root)
	var mismatch *distro.MismatchError
	if _, err := s.Update(t.Context(), &lockfile.Lock{System: lockfile.System{Distro: "alpine", Version: "3", Arch: "armv7"}}, distro.LocateRequest{}); !errors.As(err, &mismatch) {
		t.Errorf("another architecture: %v", err)
	}
	for path, want := range map[string]string{"x86_64/odd.apk": "not named as", "x86_64/a-1-r0.apk": "two versions of a"} {
		lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: path}, {Path: "x86_64/a-2-r0.apk"}}}
		if _, err := s.Update(t.Context(), lock, distro.LocateRequest{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestUpdateAsAPKDoes compares with the real apk on the ISO's system and the
// branch that is newer.
func TestUpdateAsAPKDoes(t *testing.T) {
	root, lock, _ := isoLock(t)
	url := mirror(t, map[string]string{"/alpine/v3.19": data(t, "mirror/v3.19")})
	atMirror(t, root, url+"/alpine/v3.19/main", url+"/alpine/v3.19/community")
	req := online(t)
	req.Fresh = true
	got, err := openRoot(t, root).Update(t.Context(), lock, req)
	if err != nil {
		t.Fatal(err)
	}
	var mine []string
	for _, e := range got.Lock.Entries {
		name, version, _, _ := splitName(e.Base())
		mine = append(mine, name+"-"+version)
	}
	for _, m := range got.Lock.Missing { // the mirror has not all of the files
		mine = append(mine, m.Name+"-"+m.Version)
	}
	state := map[string]string{}
	for _, p := range installedAll(t, root) {
		state[p.Name] = p.Version
	}
	for line := range strings.Lines(runIn(t, root, "/sbin/apk", "upgrade", "--simulate", "--no-cache")) {
		// "(1/9) Upgrading busybox (1.36.1-r15 -> 1.36.1-r19)"
		f := strings.Fields(line)
		switch {
		case len(f) == 6 && f[1] == "Upgrading":
			state[f[2]] = strings.TrimSuffix(f[5], ")")
		case len(f) == 4 && f[1] == "Installing":
			state[f[2]] = strings.Trim(f[3], "()")
		case len(f) == 4 && f[1] == "Purging":
			delete(state, f[2])
		}
	}
	var theirs []string
	for name, version := range state {
		theirs = append(theirs, name+"-"+version)
	}
	slices.Sort(mine)
	slices.Sort(theirs)
	if !slices.Equal(mine, theirs) {
		t.Errorf("got  %s\napk's %s", mine, theirs)
	}
	t.Logf("%d packages, %d missing", len(mine), len(got.Lock.Missing))
}
