package mirror

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

func TestAlpineKeysAreThoseOfTheRelease(t *testing.T) {
	files := AlpineKeys()
	keys, err := apk.NewKeys(files)
	if err != nil || len(keys.Names()) != 17 {
		t.Fatal(len(keys.Names()), err)
	}
	for name, text := range files {
		if want, err := os.ReadFile(sharedData(t, "alpine/keys", name)); err != nil || !bytes.Equal(want, text) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// The real indexes are read, dated by what is signed of them, and every package
// at hand passes the check of what they say.
func TestAlpineReadsRealRepositories(t *testing.T) {
	keys, err := apk.NewKeys(AlpineKeys())
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]struct {
		date string
		n    int
	}{
		"iso-3.19.1/x86_64":               {"2023-12-27T12:33:10Z", 100},
		"mirror/v3.19/main/x86_64":        {"2024-06-18T15:36:36Z", 5443},
		"rpi-3.13.4-aarch64/apks/aarch64": {"2021-03-31T16:52:49Z", 65},
	} {
		a := &Alpine{Keys: keys, Archive: "Alpine"}
		base := sharedData(t, "alpine", dir)
		root := "v3.19/main/" + filepath.Base(dir) + "/" + apkIndex
		set, err := a.Read(root, func(string) ([]byte, error) { return os.ReadFile(filepath.Join(base, apkIndex)) }, false)
		if err != nil {
			t.Fatal(err)
		}
		f := set.Files[0]
		if got := set.Date.Format(time.RFC3339); got != want.date || !set.Signed || set.Archive != "Alpine" || f.Arch != filepath.Base(dir) || f.Component != "main" {
			t.Errorf("%s: %s, %+v", dir, got, set)
		}
		index, err := os.Open(filepath.Join(base, apkIndex))
		if err != nil {
			t.Fatal(err)
		}
		defer index.Close()
		n, checked := 0, 0
		err = a.Packages(f, index, func(p Package) error {
			n++
			file, err := os.Open(filepath.Join(base, filepath.Base(p.Path)))
			if err != nil {
				return nil
			}
			defer file.Close()
			var padded [32]byte
			copy(padded[:], p.Identity)
			info, err := file.Stat()
			if err != nil || p.Size != info.Size() {
				t.Errorf("%s has %d bytes: %v", p.Path, p.Size, err)
			}
			got, err := a.Check(Package{Path: p.Path, Identity: padded[:]}, nil, file)
			if err != nil || got.Name != p.Name || got.Version != p.Version {
				t.Errorf("%s: %+v, %v", p.Path, got, err)
			}
			checked++
			return nil
		})
		if err != nil || n != want.n || checked < 60 {
			t.Errorf("%s: %d packages, %d checked, %v", dir, n, checked, err)
		}
	}
}

// Indexes of apk 3 lead to packages of both kinds, wherever they say.
func TestAlpineReadsIndexesOfApk3(t *testing.T) {
	dir := "../../distro/alpine/apk/testdata/v3/"
	for index, want := range map[string]string{
		"sha256.adb": "x/y/x86_64/hello-1.0_p2-r3.apk",
		"short.adb":  "x/y/x86_64/hel/hello-1.0_p2-r3.apk",
	} {
		data, err := os.ReadFile(dir + index)
		if err != nil {
			t.Fatal(err)
		}
		a := &Alpine{}
		set, err := a.Read("x/y/x86_64/"+adbIndex, func(string) ([]byte, error) { return data, nil }, false)
		if err != nil || set.Signed || !set.Date.IsZero() {
			t.Fatal(set, err)
		}
		found := false
		err = a.Packages(set.Files[0], bytes.NewReader(data), func(p Package) error {
			if p.Path != want {
				return nil
			}
			found = true
			hello, err := os.ReadFile(dir + "hello-1.0_p2-r3.apk")
			if err != nil {
				return err
			}
			var padded [32]byte
			copy(padded[:], p.Identity)
			if got, err := a.Check(Package{Path: p.Path, Identity: padded[:]}, nil, bytes.NewReader(hello)); err != nil || got.Name != "hello" {
				t.Errorf("%s: %+v, %v", index, got, err)
			}
			other, err := os.ReadFile(dir + "meta-1-r0.apk")
			if err != nil {
				return err
			}
			if _, err := a.Check(Package{Path: p.Path, Identity: padded[:]}, nil, bytes.NewReader(other)); err == nil {
				t.Error("another package was taken for it")
			}
			return nil
		})
		if err != nil || !found {
			t.Errorf("%s names no %s: %v", index, want, err)
		}
	}
}

func TestAlpinePaths(t *testing.T) {
	rec := &apk.Record{Name: "abcd", Version: "1", Arch: "noarch", Identity: []byte{0xab}}
	for _, c := range []struct{ dir, form, want string }{
		{"m/x86_64/", "", "m/x86_64/abcd-1.apk m/noarch/abcd-1.apk"},
		{"m/noarch/", "", "m/noarch/abcd-1.apk"},
		{"", "", "abcd-1.apk"},
		{"m/x86_64/", "${arch}/${name}-${version}.apk", "m/x86_64/noarch/abcd-1.apk m/noarch/abcd-1.apk"},
		{"m/noarch/", "${arch}/${name}.apk", "m/noarch/abcd.apk"},
		{"", "${name:9}.${hash:1}", "abcd.a"},
	} {
		if got := strings.Join(apkPaths(c.dir, c.form, rec), " "); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestAlpineServesWhatItsKeysSigned(t *testing.T) {
	small, large := newAPK("small", "1-r0", 100, ""), newAPK("large", "2-r0", 1<<20, "")
	files := alpineFiles(t, at(0), small, large)
	o := newOrigin(t, files)
	r := newRig(t, alpineAt(t, o), func(c *Config) { c.Fresh = 1 })
	index := "/alpine/" + alpineDir + apkIndex
	for range 2 {
		// A client with an index of its own comes first.
		r.want("/alpine/"+alpineDir+large.name, 200, large.data)
		r.want(index, 200, files[alpineDir+apkIndex])
		r.want("/alpine/"+alpineDir+small.name, 200, small.data)
		r.restart()
	}
	for _, name := range []string{small.name, large.name} {
		if n := o.count(alpineDir + name); n != 1 {
			t.Errorf("%d requests upstream for %s", n, name)
		}
	}
	seen := r.History("large", "", "")
	if len(seen) != 1 || seen[0].Digest != lockfile.DigestOf(large.data) || seen[0].Arch != "x86_64" || seen[0].Archive != "Alpine" || seen[0].Size != int64(len(large.data)) {
		t.Errorf("the history: %+v", seen)
	}
	r.want("/blob/sha256/"+lockfile.DigestOf(large.data).String(), 200, large.data)

	forged := bytes.Clone(files[alpineDir+apkIndex])
	forged[len(forged)-1]++
	for name, bad := range map[string][]byte{
		"older":      signedIndex(t, at(-1), small),
		"forged":     forged,
		"unsigned":   member(false, at(1), [2]string{"DESCRIPTION", "t"}, [2]string{"APKINDEX", small.record}),
		"cut short":  signedIndex(t, at(1), small)[:300],
		"not at all": []byte("<html>"),
	} {
		o.set(map[string][]byte{alpineDir + apkIndex: bad})
		r.Refresh(context.Background())
		resp := r.want(index, 200, files[alpineDir+apkIndex])
		if w := resp.Header.Values("Warning"); len(w) != 2 || !strings.HasPrefix(w[0], "110") {
			t.Errorf("%s: %q", name, w)
		}
		if r.store.has(lockfile.DigestOf(bad)) {
			t.Errorf("%s: the index is kept", name)
		}
		r.restart() // what failed is not asked again for some seconds
	}
}

// A package with another control segment, with other data, or without an end
// is not kept, and nobody is given it as good.
func TestAlpineRefusesOtherPackages(t *testing.T) {
	good := newAPK("p", "1-r0", 200<<10, "")
	other := newAPK("p", "1-r0", 200<<10, "other")
	data := bytes.Clone(good.data)
	data[len(data)-100]++
	for name, bad := range map[string][]byte{"another build": other.data, "other data": data, "cut short": good.data[:len(good.data)/2]} {
		files := alpineFiles(t, at(0), good)
		files[alpineDir+good.name] = bad
		o := newOrigin(t, files)
		r := newRig(t, alpineAt(t, o), nil)
		if resp, body, err := r.get("/alpine/" + alpineDir + good.name); err == nil && resp.StatusCode == http.StatusOK {
			t.Errorf("%s: %d bytes were served as good", name, len(body))
		}
		if r.store.has(lockfile.DigestOf(bad)) || len(r.History("p", "", "")) > 0 {
			t.Errorf("%s: it is kept", name)
		}
		o.set(alpineFiles(t, at(0), good))
		r.want("/alpine/"+alpineDir+good.name, 200, good.data)
	}
}

// What is fetched after a state was frozen stays with it, also under a budget.
func TestAlpineFrozenPackagesAreNotEvicted(t *testing.T) {
	a, b := newAPK("a", "1-r0", 300_000, "a"), newAPK("b", "1-r0", 300_000, "b")
	o := newOrigin(t, alpineFiles(t, at(0), a))
	r := newRig(t, alpineAt(t, o), func(c *Config) { c.Budget, c.Fresh = 1, 1 })
	index := "/alpine/" + alpineDir + apkIndex
	r.want(index, 200, nil)
	snap, err := r.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r.want("/alpine/"+alpineDir+a.name, 200, a.data)
	o.set(alpineFiles(t, at(1), a, b))
	if err := r.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.want(index, 200, nil)
	r.want("/alpine/"+alpineDir+b.name, 200, b.data)
	pruned, err := r.Evict(context.Background())
	if err != nil || len(pruned.Blobs) != 1 || pruned.Blobs[0].Digest != lockfile.DigestOf(b.data) {
		t.Errorf("%+v, %v: what upstream still has goes, and nothing else", pruned, err)
	}
	o.set(nil)
	r.want("/snapshot/"+snap.Time.Format(timestampForm)+"/alpine/"+alpineDir+a.name, 200, a.data)
}

// Branches have builds of their own under one version. Another file at the same
// path is told of.
func TestAlpineTellsOfAnotherFileAtAPath(t *testing.T) {
	one, two := newAPK("p", "1-r0", 1000, "one"), newAPK("p", "1-r0", 1000, "two")
	files := alpineFiles(t, at(0), one)
	edge := strings.Replace(alpineDir, "v3.20", "edge", 1)
	files[edge+apkIndex], files[edge+two.name] = signedIndex(t, at(0), two), two.data
	o := newOrigin(t, files)
	r := newRig(t, alpineAt(t, o), func(c *Config) { c.Fresh = 1 })
	r.want("/alpine/"+alpineDir+one.name, 200, one.data)
	r.want("/alpine/"+edge+two.name, 200, two.data)
	r.waitIndexed()
	if n := r.Metrics().Changed; n != 0 {
		t.Errorf("%d changes are told of two branches", n)
	}
	o.set(alpineFiles(t, at(1), two))
	r.want("/alpine/"+alpineDir+apkIndex, 200, nil)
	r.want("/alpine/"+alpineDir+two.name, 200, two.data)
	r.waitIndexed()
	if n := r.Metrics().Changed; n != 1 {
		t.Errorf("%d changes are told of a path with another file", n)
	}
}

// The date is that of what is signed, not of the signature.
func TestIndexDate(t *testing.T) {
	signature := func(cut bool) []byte { return member(cut, at(9), [2]string{".SIGN.RSA.x", "s"}) }
	for name, c := range map[string]struct {
		data []byte
		want time.Time
	}{
		"signed":              {signedIndex(t, at(0)), at(0).UTC()},
		"signed twice":        {slices.Concat(signature(true), signature(false), member(false, at(1), [2]string{"APKINDEX", ""})), at(1).UTC()},
		"unsigned":            {member(false, at(2), [2]string{"APKINDEX", ""}), at(2).UTC()},
		"made reproducibly":   {member(false, time.Unix(0, 0), [2]string{"APKINDEX", ""}), time.Time{}},
		"signatures alone":    {signature(true), time.Time{}},
		"an index of apk 3":   {[]byte("ADB."), time.Time{}},
		"nothing":             {nil, time.Time{}},
		"a tar without files": {member(false, at(0)), time.Time{}},
	} {
		if got := indexDate(c.data); !got.Equal(c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzIndexDate(f *testing.F) {
	f.Add(member(false, at(0), [2]string{"DESCRIPTION", "t"}))
	f.Add(slices.Concat(member(true, at(1), [2]string{".SIGN.RSA.x", "s"}), member(false, at(0), [2]string{"APKINDEX", ""})))
	f.Add(slices.Concat(member(false, at(1), [2]string{".SIGN.RSA.x", "s"}), member(false, time.Unix(0, 0), [2]string{"APKINDEX", ""})))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d := indexDate(data); !d.IsZero() && d.Unix() <= 0 {
			t.Error(d)
		}
	})
}
