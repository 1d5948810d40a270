// Package openpgptest makes signatures for tests: with the real gpg, and of
// kinds that today's gpg does not make. It is not for signing what anyone is
// to trust: keys are made anew each time and thrown away.
package openpgptest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A GPG is a home of GnuPG with keys of its own.
type GPG struct {
	t testing.TB
	// Home is the directory that gpg calls --homedir.
	Home string
}

// NewGPG makes a home without keys, for as long as the test runs. The test is
// skipped where gpg is not installed.
func NewGPG(t testing.TB) *GPG {
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
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // a left agent ends by itself
		_ = os.RemoveAll(home)
	})
	return &GPG{t, home}
}

// With returns the same home for another test, which ends before that of g.
func (g *GPG) With(t testing.TB) *GPG { return &GPG{t, g.Home} }

// Run runs gpg with input and returns its output. It is given the time at, as
// "20200601T120000" (UTC), from which its clock runs on, or at which it stands
// where a "!" follows; "" is now.
func (g *GPG) Run(at, input string, args ...string) []byte {
	g.t.Helper()
	return g.start(at, input, append([]string{"--batch", "--yes"}, args...))
}

// Answer runs a command that asks questions, which Run forbids, and gives it
// the answers, one in each line.
func (g *GPG) Answer(at, answers string, args ...string) []byte {
	g.t.Helper()
	return g.start(at, answers, append([]string{"--command-fd", "0"}, args...))
}

func (g *GPG) start(at, input string, args []string) []byte {
	g.t.Helper()
	all := []string{"--homedir", g.Home, "--quiet", "--no-greeting", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""}
	if at != "" {
		all = append(all, "--faked-system-time", at)
	}
	cmd := exec.Command("gpg", append(all, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		g.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.Bytes()
}

// Key makes a key that certifies and signs, and returns its fingerprint.
// Expires is as gpg takes it: "0" for never, "1y", a day such as "2021-12-31".
func (g *GPG) Key(at, name, algorithm, expires string) string {
	g.t.Helper()
	g.Run(at, "", "--quick-gen-key", UserID(name), algorithm, "sign", expires)
	return g.Fingerprints(name)[0]
}

// UserID is that of the keys that Key makes.
func UserID(name string) string { return name + " <" + name + "@example.org>" }

// Fingerprints returns those of a key that Key made and of its subkeys.
func (g *GPG) Fingerprints(name string) []string {
	g.t.Helper()
	var out []string
	for line := range strings.Lines(string(g.Run("", "", "--with-colons", "--list-keys", "="+UserID(name)))) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			out = append(out, f[9])
		}
	}
	return out
}

// Export returns the public keys of that name or fingerprint, or all. Options
// such as --armor may be among them.
func (g *GPG) Export(names ...string) []byte {
	g.t.Helper()
	var options []string
	for len(names) > 0 && strings.HasPrefix(names[0], "--") {
		options, names = append(options, names[0]), names[1:]
	}
	return g.Run("", "", append(append(options, "--export"), names...)...)
}

// Detach makes a detached signature over text by the key of that name or
// fingerprint. One that ends in "!" names that very key, and not a newer
// subkey.
func (g *GPG) Detach(at, text, key string, options ...string) []byte {
	g.t.Helper()
	name := filepath.Join(g.Home, "text")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return g.Run(at, "", append(options, "-u", key, "--output", "-", "--detach-sign", name)...)
}

// Revoke revokes a key, by its fingerprint, with the certificate that gpg made
// along with it.
func (g *GPG) Revoke(fingerprint string) {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.Home, "openpgp-revocs.d", fingerprint+".rev"))
	if err != nil {
		g.t.Fatal(err)
	}
	_, cert, ok := strings.Cut(string(data), ":-----BEGIN")
	if !ok {
		g.t.Fatal("no revocation certificate")
	}
	g.Run("", "-----BEGIN"+cert, "--import")
}
