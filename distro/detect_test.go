package distro_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// A family is a Distro of which only the traits are asked.
type family struct {
	distro.Distro
	traits distro.Traits
}

func (f family) Traits() distro.Traits { return f.traits }

var families = []distro.Distro{
	family{traits: distro.Traits{Family: "red", IDs: []string{"red", "crimson"}, State: []string{"var/red/state", "var/red/state.d"}, Suffixes: []string{".red"}}},
	family{traits: distro.Traits{Family: "blue", IDs: []string{"blue"}, State: []string{"lib/blue"}, Suffixes: []string{".blue"}}},
}

// root makes a directory of files ("name": content) and links ("name": "-> target").
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDetect(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string // the family, or words of the error
	}{
		"by state":           {map[string]string{"var/red/state": "x"}, "red"},
		"by state directory": {map[string]string{"var/red/state.d/x": "x"}, "red"},
		"state and name":     {map[string]string{"lib/blue": "x", "etc/os-release": "ID=blue\n"}, "blue"},
		"two states, a name": {map[string]string{"var/red/state": "x", "lib/blue": "x", "etc/os-release": "ID=pink\nID_LIKE=\"rose crimson\"\n"}, "red"},
		"two states":         {map[string]string{"var/red/state": "x", "lib/blue": "x"}, "more than one family"},
		"state beats name":   {map[string]string{"var/red/state": "x", "etc/os-release": "ID=blue\n"}, "red"},
		"name alone":         {map[string]string{"etc/os-release": "ID=blue\n"}, "no package state"},
		"empty":              {nil, "no packages of a known"},
		"linked state":       {map[string]string{"lib/blue": "-> /usr/lib/blue", "usr/lib/blue": "x"}, "blue"},
		"escaping state":     {map[string]string{"lib/blue": "-> ../../../../../../etc/passwd"}, "no packages of a known"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := distro.Detect(root(t, tt.files), families)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = d.Traits().Family
			}
			if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := distro.Detect(filepath.Join(t.TempDir(), "absent"), families); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent root: %v", err)
	}
}

func TestReadOSRelease(t *testing.T) {
	text := "# comment\nID=pop\nID_LIKE=\"ubuntu debian\"\nVERSION_ID='22.04'\nPRETTY_NAME=\"Pop\\\"!\\\"\"\nVERSION_CODENAME=jammy\nnonsense\n"
	want := distro.OSRelease{ID: "pop", IDLike: []string{"ubuntu", "debian"}, VersionID: "22.04", Codename: "jammy"}
	for name, files := range map[string]map[string]string{
		"etc":           {"etc/os-release": text},
		"usr":           {"usr/lib/os-release": text},
		"relative link": {"etc/os-release": "-> ../usr/lib/os-release", "usr/lib/os-release": text},
		"absolute link": {"etc/os-release": "-> /usr/share/name", "usr/share/name": text},
		"dangling link": {"etc/os-release": "-> /nowhere", "usr/lib/os-release": text},
	} {
		got, err := distro.ReadOSRelease(root(t, files))
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := distro.ReadOSRelease(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	for _, tt := range []struct {
		r    distro.OSRelease
		want string
	}{
		{distro.OSRelease{VersionID: "12", Codename: "bookworm"}, "12"},
		{distro.OSRelease{Codename: "sid"}, "sid"},
		{distro.OSRelease{}, "-"},
	} {
		if got := tt.r.Version(); got != tt.want {
			t.Errorf("the version of %+v is %q", tt.r, got)
		}
	}
}

func TestByLockAndPath(t *testing.T) {
	for want, l := range map[string]*lockfile.Lock{
		"red":  {System: lockfile.System{Distro: "crimson"}},
		"blue": {System: lockfile.System{Distro: "unknown"}, Entries: []lockfile.Entry{{Path: "README"}, {Path: "pool/x.blue"}}},
	} {
		if d := distro.ByLock(l, families); d == nil || d.Traits().Family != want {
			t.Errorf("%s: %v", want, d)
		}
	}
	if d := distro.ByLock(&lockfile.Lock{}, families); d != nil {
		t.Errorf("an empty lock is of %v", d.Traits().Family)
	}
	if d := distro.ByPath("x.red.txt", families); d != nil {
		t.Errorf("x.red.txt is of %v", d.Traits().Family)
	}
}
