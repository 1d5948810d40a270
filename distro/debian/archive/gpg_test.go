package archive

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

// run runs gpg as at the given time ("" for now), with input, and returns its
// output.
func (g *gpg) run(at, input string, args ...string) []byte {
	g.t.Helper()
	all := []string{"--homedir", g.home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", "--no-tty"}
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

// key makes a key that signs, and returns its fingerprint.
func (g *gpg) key(at, name, algorithm, expires string) string {
	g.t.Helper()
	g.run(at, "", "--quick-gen-key", name+" <"+name+"@example.org>", algorithm, "sign", expires)
	return g.fingerprints(name)[0]
}

// fingerprints returns those of the key and its subkeys.
func (g *gpg) fingerprints(name string) []string {
	g.t.Helper()
	var out []string
	for line := range strings.Lines(string(g.run("", "", "--with-colons", "--list-keys", name))) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			out = append(out, f[9])
		}
	}
	return out
}

func (g *gpg) export(names ...string) []byte {
	return g.run("", "", append([]string{"--export"}, names...)...)
}

func (g *gpg) keys(names ...string) *Keys {
	g.t.Helper()
	k, err := ReadKeys(g.export(names...))
	if err != nil {
		g.t.Fatal(err)
	}
	return k
}

// sign makes an InRelease file of text, signed by all of the keys.
func (g *gpg) sign(at, text string, names ...string) []byte {
	return g.run(at, text, append(signers(names), "--clearsign")...)
}

func signers(names []string) []string {
	var args []string
	for _, n := range names {
		if len(n) == 40 { // a fingerprint: that very key, and not a newer subkey
			n += "!"
		}
		args = append(args, "-u", n)
	}
	return args
}

// revoke revokes a key with the certificate that gpg made along with it.
func (g *gpg) revoke(fingerprint string) {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.home, "openpgp-revocs.d", fingerprint+".rev"))
	if err != nil {
		g.t.Fatal(err)
	}
	_, cert, ok := strings.Cut(string(data), ":-----BEGIN")
	if !ok {
		g.t.Fatal("no revocation certificate")
	}
	g.run("", "-----BEGIN"+cert, "--import")
}

const releaseText = `Origin: Example
Label: Example Extra
Suite: stable
Codename: one
Date: Sat, 11 Jul 2026 10:16:37 UTC
Architectures: amd64
Components: main
- a line that has to be escaped: -----BEGIN PGP SIGNATURE-----
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages
`

func (g *gpg) detach(text string, args ...string) []byte {
	name := filepath.Join(g.home, "text")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return g.run("", "", append(args, "--output", "-", "--detach-sign", name)...)
}
