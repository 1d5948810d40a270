package debian

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/openpgp/openpgptest"
	"github.com/samebits/samebits/lockfile"
)

// aptRoot is a root with a repository of its own, made with apt-ftparchive and
// gpg, and the lists that the real apt has fetched from it.
type aptRoot struct {
	t       testing.TB
	dir     string
	archive string // the repository, a directory of this machine
	gpgHome string
}

func newAptRoot(t testing.TB) *aptRoot {
	t.Helper()
	for _, tool := range []string{"apt-get", "apt-ftparchive", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	a := &aptRoot{t: t, dir: t.TempDir(), archive: t.TempDir(), gpgHome: openpgptest.NewGPG(t).Home}
	for _, d := range []string{"etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d",
		"var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial", "usr/share/keyrings"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a.write("var/lib/dpkg/status", "")
	a.write("var/lib/dpkg/arch", "amd64\n")
	a.write("etc/os-release", "ID=debian\nVERSION_ID=12\n")
	return a
}

func (a *aptRoot) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// run runs a tool in the repository and returns its output.
func (a *aptRoot) run(args ...string) []byte {
	a.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = a.archive
	cmd.Env = append(os.Environ(), "GNUPGHOME="+a.gpgHome, "LC_ALL=C")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return out
}

// build makes a package and returns its digest.
func (a *aptRoot) build(name, version, arch string) lockfile.Digest {
	a.t.Helper()
	tree := a.t.TempDir()
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: " + arch + "\nMaintainer: T <t@example.org>\nDescription: t\n"
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		a.t.Fatal(err)
	}
	a.run("mkdir", "-p", "pool/main")
	file := "pool/main/" + name + "_" + version[strings.IndexByte(version, ':')+1:] + "_" + arch + ".deb"
	a.run("dpkg-deb", "--root-owner-group", "-b", tree, file)
	data, err := os.ReadFile(filepath.Join(a.archive, file))
	if err != nil {
		a.t.Fatal(err)
	}
	return lockfile.DigestOf(data)
}

// publish writes the indexes and signs them in the given way.
func (a *aptRoot) publish(detached bool) {
	a.t.Helper()
	gpg := []string{"gpg", "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""}
	a.run(append(gpg, "--quick-gen-key", "T <t@example.org>", "ed25519", "sign", "0")...)
	a.run(append(gpg, "--export", "--armor", "--output", filepath.Join(a.dir, "usr/share/keyrings/t.asc"))...)
	dir := filepath.Join(a.archive, "dists/one/main/binary-amd64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		a.t.Fatal(err)
	}
	packages := a.run("apt-ftparchive", "packages", "pool")
	if err := os.WriteFile(filepath.Join(dir, "Packages"), packages, 0o644); err != nil {
		a.t.Fatal(err)
	}
	a.run("xz", "-k", filepath.Join(dir, "Packages"))
	o := func(k, v string) []string { return []string{"-o", "APT::FTPArchive::Release::" + k + "=" + v} }
	args := []string{"apt-ftparchive"}
	for k, v := range map[string]string{"Origin": "Example Org", "Label": "Extra", "Suite": "one", "Codename": "one", "Architectures": "amd64", "Components": "main"} {
		args = append(args, o(k, v)...)
	}
	release := a.run(append(args, "release", "dists/one")...)
	if err := os.WriteFile(filepath.Join(a.archive, "dists/one/Release"), release, 0o644); err != nil {
		a.t.Fatal(err)
	}
	if detached {
		a.run(append(gpg, "--armor", "--output", "dists/one/Release.gpg", "--detach-sign", "dists/one/Release")...)
	} else {
		a.run(append(gpg, "--output", "dists/one/InRelease", "--clearsign", "dists/one/Release")...)
		a.run("rm", "dists/one/Release")
	}
}

// update runs the real apt-get update for the root.
func (a *aptRoot) update(options ...string) {
	a.t.Helper()
	keyring := filepath.Join(a.dir, "usr/share/keyrings/t.asc")
	a.write("etc/apt/sources.list", "deb [signed-by="+keyring+"] copy:"+a.archive+" one main\n")
	args := []string{"apt-get", "-q", "-o", "Dir=" + a.dir, "-o", "Dir::State::status=" + a.dir + "/var/lib/dpkg/status",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures::=amd64", "-o", "APT::Sandbox::User=root",
		"-o", "Dir::Etc::parts=/dev/null", "-o", "Acquire::Languages=none"}
	a.run(append(append(args, options...), "update")...)
	// As the root itself sees it: its paths begin at its own top.
	a.write("etc/apt/sources.list", "deb [signed-by=/usr/share/keyrings/t.asc] copy:"+a.archive+" one main\n")
}

func (a *aptRoot) locate(packages ...distro.Package) (*distro.Located, []string) {
	a.t.Helper()
	var warnings []string
	s, err := open(a.dir, &distro.Events{Warn: func(m string) { warnings = append(warnings, m) }})
	if err != nil {
		a.t.Fatal(err)
	}
	got, err := s.Locate(context.Background(), distro.LocateRequest{Packages: packages})
	if err != nil {
		a.t.Fatal(err)
	}
	return got, warnings
}

func TestLocateInWhatAptFetched(t *testing.T) {
	if testing.Short() {
		t.Skip("runs apt-get update several times")
	}
	p := thePackage("hello", "1:2.0-1", "amd64")
	for _, tt := range []struct {
		name     string
		detached bool
		options  []string
	}{
		{"InRelease", false, nil},
		{"Release and Release.gpg", true, nil},
		{"kept compressed", false, []string{"-o", "Acquire::GzipIndexes=true"}},
		{"kept as xz", false, []string{"-o", "Acquire::GzipIndexes=true", "-o", "Acquire::CompressionTypes::Order::=xz", "-o", "Acquire::IndexTargets::deb::Packages::KeepCompressedAs=xz"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAptRoot(t)
			digest := a.build(p.Name, p.Version, p.Arch)
			a.publish(tt.detached)
			a.update(tt.options...)
			got, warnings := a.locate(p)
			want := lockfile.Entry{Digest: digest, Path: "pool/main/hello_2.0-1_amd64.deb",
				Archive: lockfile.Archive{Name: "Example%20Org/Extra", URL: "file://" + a.archive + "/"}}
			if len(got.Lock.Entries) != 1 || got.Lock.Entries[0].Compare(want) != 0 || got.Lock.Entries[0].Digest != digest || len(warnings) > 0 {
				t.Errorf("%v, missing %v, warnings %q", got.Lock.Entries, got.Reasons, warnings)
			}
			if got.Lock.Date.IsZero() {
				t.Error("the lock has no date")
			}
			a.tamper()
			if got, warnings := a.locate(p); len(got.Lock.Entries) != 0 || len(warnings) != 1 {
				t.Errorf("after a byte was changed: %v, warnings %q", got.Lock.Entries, warnings)
			}
		})
	}
}

// tamper changes a byte in each list of packages.
func (a *aptRoot) tamper() {
	a.t.Helper()
	names, err := filepath.Glob(filepath.Join(a.dir, "var/lib/apt/lists/*_Packages*"))
	if err != nil || len(names) != 1 {
		a.t.Fatalf("lists of packages: %q, %v", names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		a.t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(names[0], data, 0o644); err != nil {
		a.t.Fatal(err)
	}
}
