package rpm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// A gpg signs packages.
type gpg struct {
	*openpgptest.GPG
	t testing.TB
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	return &gpg{openpgptest.NewGPG(t), t}
}

func command(t testing.TB, input, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

func (g *gpg) keys(names ...string) *Keyring {
	g.t.Helper()
	k, err := LoadKeys(g.Export(append([]string{"--armor"}, names...)...))
	if err != nil {
		g.t.Fatal(err)
	}
	return k
}

// sign signs a copy of a package by rpmsign with the key of that name, as at
// the given time, and returns its bytes. More options go to gpg.
func (g *gpg) sign(pkg []byte, at, name string, options ...string) []byte {
	g.t.Helper()
	if _, err := exec.LookPath("rpmsign"); err != nil {
		g.t.Skipf("no rpmsign here: %v", err)
	}
	file := filepath.Join(g.t.TempDir(), "package.rpm")
	if err := os.WriteFile(file, pkg, 0o600); err != nil {
		g.t.Fatal(err)
	}
	if at != "" {
		options = append(options, "--faked-system-time", at)
	}
	program, err := exec.LookPath("gpg")
	if err != nil {
		g.t.Fatal(err)
	}
	command(g.t, "", "rpmsign", "--define", "__gpg "+program, "--define", "_gpg_path "+g.Home, "--define", "_gpg_name "+name,
		"--define", "_gpg_sign_cmd_extra_args --batch --no-tty "+strings.Join(options, " "),
		"--addsign", file)
	data, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	return data
}

const exampleSpec = `
Name: example
Epoch: 1
Version: 2.0~rc1
Release: 3^git1.fc40
Summary: An example
License: MIT
Vendor: Example Project
BuildArch: noarch
Requires: bash >= 4, (grep or busybox), /bin/sh
Provides: other(thing) = 5
Conflicts: old < 1
Obsoletes: older <= 0:0.9-2
ModularityLabel: example:1:20210101:abcdef
%description
An example.
%prep
%build
%install
mkdir -p %{buildroot}/usr/share/example
for i in 1 2 3; do seq $((i * 1000)) > %{buildroot}/usr/share/example/$i; done
%files
/usr/share/example
`

// build builds packages with rpmbuild and returns the binary and the source
// package.
func build(t testing.TB, spec string, defines ...string) (binary, source []byte) {
	t.Helper()
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skipf("no rpmbuild here: %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "example.spec")
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-ba", "--quiet", "--define", "_topdir " + dir, "--define", "_buildhost example.org"}
	for _, d := range defines {
		args = append(args, "--define", d)
	}
	command(t, "", "rpmbuild", append(args, file)...)
	read := func(pattern string) []byte {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) != 1 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		data, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	return read("RPMS/*/*.rpm"), read("SRPMS/*.rpm")
}
