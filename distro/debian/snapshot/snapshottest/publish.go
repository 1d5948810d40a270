package snapshottest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// A Key signs suites.
type Key struct {
	gpg *openpgptest.GPG
	// Public is the armored public key.
	Public []byte
}

// NewKey makes a key as of the given time. validity is as gpg takes it: "0"
// for ever, "1y" for a year. The test is skipped where gpg or apt-ftparchive
// is not installed.
func NewKey(t testing.TB, created time.Time, validity string) *Key {
	t.Helper()
	if _, err := exec.LookPath("apt-ftparchive"); err != nil {
		t.Skipf("needs apt-ftparchive: %v", err)
	}
	g := openpgptest.NewGPG(t)
	g.Key(clock(created), "Archive", "ed25519", validity)
	return &Key{g, g.Export("--armor")}
}

// clock has gpg's clock stand at a time.
func clock(at time.Time) string { return at.UTC().Format("20060102T150405") + "!" }

func run(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, errs.Bytes())
	}
	return out.Bytes()
}

// A Deb is a package in an index. Its file exists only as a record.
type Deb struct {
	Name, Version, Arch string
	// Fields are further lines of the record, such as "Depends: libc6\n".
	Fields string
}

// Path returns where the index says that the file lies.
func (d Deb) Path() string {
	_, version, ok := strings.Cut(d.Version, ":")
	if !ok {
		version = d.Version
	}
	return fmt.Sprintf("pool/main/%s/%s/%s_%s_%s.deb", d.Name[:1], d.Name, d.Name, version, d.Arch)
}

// Digest returns the SHA-256 that the index gives.
func (d Deb) Digest() [sha256.Size]byte {
	return sha256.Sum256([]byte(d.Name + " " + d.Version + " " + d.Arch))
}

func (d Deb) record() string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Test <test@example.invalid>\n%sFilename: %s\nSize: 1000\nSHA256: %x\nDescription: test\n\n",
		d.Name, d.Version, d.Arch, d.Fields, d.Path(), d.Digest())
}

// A Suite is a directory below dists and what its Release file says.
type Suite struct {
	Name                    string // such as "bookworm"
	Origin, Label, Codename string
	Alias                   string // what Release calls Suite, such as "oldstable"
	Architectures           []string
	// Fields are further ones of the Release file, such as NotAutomatic.
	Fields map[string]string
}

// Publish writes the suite with one component, main, below the archive root
// dir, signed by the key at the given date. Packages of the architecture "all"
// go into every index.
func (k *Key) Publish(t testing.TB, dir string, s Suite, date time.Time, debs ...Deb) {
	t.Helper()
	dist := filepath.Join(dir, "dists", s.Name)
	for _, arch := range s.Architectures {
		var index strings.Builder
		for _, d := range debs {
			if d.Arch == arch || d.Arch == "all" {
				index.WriteString(d.record())
			}
		}
		write(t, filepath.Join(dist, "main/binary-"+arch, "Packages.gz"), pack(t, index.String()))
		write(t, filepath.Join(dist, "main/binary-"+arch, "Packages"), []byte(index.String()))
	}
	fields := map[string]string{
		"Origin": s.Origin, "Label": s.Label, "Suite": s.Alias, "Codename": s.Codename,
		"Architectures": strings.Join(s.Architectures, " "), "Components": "main",
		"Date": date.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"),
	}
	maps.Copy(fields, s.Fields)
	var args []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, "-o", "APT::FTPArchive::Release::"+name+"="+fields[name])
	}
	release := run(t, dir, "apt-ftparchive", append(args, "release", filepath.Join("dists", s.Name))...)
	write(t, filepath.Join(dist, "Release"), release)
	write(t, filepath.Join(dist, "InRelease"), k.gpg.With(t).Run(clock(date), string(release), "--clearsign"))
}

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
