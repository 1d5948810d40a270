package yum

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/lockfile"
)

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s here: %v", name, err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// packages builds some packages with rpmbuild in the directory.
func packages(t testing.TB, dir string) {
	t.Helper()
	spec := `
Name: example
Epoch: 2
Version: 1.5~rc1
Release: 1^git2
Summary: An example <with> "marks" & others
License: MIT
Vendor: Example & Co
BuildArch: noarch
Requires: bash >= 4, (grep or busybox < 3), rpmlib(X) <= 1
Provides: other(thing) = 1:5-2, plain
Conflicts: old < 1
Obsoletes: older <= 0.9
%description
An example, in which ]]> and </package> are written.
%package -n second-one
Summary: Another
Version: 3
Epoch: 0
%description -n second-one
Another.
%install
mkdir -p %{buildroot}/etc %{buildroot}/usr/bin %{buildroot}/usr/share
touch %{buildroot}/etc/example.conf %{buildroot}/usr/bin/example "%{buildroot}/etc/a&b" %{buildroot}/usr/share/x
%files
/etc/example.conf
/etc/a&b
/usr/bin/example
/usr/share/x
%files -n second-one
`
	file := filepath.Join(t.TempDir(), "example.spec")
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+t.TempDir(), "--define", "_rpmdir "+dir, file)
}

// repository opens the metadata of a directory.
func readRepomd(t testing.TB, dir string) *Repomd {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "repodata/repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := ParseRepomd(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func readPrimary(dir string, d DataFile) (records []Record, err error) {
	f, err := os.Open(filepath.Join(dir, d.Location))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = ReadData(d, f, func(r io.Reader) (err error) {
		records, err = ReadPrimary(r, all)
		return err
	})
	return records, err
}

// What a real repository says of its packages is what their headers say.
func TestRepositoriesOfCreaterepo(t *testing.T) {
	dir := t.TempDir()
	packages(t, dir)
	headers := readHeaders(t, dir)
	if len(headers) != 2 {
		t.Fatalf("%d packages were built", len(headers))
	}
	for _, options := range [][]string{
		{"--general-compress-type=gz"}, {"--general-compress-type=xz"}, {"--general-compress-type=bz2"},
		{"--zck", "--no-database"}, {"--simple-md-filenames", "--repomd-checksum=sha512", "--checksum=sha512"},
		{"--distro=cpe:/o:example:1,Example 1", "--revision=42", "--content=c", "--repo=r"}, {"--baseurl=https://example.org/base/"},
	} {
		t.Run(strings.Join(options, " "), func(t *testing.T) {
			command(t, "createrepo_c", append(options, "--quiet", dir)...)
			m := readRepomd(t, dir)
			d, ok := m.Find("primary")
			if !ok {
				t.Fatalf("no primary in %+v", m)
			}
			records, err := readPrimary(dir, d)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) != len(headers) {
				t.Fatalf("%d records", len(records))
			}
			for _, r := range records {
				compare(t, dir, r, headers[r.Name])
			}
			if options[0] == "--distro=cpe:/o:example:1,Example 1" {
				got := []any{m.Revision, m.Distro, m.DistroID, m.Content, m.Repo}
				if diff := cmp.Diff([]any{"42", []string{"Example 1"}, "cpe:/o:example:1", []string{"c"}, []string{"r"}}, got); diff != "" {
					t.Error(diff)
				}
			}
			if strings.HasPrefix(options[0], "--baseurl") && records[0].Base != "https://example.org/base/" {
				t.Errorf("the base is %q", records[0].Base)
			}
			for _, d := range m.Data {
				if strings.HasSuffix(d.Type, "_zck") || strings.HasSuffix(d.Type, "_db") {
					if _, err := readPrimary(dir, d); err == nil || !strings.Contains(err.Error(), "not read") && !strings.Contains(err.Error(), "cannot be read") {
						t.Errorf("%s: %v", d.Type, err)
					}
				}
			}
		})
	}
}

func readHeaders(t testing.TB, dir string) map[string]*rpm.Package {
	t.Helper()
	out := map[string]*rpm.Package{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".rpm" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		p, err := rpm.CheckDigests(bytes.NewReader(data))
		if err == nil {
			out[p.Name] = p
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compare(t *testing.T, dir string, r Record, p *rpm.Package) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, r.Location))
	if err != nil {
		t.Fatal(err)
	}
	if !r.NEVRA.Same(p.NEVRA) || r.SourceRPM != p.SourceRPM || r.Vendor != p.Vendor || !r.BuildTime.Equal(p.BuildTime) ||
		r.Size != int64(len(data)) || r.InstalledSize != int64(p.InstalledSize) || !r.Checksum.Matches(data) || r.FileTime.IsZero() {
		t.Errorf("record %+v\nheader %+v", r, p)
	}
	if d, ok := r.Checksum.Digest(); ok && d != lockfile.DigestOf(data) {
		t.Errorf("the digest is %s", d)
	}
	// The index has neither flags of other meanings, nor epochs of 0, nor what
	// rpm itself provides, nor what is there twice.
	plain := func(deps []rpm.Dependency) []string {
		var out []string
		for _, d := range deps {
			d.EVR = strings.TrimPrefix(d.EVR, "0:")
			if s := d.String(); !strings.HasPrefix(s, "rpmlib(") {
				out = append(out, s)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, pair := range [][2][]rpm.Dependency{{p.Requires, r.Requires}, {p.Provides, r.Provides}, {p.Conflicts, r.Conflicts}, {p.Obsoletes, r.Obsoletes}} {
		if d := cmp.Diff(plain(pair[0]), plain(pair[1]), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", r, d)
		}
	}
	if r.Name == "example" {
		if d := cmp.Diff([]string{"/etc/a&b", "/etc/example.conf", "/usr/bin/example"}, r.Files); d != "" {
			t.Error(d)
		}
	}
}

func TestDamagedMetadataAreToldFromOthers(t *testing.T) {
	dir := t.TempDir()
	packages(t, dir)
	command(t, "createrepo_c", "--quiet", dir)
	d, _ := readRepomd(t, dir).Find("primary")
	file := filepath.Join(dir, d.Location)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		write(bad)
		var sum *ChecksumError
		if _, err := readPrimary(dir, d); !errors.As(err, &sum) || sum.Size != int64(len(good)) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	for _, bad := range [][]byte{nil, good[:len(good)/2], append(bytes.Clone(good), 0), append(bytes.Clone(good), good...)} {
		write(bad)
		var sum *ChecksumError
		if _, err := readPrimary(dir, d); !errors.As(err, &sum) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	write(good)
	if _, err := readPrimary(dir, d); err != nil {
		t.Error(err)
	}
	short := d
	short.OpenSize--
	if _, err := readPrimary(dir, short); err == nil {
		t.Error("more came out than repomd.xml tells")
	}
	weak := d
	weak.Checksum = Checksum{"sha1", strings.Repeat("0", 40)}
	if _, err := readPrimary(dir, weak); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("a checksum by SHA-1: %v", err)
	}
}
