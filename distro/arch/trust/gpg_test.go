package trust

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A gpg is a home of GnuPG with keys of its own.
type gpg struct {
	t    testing.TB
	home string
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skipf("no gpg here: %v", err)
	}
	// Not t.TempDir: the path of the agent's socket has to be short.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return &gpg{t, home}
}

// try runs gpg as of a day such as "2020-06-01" with input, and returns its
// output and what it says of its status.
func (g *gpg) try(day, input string, args ...string) (out []byte, status string, err error) {
	g.t.Helper()
	status = filepath.Join(g.home, "status")
	all := []string{
		"--homedir", g.home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", "--no-tty",
		"--no-greeting", "--status-file", status,
	}
	if day != "" {
		all = append(all, "--faked-system-time", strings.ReplaceAll(day, "-", "")+"T120000!")
	}
	cmd := exec.Command("gpg", append(all, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	said, _ := os.ReadFile(status)
	if err != nil {
		said = append(said, stderr.Bytes()...)
	}
	return stdout.Bytes(), string(said), err
}

// run is try, for what has to succeed.
func (g *gpg) run(day, input string, args ...string) []byte {
	g.t.Helper()
	out, said, err := g.try(day, input, args...)
	if err != nil {
		g.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return out
}

// key makes a key that certifies and signs, and returns its fingerprint.
// Expires is a day, or "" for never.
func (g *gpg) key(day, name, expires string) string {
	g.t.Helper()
	return g.keyOf("ed25519", day, name, expires)
}

func (g *gpg) keyOf(algorithm, day, name, expires string) string {
	g.t.Helper()
	if expires == "" {
		expires = "0"
	}
	g.run(day, "", "--quick-gen-key", address(name), algorithm, "sign,cert", expires)
	return g.fingerprints(name)[0]
}

func address(name string) string { return name + " <" + name + "@example.org>" }

// fingerprints returns those of the key and its subkeys.
func (g *gpg) fingerprints(name string) []string {
	g.t.Helper()
	var out []string
	for line := range strings.Lines(string(g.run("", "", "--with-colons", "--list-keys", "="+address(name)))) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			out = append(out, f[9])
		}
	}
	return out
}

// certify has each of the masters certify all user IDs of a key, or those that
// are given.
func (g *gpg) certify(day, fingerprint string, masters []string, args ...string) {
	g.t.Helper()
	for _, m := range masters {
		var options, users []string
		for _, a := range args {
			if strings.HasPrefix(a, "--") {
				options = append(options, strings.SplitN(a, "=", 2)...)
			} else {
				users = append(users, a)
			}
		}
		all := append(options, "-u", m+"!", "--quick-sign-key", fingerprint)
		g.run(day, "", append(all, users...)...)
	}
}

// sign makes a detached signature over text; key is a fingerprint.
func (g *gpg) sign(day, key, text string, args ...string) []byte {
	g.t.Helper()
	name := filepath.Join(g.home, "text")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return g.run(day, "", append(args, "-u", key+"!", "--output", "-", "--detach-sign", name)...)
}

// Reasons of revocations, as gpg numbers them.
const (
	noReason    = "0"
	compromised = "1"
	superseded  = "2"
	retired     = "3"
)

// revoke revokes a key for a reason.
func (g *gpg) revoke(day, fingerprint, reason string) {
	g.t.Helper()
	answers := "y\n" + reason + "\n\ny\n"
	cert := g.runQuestions(day, answers, "--gen-revoke", fingerprint)
	g.run(day, string(cert), "--import")
}

// takeBack revokes the first of the three certifications of a key: gpg asks
// for each signature, the key's own being the first, whether to revoke it.
func (g *gpg) takeBack(day, fingerprint, reason string) {
	g.t.Helper()
	g.runQuestions(day, "n\ny\nn\nn\ny\n"+reason+"\n\ny\nsave\n", "--edit-key", fingerprint, "revsig")
}

// runQuestions is run for commands that ask, which --batch would forbid.
func (g *gpg) runQuestions(day, answers string, args ...string) []byte {
	g.t.Helper()
	all := []string{
		"--homedir", g.home, "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--no-tty", "--command-fd", "0",
		"--faked-system-time", strings.ReplaceAll(day, "-", "") + "T120000!",
	}
	cmd := exec.Command("gpg", append(all, args...)...)
	cmd.Stdin = strings.NewReader(answers)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		g.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}

func (g *gpg) export(names ...string) []byte {
	g.t.Helper()
	return g.run("", "", append([]string{"--export"}, names...)...)
}

// files are those of a keyring package with all keys of g.
func (g *gpg) files(masters []string, revoked ...string) map[string][]byte {
	g.t.Helper()
	var trusted strings.Builder
	for _, m := range masters {
		trusted.WriteString(m + ":4:\n")
	}
	return map[string][]byte{
		"example.gpg": g.export(), "example-trusted": []byte(trusted.String()),
		"example-revoked": []byte(strings.Join(revoked, "\n")),
	}
}

func load(t testing.TB, files map[string][]byte) *Keyring {
	t.Helper()
	k, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// noon is the time of day at which gpg ran.
func noon(day string) time.Time {
	t, err := time.Parse("2006-01-02 15", day+" 12")
	if err != nil {
		panic(err)
	}
	return t
}
