package mirror

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// warmArchive is an archive that nobody signed, of two components for two
// architectures, with one package in each.
func warmArchive() map[string][]byte {
	files := map[string][]byte{}
	release := "Origin: Many\nLabel: Many\nSuite: x\nCodename: x\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64 arm64\nComponents: main contrib\nSHA256:\n"
	for _, component := range []string{"main", "contrib"} {
		for _, arch := range []string{"amd64", "arm64"} {
			path := "pool/" + component + "/p_1_" + arch + ".deb"
			files[path] = bytes.Repeat([]byte(component+arch), 20_000)
			index := fmt.Appendf(nil, "Package: p-%s\nVersion: 1\nArchitecture: %s\nFilename: %s\nSize: %d\nSHA256: %s\n\n", component, arch, path, len(files[path]), lockfile.DigestOf(files[path]))
			name := component + "/binary-" + arch + "/Packages"
			files["dists/x/"+name] = index
			release += fmt.Sprintf(" %s %d %s\n", lockfile.DigestOf(index), len(index), name)
		}
	}
	files["dists/x/Release"] = []byte(release)
	return files
}

func newWarmRig(t *testing.T) (map[string][]byte, *origin, *rig, string) {
	t.Helper()
	files := warmArchive()
	o := newOrigin(t, files)
	r := newRig(t, debianAt(o, nil), nil)
	r.want("/debian/dists/x/Release", 200, files["dists/x/Release"])
	snap, err := r.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files, o, r, snap.Time.Format(timestampForm)
}

// Of a frozen state that is fetched which is wanted, and nothing else is asked
// of upstream; what is there is not fetched again.
func TestWarmTakesWhatIsChosen(t *testing.T) {
	for _, c := range []struct {
		architectures, components, want []string
	}{
		{[]string{"amd64"}, []string{"main"}, []string{"main/p_1_amd64"}},
		{[]string{"amd64", "arm64"}, []string{"contrib"}, []string{"contrib/p_1_amd64", "contrib/p_1_arm64"}},
		{nil, []string{"main"}, []string{"main/p_1_amd64", "main/p_1_arm64"}},
		{[]string{"arm64"}, nil, []string{"contrib/p_1_arm64", "main/p_1_arm64"}},
		{nil, nil, []string{"contrib/p_1_amd64", "contrib/p_1_arm64", "main/p_1_amd64", "main/p_1_arm64"}},
		{[]string{"riscv64"}, nil, nil},
	} {
		files, o, r, stamp := newWarmRig(t)
		n := int64(len(c.want))
		if w, err := r.Warm(t.Context(), stamp, Choice{Architectures: c.architectures, Components: c.components}); err != nil || w.Files != n || w.Fetched != n || w.Failed != 0 || w.Bytes == 0 != (n == 0) {
			t.Errorf("%v %v: %+v, %v", c.architectures, c.components, w, err)
		}
		if w, err := r.Warm(t.Context(), stamp, Choice{Architectures: c.architectures, Components: c.components}); err != nil || w.Files != n || w.Fetched != 0 {
			t.Errorf("%v %v, again: %+v, %v", c.architectures, c.components, w, err)
		}
		var got []string
		for path, asked := range o.asked {
			if name, ok := strings.CutPrefix(path, "pool/"); ok {
				got = append(got, strings.TrimSuffix(name, ".deb"))
				if asked != 1 {
					t.Errorf("%s was asked for %d times", path, asked)
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%v %v: %q were fetched, want %q", c.architectures, c.components, got, c.want)
		}
		o.set(nil)
		for _, name := range c.want {
			path := "pool/" + name + ".deb"
			r.want("/snapshot/"+stamp+"/debian/"+path, 200, files[path])
		}
	}
}

// What cannot be had is told by its name, and the rest comes.
func TestWarmGoesOn(t *testing.T) {
	files, o, r, stamp := newWarmRig(t)
	const lost, bad = "pool/main/p_1_arm64.deb", "pool/contrib/p_1_amd64.deb"
	o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, data []byte) bool {
		switch path {
		case lost:
			http.NotFound(w, nil)
		case bad:
			_, _ = w.Write(bytes.ToUpper(data))
		default:
			return false
		}
		return true
	})
	w, err := r.Warm(t.Context(), stamp, Choice{})
	if w.Files != 2 || w.Fetched != 2 || w.Failed != 2 || err == nil || !strings.Contains(err.Error(), lost) || !strings.Contains(err.Error(), bad) {
		t.Errorf("%+v, %v", w, err)
	}
	o.setMood(nil)
	if w, err := r.Warm(t.Context(), stamp, Choice{}); err != nil || w.Files != 4 || w.Fetched != 2 {
		t.Errorf("%+v, %v", w, err)
	}
	r.want("/debian/"+bad, 200, files[bad])
	for _, wrong := range []string{"20200101T000000Z", "yesterday", ""} {
		if _, err := r.Warm(t.Context(), wrong, Choice{}); !missing(err) {
			t.Errorf("warmed %q: %v", wrong, err)
		}
	}
}

// The files of a lock are found by what indexes named, and failing that at
// their paths in any archive.
func TestWarmOfALock(t *testing.T) {
	files, o, r, _ := newWarmRig(t)
	unnamed := []byte("what no index names")
	files["pool/main/old_1_amd64.deb"] = unnamed
	entry := func(path string, data []byte) lockfile.Entry {
		return lockfile.Entry{Path: path, Digest: lockfile.DigestOf(data)}
	}
	lock := &lockfile.Lock{Entries: []lockfile.Entry{
		entry("pool/main/p_1_amd64.deb", files["pool/main/p_1_amd64.deb"]),
		entry("pool/main/old_1_amd64.deb", unnamed),
		entry("pool/main/p_1_arm64.deb", []byte("another file than is there")),
	}}
	w, err := r.WarmLock(t.Context(), lock)
	if w.Files != 2 || w.Failed != 1 || err == nil || !strings.Contains(err.Error(), "p_1_arm64") {
		t.Errorf("%+v, %v", w, err)
	}
	o.Close()
	for _, e := range lock.Entries[:2] {
		r.want("/blob/sha256/"+e.Digest.String(), 200, nil)
	}
}
