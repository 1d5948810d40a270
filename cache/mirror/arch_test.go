package mirror

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/distro/arch/trust/trusttest"
	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

// packagers returns two people with a key each, of whom the keyring has the
// first.
func packagers(t testing.TB) [2]*trusttest.Signer {
	makePackagers.Do(func() {
		madePackagers = [2]*trusttest.Signer{trusttest.NewSigner(t, "known"), trusttest.NewSigner(t, "unknown")}
	})
	return madePackagers
}

var (
	makePackagers sync.Once
	madePackagers [2]*trusttest.Signer
)

func archKeys(t testing.TB) *trust.Keyring {
	t.Helper()
	k, err := trust.Load(map[string][]byte{"t.gpg": packagers(t)[0].Public(t)})
	if err != nil {
		t.Fatal(err)
	}
	return k.TrustAll()
}

// A pacmanFile is a package with its signature.
type pacmanFile struct {
	name, version   string
	data, signature []byte
	embedded        bool // the database has the signature too
}

func (p pacmanFile) file() string { return p.name + "-" + p.version + "-any.pkg.tar.zst" }

// newPacmanFile makes one that the first packager signed.
func newPacmanFile(t testing.TB, name, version string, size int) pacmanFile {
	data := bytes.Repeat([]byte(name+version), size/len(name+version)+1)
	return pacmanFile{name, version, data, packagers(t)[0].Sign(t, data), true}
}

const archDir = "core/os/x86_64/"

// archFiles are a repository's files at an origin; compress is one of
// decompress.Endings.
func archFiles(compress string, packages ...pacmanFile) map[string][]byte {
	var plain, db bytes.Buffer
	files := map[string][]byte{}
	w := tar.NewWriter(&plain)
	for _, p := range packages {
		desc := fmt.Sprintf("%%FILENAME%%\n%s\n\n%%NAME%%\n%s\n\n%%VERSION%%\n%s\n\n%%CSIZE%%\n%d\n\n%%SHA256SUM%%\n%s\n\n%%ARCH%%\nany\n\n",
			p.file(), p.name, p.version, len(p.data), lockfile.DigestOf(p.data))
		if p.embedded {
			desc += "%PGPSIG%\n" + base64.StdEncoding.EncodeToString(p.signature) + "\n\n"
		}
		_ = w.WriteHeader(&tar.Header{Name: p.name + "-" + p.version + "/desc", Mode: 0o644, Size: int64(len(desc)), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(desc))
		files[archDir+p.file()], files[archDir+p.file()+".sig"] = p.data, p.signature
	}
	_ = w.Close()
	switch compress {
	case ".zst":
		z, _ := zstd.NewWriter(&db)
		_, _ = z.Write(plain.Bytes())
		_ = z.Close()
	case ".gz":
		z := gzip.NewWriter(&db)
		_, _ = z.Write(plain.Bytes())
		_ = z.Close()
	default:
		db = plain
	}
	files[archDir+"core.db"], files[archDir+"core.files"] = db.Bytes(), db.Bytes()
	return files
}

func archAt(o *origin, format *Arch) Upstream {
	return Upstream{Prefix: "archlinux", URLs: []string{o.URL + "/debian"}, Format: format}
}

func TestArchRoots(t *testing.T) {
	for name, want := range map[string]string{
		"core/os/x86_64/core.db":                     "core/os/x86_64/core.db true",
		"core/os/x86_64/core.db.sig":                 "core/os/x86_64/core.db true",
		"core/os/x86_64/core.files.tar.zst":          "core/os/x86_64/core.files.tar.zst true",
		"core/os/x86_64/a-1:2-3-any.pkg.tar.zst":     "core/os/x86_64/core.db core/os/x86_64/x86_64.db false",
		"manjaro/x/x86_64/a-1-1-any.pkg.tar.xz.sig":  "manjaro/x/x86_64/x.db manjaro/x/x86_64/x86_64.db false",
		"a-1-1-any.pkg.tar.xz":                       " false",
		"lastupdate":                                 " false",
		"iso/latest/archlinux-x86_64.iso":            " false",
		"core/os/x86_64/pacman.db-3-1-x.pkg.tar.zst": "core/os/x86_64/core.db core/os/x86_64/x86_64.db false",
	} {
		roots, begins := (&Arch{}).Roots(name)
		if got := fmt.Sprint(strings.Join(roots, " "), " ", begins); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The real databases are read in full, and their signatures with them.
func TestArchReadsRealDatabases(t *testing.T) {
	for dir, want := range map[string]int{"2017-12-x86_64/sync/core.db": 226, "local-2026-03-x86_64/var/lib/pacman/sync/core.db": 295} {
		data, err := os.ReadFile(sharedData(t, "arch", dir))
		if err != nil {
			t.Fatal(err)
		}
		a := &Arch{Archive: "Arch-Linux"}
		set, err := a.Read(archDir+"core.db", func(name string) ([]byte, error) {
			if strings.HasSuffix(name, ".sig") {
				return nil, os.ErrNotExist
			}
			return data, nil
		}, false)
		if err != nil || set.Signed || set.Archive != "Arch-Linux" || len(set.Files) != 1 {
			t.Fatal(set, err)
		}
		packages, signatures := 0, 0
		err = a.Packages(set.Files[0], bytes.NewReader(data), func(p Package) error {
			if strings.HasSuffix(p.Path, ".sig") && !p.Digest.IsZero() && p.Optional {
				signatures++
			} else if p.Name != "" && p.Size > 0 && !p.Digest.IsZero() {
				packages++
			}
			return nil
		})
		if err != nil || packages != want || signatures != want {
			t.Errorf("%s: %d packages, %d signatures, %v", dir, packages, signatures, err)
		}
	}
}

func TestArchServesDatabasesOfEveryForm(t *testing.T) {
	for _, compress := range []string{"", ".gz", ".zst"} {
		if !slices.Contains(decompress.Endings, compress) {
			t.Fatal(compress)
		}
		one, two := newPacmanFile(t, "one", "1:1-1", 1000), newPacmanFile(t, "two", "2-1", 1<<20)
		two.embedded = false
		files := archFiles(compress, one, two)
		o := newOrigin(t, files)
		r := newRig(t, archAt(o, &Arch{Keys: archKeys(t), Archive: "Arch-Linux"}), nil)
		for range 2 {
			for _, name := range []string{archDir + one.file(), archDir + "core.db", archDir + two.file() + ".sig", archDir + two.file(), archDir + one.file() + ".sig", archDir + "core.files"} {
				r.want("/archlinux/"+name, 200, files[name])
				r.want("/archlinux/"+strings.ReplaceAll(name, ":", "%3A"), 200, files[name])
			}
			r.want("/archlinux/"+archDir+"core.db.sig", 404, nil)
			r.restart()
		}
		for name := range files {
			if n := o.count(name); n != 1 && !strings.Contains(name, "/core.") {
				t.Errorf("%d requests upstream for %s", n, name)
			}
		}
		for _, p := range []pacmanFile{one, two} {
			seen := r.History(p.name, "", "")
			if len(seen) != 1 || seen[0].Digest != lockfile.DigestOf(p.data) || seen[0].Version != p.version || seen[0].Archive != "Arch-Linux" || seen[0].Arch != "any" {
				t.Errorf("the history: %+v", seen)
			}
		}
		if m := r.Metrics(); m.Passed != 0 {
			t.Errorf("%d files were passed on unchecked", m.Passed)
		}
	}
}

// What was signed by a key that is not known is served, as clients may know it,
// unless keys are asked for; what is signed badly is not.
func TestArchPackagesAndTheirSignatures(t *testing.T) {
	unknown := newPacmanFile(t, "unknown", "1-1", 1000)
	unknown.signature = packagers(t)[1].Sign(t, unknown.data)
	bad := newPacmanFile(t, "bad", "1-1", 200_000)
	bad.signature = packagers(t)[0].Sign(t, []byte("something else"))
	garbage := newPacmanFile(t, "garbage", "1-1", 1000)
	garbage.signature, garbage.embedded = []byte("<html>not found</html>"), false
	unsigned := newPacmanFile(t, "unsigned", "1-1", 1000)
	unsigned.embedded = false
	files := archFiles(".zst", unknown, bad, garbage, unsigned)
	delete(files, archDir+unsigned.file()+".sig")
	for _, required := range []bool{false, true} {
		o := newOrigin(t, files)
		r := newRig(t, archAt(o, &Arch{Keys: archKeys(t), Required: required}), nil)
		for _, p := range []pacmanFile{unknown, bad, garbage, unsigned} {
			served := p.name != "bad" && !required
			resp, body, err := r.get("/archlinux/" + archDir + p.file())
			if got := err == nil && resp.StatusCode == 200 && bytes.Equal(body, p.data); got != served || r.store.has(lockfile.DigestOf(p.data)) != served {
				t.Errorf("required %t: %s is served: %t", required, p.name, got)
			}
			if len(r.History(p.name, "", "")) > 0 {
				t.Errorf("%s is in the history", p.name)
			}
		}
		r.want("/archlinux/"+archDir+garbage.file()+".sig", 404, nil)
		r.want("/archlinux/"+archDir+unknown.file()+".sig", 200, unknown.signature)
	}
}

// A database that is signed must be signed well, and vouches for packages that
// are not. It may be replaced while it is asked for.
func TestArchSignedDatabases(t *testing.T) {
	var states []map[string][]byte
	for _, version := range []string{"1-1", "2-1"} {
		p := newPacmanFile(t, "p", version, 1000)
		p.embedded = false
		files := archFiles(".gz", p)
		delete(files, archDir+p.file()+".sig")
		files[archDir+"core.db.sig"] = packagers(t)[0].Sign(t, files[archDir+"core.db"])
		states = append(states, files)
	}
	o := newOrigin(t, states[0])
	r := newRig(t, archAt(o, &Arch{Keys: archKeys(t), Required: true}), func(c *Config) { c.Fresh = 1 })
	const db = "/archlinux/" + archDir + "core.db"
	r.want(db, 200, states[0][archDir+"core.db"])
	r.want(db+".sig", 200, states[0][archDir+"core.db.sig"])
	r.want("/archlinux/"+archDir+"p-1-1-any.pkg.tar.zst", 200, nil)
	if seen := r.History("p", "", ""); len(seen) != 1 {
		t.Errorf("the history: %+v", seen)
	}
	// The signature is that of the next state the first time.
	o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, _ []byte) bool {
		if path == archDir+"core.db.sig" {
			o.set(states[1])
			_, _ = w.Write(states[1][path])
			return true
		}
		return false
	})
	resp := r.want(db, 200, states[1][archDir+"core.db"])
	if w := resp.Header.Values("Warning"); len(w) > 0 {
		t.Error(w)
	}
	r.want(db+".sig", 200, states[1][archDir+"core.db.sig"])
	o.setMood(nil)
	o.set(map[string][]byte{archDir + "core.db": states[0][archDir+"core.db"], archDir + "core.db.sig": states[1][archDir+"core.db.sig"]})
	resp = r.want(db, 200, states[1][archDir+"core.db"])
	if w := strings.Join(resp.Header.Values("Warning"), " "); !strings.Contains(w, "does not match the data") {
		t.Error(w)
	}
}

// A database that nobody signs is not replaced by what is none.
func TestArchRefusesWhatIsNoDatabase(t *testing.T) {
	p := newPacmanFile(t, "p", "1-1", 1000)
	files := archFiles(".gz", p)
	good := files[archDir+"core.db"]
	for name, bad := range map[string][]byte{"nothing": {}, "a page": []byte("<html><body>Please log in</body></html>"), "half": good[:len(good)/2], "a changed byte": append(bytes.Clone(good[:40]), append([]byte{good[40] ^ 1}, good[41:]...)...)} {
		o := newOrigin(t, files)
		r := newRig(t, archAt(o, &Arch{}), func(c *Config) { c.Fresh = 1 })
		r.want("/archlinux/"+archDir+"core.db", 200, good)
		o.set(map[string][]byte{archDir + "core.db": bad})
		if err := r.Refresh(context.Background()); err == nil {
			t.Errorf("%s was taken for a database", name)
		}
		resp := r.want("/archlinux/"+archDir+"core.db", 200, good)
		if len(resp.Header.Values("Warning")) != 2 {
			t.Errorf("%s: %v", name, resp.Header)
		}
	}
}

// A repository without signatures can be fetched whole, and serves a frozen
// state with those that it has.
func TestArchWarmsWithoutSignatures(t *testing.T) {
	unsigned, signed := newPacmanFile(t, "unsigned", "1-1", 1000), newPacmanFile(t, "signed", "1-1", 1000)
	unsigned.embedded, signed.embedded = false, false
	files := archFiles(".gz", unsigned, signed)
	delete(files, archDir+unsigned.file()+".sig")
	o := newOrigin(t, files)
	r := newRig(t, archAt(o, &Arch{}), nil)
	r.want("/archlinux/"+archDir+"core.db", 200, nil)
	snap, err := r.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stamp := snap.Time.Format(timestampForm)
	if w, err := r.Warm(context.Background(), stamp, Choice{Architectures: []string{"x86_64"}, Components: []string{"core"}}); err != nil || w.Files != 3 || w.Failed != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	o.set(nil)
	for _, name := range []string{"core.db", unsigned.file(), signed.file(), signed.file() + ".sig"} {
		r.want("/snapshot/"+stamp+"/archlinux/"+archDir+name, 200, files[archDir+name])
	}
	r.want("/snapshot/"+stamp+"/archlinux/"+archDir+unsigned.file()+".sig", 404, nil)
}

func FuzzArchRoots(f *testing.F) {
	f.Add("core/os/x86_64/core.db.sig")
	f.Add("a/b/c-1-1-any.pkg.tar.zst")
	f.Add(".db")
	f.Fuzz(func(t *testing.T, name string) {
		if lockfile.CheckPath(name) != nil {
			return
		}
		roots, begins := (&Arch{}).Roots(name)
		for _, r := range roots {
			again, itself := (&Arch{}).Roots(r)
			if lockfile.CheckPath(r) != nil || !itself || len(again) != 1 || again[0] != r {
				t.Errorf("%q has the root %q, which is none", name, r)
			}
		}
		if begins && len(roots) != 1 {
			t.Errorf("%q: %q", name, roots)
		}
	})
}
