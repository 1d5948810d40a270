package mirror

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/lockfile"
)

// An rpmFile is a package, and how the index tells of it.
type rpmFile struct {
	name, version, kind string // of checksum
	data                []byte
}

func (p rpmFile) location() string { return "Packages/" + p.name + "-" + p.version + "-1.noarch.rpm" }

func sumOf(kind string, data []byte) string {
	switch kind {
	case "sha512":
		sum := sha512.Sum512(data)
		return hex.EncodeToString(sum[:])
	case "sha384":
		sum := sha512.Sum384(data)
		return hex.EncodeToString(sum[:])
	case "sha":
		sum := sha1.Sum(data)
		return hex.EncodeToString(sum[:])
	case "md5":
		sum := md5.Sum(data)
		return hex.EncodeToString(sum[:])
	}
	return lockfile.DigestOf(data).String()
}

const rpmDir = "40/x86_64/os/"

// rpmFiles are a repository's files at an origin, at a time in seconds, with
// metadata under the names that createrepo_c gives it, or plain ones.
func rpmFiles(kind string, plain bool, at int, packages ...rpmFile) map[string][]byte {
	files := map[string][]byte{}
	primary := fmt.Sprintf(`<?xml version="1.0"?><metadata xmlns="http://linux.duke.edu/metadata/common" packages="%d">`, len(packages))
	for _, p := range packages {
		primary += fmt.Sprintf(`<package type="rpm"><name>%s</name><arch>noarch</arch><version epoch="0" ver="%s" rel="1"/><checksum type="%s" pkgid="YES">%s</checksum><size package="%d" installed="1"/><location href="%s"/></package>`,
			p.name, p.version, p.kind, sumOf(p.kind, p.data), len(p.data), p.location())
		files[rpmDir+p.location()] = p.data
	}
	repomd := `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>`
	for _, f := range [][2]string{{"primary", primary + "</metadata>"}, {"filelists", fmt.Sprintf("<filelists at=%d/>", at)}, {"filelists_db", "sqlite"}} {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, _ = io.WriteString(w, f[1])
		_ = w.Close()
		name := "repodata/" + sumOf(kind, z.Bytes()) + "-" + f[0] + ".xml.gz"
		if plain {
			name = "repodata/" + f[0] + ".xml.gz"
		}
		files[rpmDir+name] = z.Bytes()
		repomd += fmt.Sprintf(`<data type="%s"><checksum type="%s">%s</checksum><location href="%s"/><timestamp>%d</timestamp><size>%d</size></data>`,
			f[0], kind, sumOf(kind, z.Bytes()), name, at, z.Len())
	}
	files[repomdPath] = []byte(repomd + "</repomd>")
	return files
}

const repomdPath = rpmDir + "repodata/repomd.xml"

// nameOf finds the file of metadata of a type.
func nameOf(t testing.TB, files map[string][]byte, kind string) string {
	t.Helper()
	for name := range files {
		if strings.HasPrefix(name, rpmDir+"repodata/") && strings.HasSuffix(name, kind+".xml.gz") {
			return name
		}
	}
	t.Fatal("no " + kind)
	return ""
}

func rpmAt(o *origin, format *RPM) Upstream {
	return Upstream{Prefix: "fedora", URLs: []string{o.URL + "/debian"}, Format: format}
}

func TestRPMRoots(t *testing.T) {
	for name, want := range map[string]string{
		"a/os/repodata/repomd.xml":         "a/os/repodata/repomd.xml true",
		"a/os/repodata/repomd.xml.asc":     "a/os/repodata/repomd.xml true",
		"a/os/repodata/x-primary.xml.gz":   "a/os/repodata/repomd.xml false",
		"repodata/repomd.xml":              "repodata/repomd.xml true",
		"a/os/Packages/p/p-1-1.noarch.rpm": "a/os/repodata/repomd.xml false",
		"Packages/p-1-1.noarch.rpm":        "repodata/repomd.xml false",
		"oss/noarch/p-1-1.noarch.rpm":      "oss/noarch/repodata/repomd.xml oss/repodata/repomd.xml false",
		"p-1-1.noarch.rpm":                 "repodata/repomd.xml false",
		"a/os/images/boot.iso":             " false",
	} {
		roots, begins := (&RPM{}).Roots(name)
		if got := fmt.Sprint(strings.Join(roots, " "), " ", begins); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestRPMTakesAllThatRepomdNames(t *testing.T) {
	for _, plain := range []bool{false, true} {
		p, q := rpmFile{"p", "1", "sha256", bytes.Repeat([]byte("p"), 1<<20)}, rpmFile{"q", "1", "sha512", bytes.Repeat([]byte("q"), 1000)}
		files := rpmFiles("sha256", plain, 100, p, q)
		o := newOrigin(t, files)
		r := newRig(t, rpmAt(o, &RPM{Archive: "Fedora"}), func(c *Config) { c.Fresh = 1 })
		r.want("/fedora/"+rpmDir+p.location(), 200, p.data) // by a client with an index of its own
		r.want("/fedora/"+repomdPath, 200, files[repomdPath])
		next := rpmFiles("sha256", plain, 101, q)
		o.set(next)
		// Filelists came with the set, though nobody has asked for it.
		filelists := nameOf(t, files, "filelists")
		r.want("/fedora/"+filelists, 200, files[filelists])
		r.restart()
		r.want("/fedora/"+repomdPath, 200, next[repomdPath])
		r.want("/fedora/"+rpmDir+q.location(), 200, q.data)
		if !plain {
			// Who began before can go on, as the name tells the bytes.
			r.want("/fedora/"+filelists, 200, files[filelists])
			r.want("/fedora/"+nameOf(t, files, "primary"), 200, nil)
		}
		r.want("/fedora/"+repomdPath+".asc", 404, nil)
		for name := range files {
			if n := o.count(name); n > 1 && !strings.Contains(name, "repodata/repomd") && !plain {
				t.Errorf("%d requests upstream for %s", n, name)
			}
		}
		// An older state is a replay.
		o.set(files)
		_ = r.Refresh(context.Background())
		if w := r.want("/fedora/"+repomdPath, 200, next[repomdPath]).Header.Values("Warning"); len(w) != 2 {
			t.Error(w)
		}
	}
}

// A file of metadata that clients use is taken along from set to set, whatever
// its name is; one that is derived and that nobody uses is not.
func TestRPMKnowsMetadataByItsKind(t *testing.T) {
	o := newOrigin(t, nil)
	r := newRig(t, rpmAt(o, &RPM{}), func(c *Config) { c.Fresh = 1 })
	for i := range 3 {
		files := rpmFiles("sha256", false, 100+i, rpmFile{"p", fmt.Sprint(i), "sha256", []byte{byte(i)}})
		db := nameOf(t, files, "filelists_db")
		delete(files, db)
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		fmt.Fprint(w, "sqlite", i)
		_ = w.Close()
		name := rpmDir + "repodata/" + lockfile.DigestOf(z.Bytes()).String() + "-filelists_db.xml.gz"
		text := strings.ReplaceAll(string(files[repomdPath]), strings.TrimPrefix(db, rpmDir), strings.TrimPrefix(name, rpmDir))
		before, after, _ := strings.Cut(text, `<data type="filelists_db">`)
		_, tail, _ := strings.Cut(after, "</checksum>")
		head, _, _ := strings.Cut(tail, "<size>")
		files[repomdPath] = []byte(before + `<data type="filelists_db"><checksum type="sha256">` + lockfile.DigestOf(z.Bytes()).String() + "</checksum>" + head + fmt.Sprintf("<size>%d</size></data></repomd>", z.Len()))
		files[name] = z.Bytes()
		o.set(files)
		r.want("/fedora/"+repomdPath, 200, files[repomdPath])
		if asked := o.count(name) > 0; asked != (i > 0) {
			t.Errorf("state %d: filelists_db is taken with the set: %t", i, asked)
		}
		r.want("/fedora/"+name, 200, z.Bytes())
	}
}

func TestRPMRepositoriesWithOtherChecksums(t *testing.T) {
	p := rpmFile{"p", "1", "sha512", bytes.Repeat([]byte("p"), 200_000)}
	weak := rpmFile{"weak", "1", "sha", []byte("weak")}
	files := rpmFiles("sha512", false, 100, p, weak)
	o := newOrigin(t, files)
	r := newRig(t, rpmAt(o, &RPM{}), nil)
	r.want("/fedora/"+repomdPath, 200, nil)
	for _, kind := range []string{"primary", "filelists"} {
		r.want("/fedora/"+nameOf(t, files, kind), 200, files[nameOf(t, files, kind)])
	}
	r.want("/fedora/"+rpmDir+p.location(), 200, p.data)
	if _, body := r.mustGet("/fedora/" + rpmDir + weak.location()); !strings.Contains(string(body), "a checksum of it that can be forged") {
		t.Errorf("%s", body)
	}
	other := rpmFiles("sha512", false, 101, p)
	other[nameOf(t, other, "primary")] = files[nameOf(t, files, "primary")]
	o = newOrigin(t, other)
	r = newRig(t, rpmAt(o, &RPM{}), nil)
	if _, body := r.mustGet("/fedora/" + repomdPath); !strings.Contains(string(body), "it is not the file of the checksum sha512:") {
		t.Errorf("%s", body)
	}
	o = newOrigin(t, rpmFiles("sha", false, 100, p))
	r = newRig(t, rpmAt(o, &RPM{}), nil)
	resp, body := r.mustGet("/fedora/" + repomdPath)
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "it cannot be checked") {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

func TestChecksumIdentities(t *testing.T) {
	data := []byte("some bytes")
	for kind, weak := range map[string]bool{"sha512": false, "sha384": false, "sha": true, "md5": true} {
		id := checksumIdentity(yum.Checksum{Type: kind, Hex: sumOf(kind, data)})
		if len(id) == 0 || len(id) > 32 {
			t.Fatalf("%s: %d bytes", kind, len(id))
		}
		padded := append(id, make([]byte, 32-len(id))...)
		if got, err := checkIdentity(padded, bytes.NewReader(data)); got != weak || err != nil {
			t.Errorf("%s: %t, %v", kind, got, err)
		}
		if _, err := checkIdentity(padded, strings.NewReader("other bytes")); err == nil {
			t.Errorf("%s: other bytes were taken for them", kind)
		}
		if kind == "md5" {
			padded[31] = 1
			if _, err := checkIdentity(padded, bytes.NewReader(data)); err == nil {
				t.Error("an identity with more in it was taken for one without")
			}
		}
	}
	for _, c := range []yum.Checksum{{Type: "sha512", Hex: "ab"}, {Type: "crc", Hex: "ab"}, {Type: "md5", Hex: "xyz"}, {}} {
		if checksumIdentity(c) != nil {
			t.Errorf("%+v has an identity", c)
		}
	}
	if _, err := checkIdentity(make([]byte, 32), strings.NewReader("")); err == nil {
		t.Error("no identity was taken for one")
	}
}

// builtRPM is a package by rpmbuild, signed by the key of a home of gpg unless
// that is empty.
func builtRPM(t testing.TB, name, home string) []byte {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) {
		path, err := exec.LookPath(args[0])
		if err != nil {
			t.Skip(err)
		}
		cmd := exec.Command(path, args[1:]...)
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home, "HOME="+dir, "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	spec := "Name: " + name + "\nVersion: 1\nRelease: 1\nSummary: t\nLicense: MIT\nBuildArch: noarch\n%description\nt\n%install\nmkdir -p %{buildroot}\nhead -c 200000 /dev/urandom >%{buildroot}/f\n%files\n/f\n"
	if err := os.WriteFile(dir+"/p.spec", []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	run("rpmbuild", "--quiet", "-bb", "--define", "_topdir "+dir+"/top", "--define", "_rpmdir "+dir, dir+"/p.spec")
	file := dir + "/noarch/" + name + "-1-1.noarch.rpm"
	if home != "" {
		gpg, err := exec.LookPath("gpg")
		if err != nil {
			t.Skip(err)
		}
		run("rpmsign", "--define", "_gpg_name t@example.org", "--define", "__gpg "+gpg, "--addsign", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rpmHome is a home of gpg with a key, and that.
func rpmHome(t testing.TB) (home string, keys *rpm.Keyring) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "g")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	gpg := func(args ...string) []byte {
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("gpg: %v", err)
		}
		return out
	}
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg("--passphrase", "", "--quick-gen-key", "T <t@example.org>", "rsa2048", "sign", "0")
	keys, err := rpm.LoadKeys(gpg("--export", "--armor"))
	if err != nil {
		t.Fatal(err)
	}
	return home, keys
}

// A package that the index names is not served if its own signature, or what
// that vouches for, is not right.
func TestRPMPackagesAndTheirSignatures(t *testing.T) {
	home, keys := rpmHome(t)
	other, _ := rpmHome(t)
	signed := rpmFile{"signed", "1", "sha256", builtRPM(t, "signed", home)}
	weak := rpmFile{"weak", "1", "sha", builtRPM(t, "weak", home)}
	unknown := rpmFile{"unknown", "1", "sha256", builtRPM(t, "unknown", other)}
	unsigned := rpmFile{"unsigned", "1", "sha256", builtRPM(t, "unsigned", "")}
	changed := rpmFile{"changed", "1", "sha256", bytes.Clone(signed.data)}
	changed.data[len(changed.data)-1000]++
	all := []rpmFile{signed, weak, unknown, unsigned, changed}
	for _, required := range []bool{false, true} {
		o := newOrigin(t, rpmFiles("sha256", false, 100, all...))
		r := newRig(t, rpmAt(o, &RPM{Keys: keys, Required: required, Archive: "Fedora"}), nil)
		for _, p := range all {
			served := p.name == "signed" || p.name == "weak" || !required && p.name != "changed"
			resp, body, err := r.get("/fedora/" + rpmDir + p.location())
			if got := err == nil && resp.StatusCode == 200 && bytes.Equal(body, p.data); got != served || r.store.has(lockfile.DigestOf(p.data)) != served {
				t.Errorf("required %t: %s is served: %t", required, p.name, got)
			}
			seen := r.History(p.name, "", "")
			if known := len(seen) == 1 && seen[0].Digest == lockfile.DigestOf(p.data) && seen[0].Version == "1-1" && seen[0].Archive == "Fedora"; known != (p.name == "signed" || p.name == "weak") {
				t.Errorf("the history of %s: %+v", p.name, seen)
			}
		}
	}
}

func FuzzRPMRead(f *testing.F) {
	f.Add(string(rpmFiles("sha256", false, 1)[repomdPath]))
	f.Add(string(rpmFiles("sha512", true, 1)[repomdPath]))
	f.Fuzz(func(t *testing.T, text string) {
		set, err := (&RPM{}).Read(repomdPath, func(name string) ([]byte, error) {
			if name == repomdPath {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}, false)
		if err != nil {
			return
		}
		for _, file := range set.Files {
			for _, name := range append(file.fetchPaths(), file.Others...) {
				if lockfile.CheckPath(name) != nil || !strings.HasPrefix(name, rpmDir+"repodata/") {
					t.Errorf("a file lies at %q", name)
				}
			}
			if file.Digest.IsZero() || file.Size < -1 {
				t.Errorf("%+v", file)
			}
		}
	})
}
