package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pacmanKey makes pacman's own keyring out of the files with the real
// pacman-key, as of a day.
func pacmanKey(t *testing.T, day string, files map[string][]byte) *gpg {
	t.Helper()
	script, err := exec.LookPath("pacman-key")
	if err != nil {
		t.Skipf("no pacman-key here: %v", err)
	}
	g := newGPG(t)
	source, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	patched := filepath.Join(dir, "pacman-key")
	source = regexp.MustCompile(`KEYRING_IMPORT_DIR=\S+`).ReplaceAll(source, []byte("KEYRING_IMPORT_DIR='"+dir+"'"))
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(patched, source)
	write(filepath.Join(g.Home, "gpg.conf"), []byte("faked-system-time "+strings.ReplaceAll(day, "-", "")+"T120000!\n"))
	for _, args := range [][]string{{"--init"}, {"--populate"}} {
		cmd := exec.Command("bash", append([]string{patched, "--gpgdir", g.Home}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("pacman-key %s: %v\n%s", args, err, out)
		}
	}
	write(filepath.Join(g.Home, "gpg.conf"), nil)
	return g
}

// home are the files that LoadGnuPG reads.
func (g *gpg) homeFiles() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{"pubring.gpg", "pubring.kbx", "trustdb.gpg"} {
		if data, err := os.ReadFile(filepath.Join(g.Home, name)); err == nil {
			files[name] = data
		}
	}
	return files
}

// What gpg makes of the real keyring at a time is what this package makes of
// it, from the keyring package as well as from pacman's own.
func TestSameAsGPG(t *testing.T) {
	files := realFiles(t)
	g := pacmanKey(t, "2018-01-01", files)
	own, err := LoadGnuPG(g.homeFiles())
	if err != nil {
		t.Fatal(err)
	}
	shipped := load(t, files)
	if own.Len() != shipped.Len()+1 {
		t.Fatalf("%d keys and pacman's, %d are shipped", own.Len(), shipped.Len())
	}
	for _, day := range []string{"2018-01-01", "2018-06-30", "2019-06-01", "2020-06-01", "2022-01-01", "2026-01-01"} {
		g.run(day, "", "--check-trustdb")
		full := map[bool]int{}
		var primary []string
		for line := range strings.Lines(string(g.run(day, "", "--with-colons", "--list-keys"))) {
			f := strings.Split(line, ":")
			if f[0] == "pub" {
				primary = f
			}
			if f[0] != "fpr" || primary == nil {
				continue
			}
			want := (primary[1] == "f" || primary[1] == "u") && !strings.Contains(primary[11], "D")
			full[want]++
			for name, k := range map[string]*Keyring{"pacman's": own, "the distribution's": shipped} {
				c := k.certs[f[9]]
				if c == nil && (name == "pacman's" || primary[1] != "u") {
					t.Errorf("%s has no %s", name, f[9])
				}
				if c == nil {
					continue
				}
				if got := k.validAt(c, noon(day)); got != want {
					t.Errorf("%s, %s keyring: %s %s is valid: %t; gpg says %s %s", day, name, f[9], c.name(), got, primary[1], primary[11])
				}
			}
			primary = nil
		}
		t.Logf("%s: %d of %d keys are valid", day, full[true], full[true]+full[false])
	}
}

func (k *Keyring) validAt(c *certificate, at time.Time) bool {
	if k.state(c, at) != nil {
		return false
	}
	_, ok := k.trusted(c, at, 0)
	return ok
}
