package debian

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/lockfile"
)

func TestLocateInListsOfEachForm(t *testing.T) {
	key := newKey(t)
	for _, ending := range []string{"", ".gz", ".lz4"} {
		r := newRoot(t)
		r.Config.Architectures = []string{"amd64", "i386"}
		s := debianSuite(key, record("a", "1:2.0-1+b1~x", "amd64", "a")+record("doc", "3", "all", "doc"))
		s.indexes["main/i386"] = record("a", "1:2.0-1+b1~x", "i386", "a32") + record("doc", "3", "all", "doc")
		r.keep(r.configure(mirrorA, "bookworm", key), s.files(t), ending)
		got := r.locate(distro.LocateRequest{}, thePackage("a", "1:2.0-1+b1~x", "amd64"), thePackage("a", "1:2.0-1+b1~x", "i386"), thePackage("doc", "3", "all"), thePackage("doc", "3", "all"))
		wantLock(t, got.Lock, "#: date 2026-11-01T08:00:00Z\n#: archive Debian\n"+
			line("a", "pool/main/a_1:2.0-1+b1~x_amd64.deb")+line("a32", "pool/main/a_1:2.0-1+b1~x_i386.deb")+line("doc", "pool/main/doc_3_all.deb"))
		if len(r.warnings) > 0 {
			t.Errorf("ending %q: warnings %q", ending, r.warnings)
		}
	}
}

func TestLocateIsTheSameWithEachMirror(t *testing.T) {
	key := newKey(t)
	var locks []string
	for _, mirror := range []string{mirrorA, mirrorB} {
		r := debianRoot(t, key, mirror, record("a", "1", "amd64", "a"))
		locks = append(locks, string(r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64")).Lock.Format()))
	}
	if locks[0] != locks[1] || !strings.Contains(locks[0], "pool/main/a_1") {
		t.Errorf("one mirror gives\n%s\nanother\n%s", locks[0], locks[1])
	}
}

func TestLocateNamesTheURLOfUnknownArchives(t *testing.T) {
	key := newKey(t)
	r := newRoot(t)
	s := debianSuite(key, record("a", "1", "amd64", "a"))
	s.origin, s.label = "Vendor Inc.", "tools"
	r.keep(r.configure("https://User:secret@Vendor.example/apt/", "bookworm", key), s.files(t), "")
	wantLock(t, r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64")).Lock,
		"#: date 2026-11-01T08:00:00Z\n#: archive Vendor%20Inc./tools https://vendor.example/apt/\n"+line("a", "pool/main/a_1_amd64.deb"))
}

func TestLocateRefusesWhatIsNotVouchedFor(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	good := debianSuite(key, record("a", "1", "amd64", "a")).files(t)
	evil := debianSuite(key, record("a", "1", "amd64", "evil")).files(t)
	const index = "main/binary-amd64/Packages"
	for _, tt := range []struct {
		name   string
		change func(files map[string][]byte)
		want   string
	}{
		{"a byte of InRelease", func(f map[string][]byte) {
			f["InRelease"] = bytes.Replace(f["InRelease"], []byte("Codename: b"), []byte("Codename: c"), 1)
		}, "bookworm_InRelease is not used: its signature does not verify"},
		{"a byte of Packages", func(f map[string][]byte) { f[index][len(f[index])-3] ^= 1 }, "not what its signed Release lists"},
		{"another index of the same archive", func(f map[string][]byte) { f[index] = evil[index] }, "not what its signed Release lists"},
		{"a longer index", func(f map[string][]byte) { f[index] = append(f[index], '\n') }, "not what its signed Release lists"},
		{"the signature stripped", func(f map[string][]byte) {
			f["Release"] = debianSuite(nil, record("a", "1", "amd64", "a")).files(t)["Release"]
			delete(f, "InRelease")
		}, "bookworm_Release is not used: it has no signature"},
		{"signed by a stranger", func(f map[string][]byte) {
			f["InRelease"] = debianSuite(stranger, record("a", "1", "amd64", "a")).files(t)["InRelease"]
		}, "signed only by keys that are not trusted for it"},
		{"text before the signed text", func(f map[string][]byte) {
			f["InRelease"] = slices.Concat([]byte("Origin: Debian\n\n"), f["InRelease"])
		}, "does not begin with"},
		{"an index that the Release does not list", func(f map[string][]byte) {
			f["InRelease"] = (&suite{origin: "Debian", label: "Debian", codename: "bookworm", date: dayOne, signer: key}).files(t)["InRelease"]
		}, "the Release file does not list it"},
		{"no index", func(f map[string][]byte) { delete(f, index) }, "has no list main/binary-amd64/Packages on disk"},
		{"nothing at all", func(f map[string][]byte) { clear(f) }, "has no list on disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string][]byte{}
			for name, data := range good {
				files[name] = bytes.Clone(data)
			}
			tt.change(files)
			r := newRoot(t)
			r.keep(r.configure(mirrorA, "bookworm", key), files, "")
			got := r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64"))
			if len(got.Lock.Entries) != 0 || len(got.Lock.Missing) != 1 || got.Reasons[got.Lock.Missing[0]].Kind == "" || len(got.Hints) == 0 {
				t.Errorf("located %v, missing %v, reasons %v, hints %v", got.Lock.Entries, got.Lock.Missing, got.Reasons, got.Hints)
			}
			if len(r.warnings) != 1 || !strings.Contains(r.warnings[0], tt.want) || !strings.Contains(r.warnings[0]+" install ", " ") {
				t.Errorf("warnings %q, want one with %q", r.warnings, tt.want)
			}
		})
	}
}

func TestLocateMarksWhatIsTrustedWithoutASignature(t *testing.T) {
	for _, tt := range []struct {
		name   string
		suite  string
		drop   string
		signer *openpgp.Entity
		want   string
	}{
		{"Release without a signature", "bookworm", "", nil, "#: date 2026-11-01T08:00:00Z\n#: archive Debian\n#: unsigned\n"},
		{"no Release", "bookworm", "Release", nil, "#: archive - file:///srv/repo/\n#: unsigned\n"},
		{"signed by a key that is not there", "bookworm", "", newKey(t), "#: date 2026-11-01T08:00:00Z\n#: archive Debian\n#: unsigned\n"},
		{"flat", "./", "Release", nil, "#: archive - file:///srv/repo/\n#: unsigned\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := debianSuite(tt.signer, record("a", "1", "amd64", "a"))
			if tt.suite == "./" {
				s.indexes = map[string]string{"": strings.ReplaceAll(s.indexes["main/amd64"], "pool/main", "./pool/main")}
			}
			files := s.files(t)
			delete(files, tt.drop)
			for _, direct := range []bool{false, true} {
				r := newRoot(t)
				repo := r.configure("file:/srv/repo/", tt.suite, nil)
				repo.Trust.Always = true
				if direct {
					for name, data := range files {
						_, path, _ := strings.Cut(archive.Dir(repo.URI, repo.Suite)+name, ":")
						r.write(path, data)
					}
				} else {
					r.keep(repo, files, "")
				}
				wantLock(t, r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64")).Lock, tt.want+line("a", "pool/main/a_1_amd64.deb"))
				if len(r.warnings) > 0 {
					t.Errorf("warnings %q", r.warnings)
				}
			}
		})
	}
}

func TestLocateTellsWhatIsMissing(t *testing.T) {
	key := newKey(t)
	r := debianRoot(t, key, mirrorA, record("a", "2", "amd64", "a")+record("b", "1", "i386", "b"))
	got := r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64"), thePackage("b", "1", "amd64"), thePackage("hand", "1", "all"))
	wantLock(t, got.Lock, "#: missing a 1 amd64\n#: missing b 1 amd64\n#: missing hand 1 all\n")
	for p, want := range map[distro.Package]string{
		thePackage("a", "1", "amd64"):  "other versions now: bookworm offers 2",
		thePackage("b", "1", "amd64"):  "no configured archive has this name",
		thePackage("hand", "1", "all"): "by hand",
	} {
		if reason := got.Reasons[p.Missing()].String(); !strings.Contains(reason, want) {
			t.Errorf("%s: reason %q, want %q", p, reason, want)
		}
	}
	if hints := strings.Join(got.Hints, "\n"); !strings.Contains(hints, "--offline") || !strings.Contains(hints, "var/cache/apt/archives") {
		t.Errorf("hints %q", got.Hints)
	}
}

func TestLocateChoosesBetweenDifferentFiles(t *testing.T) {
	key := newKey(t)
	for _, tt := range []struct{ installed, want string }{
		{"", "debian"}, {"libx (>= 1)", "debian"}, {"liby", "other"},
	} {
		for _, swap := range []bool{false, true} {
			r := newRoot(t)
			one := debianSuite(key, strings.Replace(record("a", "1", "amd64", "debian"), "Filename", "Depends: libx (>= 1)\nFilename", 1))
			two := debianSuite(key, strings.Replace(record("a", "1", "amd64", "other"), "Filename", "Depends: liby\nFilename", 1))
			two.origin, two.label = "Aaa", "Aaa"
			add := []func(){
				func() { r.keep(r.configure(mirrorA, "bookworm", key), one.files(t), "") },
				func() { r.keep(r.configure("http://mirror.example/aaa/", "bookworm", key), two.files(t), "") },
			}
			if swap {
				slices.Reverse(add)
			}
			for _, f := range add {
				f()
			}
			if tt.installed != "" {
				r.write("var/lib/dpkg/status", []byte("Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nMaintainer: x\nDescription: x\nDepends: "+tt.installed+"\n"))
			}
			got := r.locate(distro.LocateRequest{}, thePackage("a", "1", "amd64"))
			if len(got.Lock.Entries) != 1 || got.Lock.Entries[0].Digest != lockfile.DigestOf([]byte(tt.want)) {
				t.Errorf("installed with %q: %v, want the file of %s", tt.installed, got.Lock.Entries, tt.want)
			}
			if len(r.warnings) != 1 || !strings.Contains(r.warnings[0], "Debian") || !strings.Contains(r.warnings[0], "Aaa") {
				t.Errorf("warnings %q", r.warnings)
			}
		}
	}
}

func TestLocateInFreshIndexes(t *testing.T) {
	key := newKey(t)
	const dir = "http://ftp.debian.org/debian/dists/bookworm/"
	fresh := func(change func(*suite)) map[string][]byte {
		s := debianSuite(key, record("a", "2", "amd64", "a2"))
		s.date = dayOne.AddDate(0, 0, 1)
		if change != nil {
			change(s)
		}
		return s.files(t)
	}
	for _, tt := range []struct {
		name    string
		files   map[string][]byte
		setup   func(*apt.Repository)
		noLists bool
		located bool
		want    string
	}{
		{"newer", fresh(nil), nil, false, true, ""},
		{"a root without lists", fresh(nil), nil, true, true, ""},
		{"not there", nil, nil, false, false, "no fresh index"},
		{"older than the lists", fresh(func(s *suite) { s.date = dayOne.AddDate(0, 0, -1) }), nil, false, false, "older than the list on disk"},
		{"expired", fresh(func(s *suite) { s.extra = "Valid-Until: Mon, 02 Nov 2020 08:00:00 UTC\n" }), nil, false, false, "Check-Valid-Until: no"},
		{"expired, which is said to be fine", fresh(func(s *suite) { s.extra = "Valid-Until: Mon, 02 Nov 2020 08:00:00 UTC\n" }),
			func(r *apt.Repository) { r.CheckValidUntil = false }, false, true, ""},
		{"by a stranger", fresh(func(s *suite) { s.signer = newKey(t) }), nil, false, false, "not trusted for it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoot(t)
			repo := r.configure(mirrorA, "bookworm", key)
			if !tt.noLists {
				r.keep(repo, debianSuite(key, record("a", "1", "amd64", "a1")).files(t), "")
			}
			if tt.setup != nil {
				tt.setup(repo)
			}
			got := r.locate(distro.LocateRequest{Fetcher: serve(dir, tt.files), Fresh: !tt.noLists}, thePackage("a", "2", "amd64"))
			if (len(got.Lock.Entries) == 1) != tt.located {
				t.Errorf("located %v, missing %v, warnings %q", got.Lock.Entries, got.Reasons, r.warnings)
			}
			if all := strings.Join(r.warnings, "\n"); (all == "") != (tt.want == "") || !strings.Contains(all, tt.want) {
				t.Errorf("warnings %q, want %q", r.warnings, tt.want)
			}
		})
	}
}

func TestLocateFetchesByHashFirst(t *testing.T) {
	key := newKey(t)
	const dir = "http://ftp.debian.org/debian/dists/bookworm/"
	s := debianSuite(key, record("a", "1", "amd64", "a"))
	s.extra = "Acquire-By-Hash: yes\n"
	r := newRoot(t)
	r.configure(mirrorA, "bookworm", key)
	w := serve(dir, s.files(t))
	if got := r.locate(distro.LocateRequest{Fetcher: w}, thePackage("a", "1", "amd64")); len(got.Lock.Entries) != 1 {
		t.Errorf("missing %v", got.Reasons)
	}
	if len(w.asked) != 3 || !strings.Contains(w.asked[1], "main/binary-amd64/by-hash/SHA256/") || w.asked[2] != dir+"main/binary-amd64/Packages.gz" {
		t.Errorf("asked for %q", w.asked)
	}
}

// realPackage is a package a that dpkg-deb makes.
func realPackage(t *testing.T, version string) []byte {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	build := t.TempDir()
	if err := os.Mkdir(filepath.Join(build, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	control := "Package: a\nVersion: " + version + "\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: t\n"
	if err := os.WriteFile(filepath.Join(build, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", build, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLocateInPackageCache(t *testing.T) {
	data, key := realPackage(t, "1:1-1"), newKey(t)
	for _, tt := range []struct{ name, packages, want string }{
		{"offered at another version", record("a", "2", "amd64", "a2"), "#: archive Debian\n#: unsigned\n" + line(string(data), "pool/main/a_1-1_amd64.deb")},
		{"not offered", record("b", "2", "amd64", "b"), "#: unsigned\n" + line(string(data), "pool/main/a/a/a_1-1_amd64.deb")},
	} {
		r := debianRoot(t, key, mirrorA, tt.packages)
		r.write("var/cache/apt/archives/a_1%3a1-1_amd64.deb", data)
		r.write("var/cache/apt/archives/a_9_amd64.deb", []byte("no package"))
		got := r.locate(distro.LocateRequest{}, thePackage("a", "1:1-1", "amd64"))
		wantLock(t, got.Lock, tt.want)
		if len(r.warnings) != 1 || !strings.Contains(r.warnings[0], "a_9_amd64.deb") {
			t.Errorf("%s: warnings %q", tt.name, r.warnings)
		}

		// The same from a directory of somebody's, at any depth.
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "kept/here"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{"kept/here/a_old.deb": data, "a_0.deb": []byte("no package"), "b_1.deb": []byte("nobody asks")} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r = debianRoot(t, key, mirrorA, tt.packages)
		got = r.locate(distro.LocateRequest{Directories: []string{dir, filepath.Join(dir, "absent")}}, thePackage("a", "1:1-1", "amd64"))
		wantLock(t, got.Lock, tt.want)
		if len(r.warnings) != 2 || !strings.Contains(r.warnings[0], "a_0.deb") || !strings.Contains(r.warnings[1], "absent") {
			t.Errorf("%s: warnings %q", tt.name, r.warnings)
		}
	}
}
