package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// newKey makes a key that signs.
func newKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("T", "", "t@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A suite is one suite of a made-up archive.
type suite struct {
	origin, label, codename string
	date                    time.Time
	extra                   string // more fields of the Release
	// indexes are Packages files by component/architecture, "" for flat.
	indexes map[string]string
	signer  *openpgp.Entity // nil for none
}

var dayOne = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

func debianSuite(signer *openpgp.Entity, packages string) *suite {
	return &suite{origin: "Debian", label: "Debian", codename: "bookworm", date: dayOne,
		indexes: map[string]string{"main/amd64": packages}, signer: signer}
}

// record is a stanza of a Packages file, of a file with the given content.
func record(name, version, arch, content string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nFilename: pool/main/%s_%s_%s.deb\nSize: %d\nSHA256: %s\n\n",
		name, version, arch, name, version, arch, len(content), lockfile.DigestOf([]byte(content)))
}

// files are those that the suite has below the directory of its Release.
func (s *suite) files(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	var sums strings.Builder
	for _, where := range slices.Sorted(maps.Keys(s.indexes)) {
		component, arch, _ := strings.Cut(where, "/")
		name := archive.PackagesPath(component, arch)
		for ending, data := range map[string][]byte{"": []byte(s.indexes[where]), ".gz": compress(t, ".gz", s.indexes[where])} {
			out[name+ending] = data
			fmt.Fprintf(&sums, " %s %d %s\n", lockfile.DigestOf(data), len(data), name+ending)
		}
	}
	release := fmt.Sprintf("Origin: %s\nLabel: %s\nCodename: %s\nDate: %s\n%sSHA256:\n%s",
		s.origin, s.label, s.codename, s.date.Format("Mon, 02 Jan 2006 15:04:05 MST"), s.extra, sums.String())
	if s.signer == nil {
		out["Release"] = []byte(release)
		return out
	}
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, s.signer.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, release)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out["InRelease"] = append(signed.Bytes(), '\n')
	return out
}

func compress(t testing.TB, ending, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch ending {
	case "":
		return []byte(text)
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".lz4":
		w = lz4.NewWriter(&b)
	}
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A root is a system with apt's lists and nothing else.
type root struct {
	*System
	t        testing.TB
	warnings []string
}

func newRoot(t testing.TB) *root {
	t.Helper()
	r := &root{t: t}
	dir := t.TempDir()
	files, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	r.System = &System{Root: dir, Files: files, id: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"},
		events: &distro.Events{Warn: func(m string) { r.warnings = append(r.warnings, m) }},
		Config: &apt.Config{Architectures: []string{"amd64"}, ListsDir: "var/lib/apt/lists", ArchivesDir: "var/cache/apt/archives", Options: &apt.Options{}}}
	r.write("var/lib/dpkg/status", nil)
	return r
}

func (r *root) write(name string, data []byte) {
	r.t.Helper()
	name = filepath.Join(r.Root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// configure adds a repository that key may sign.
func (r *root) configure(uri, suite string, key *openpgp.Entity) *apt.Repository {
	r.t.Helper()
	repo := apt.Repository{URI: uri, Mirrors: []string{uri}, Suite: suite, Components: []string{"main"},
		Architectures: r.Config.Architectures, CheckValidUntil: true, File: "etc/apt/sources.list"}
	if key != nil {
		var b bytes.Buffer
		if err := key.Serialize(&b); err != nil {
			r.t.Fatal(err)
		}
		name := fmt.Sprintf("usr/share/keyrings/%X.gpg", key.PrimaryKey.Fingerprint)
		r.write(name, b.Bytes())
		repo.Trust.Keyrings = []string{name}
	}
	r.Config.Repositories = append(r.Config.Repositories, repo)
	return &r.Config.Repositories[len(r.Config.Repositories)-1]
}

// keep puts files into the lists, as apt does: one form of each index, with
// the given ending.
func (r *root) keep(repo *apt.Repository, files map[string][]byte, ending string) {
	r.t.Helper()
	dir := archive.Dir(repo.URI, repo.Suite)
	for name, data := range files {
		switch {
		case strings.HasSuffix(name, ".gz"):
			continue
		case strings.HasSuffix(name, "Packages"):
			name, data = name+ending, compress(r.t, ending, string(data))
		}
		r.write(filepath.Join(r.Config.ListsDir, apt.ListsName(dir+name)), data)
	}
}

// debianRoot has bookworm configured and its lists on disk.
func debianRoot(t testing.TB, key *openpgp.Entity, mirror, packages string) *root {
	r := newRoot(t)
	r.keep(r.configure(mirror, "bookworm", key), debianSuite(key, packages).files(t), "")
	return r
}

func (r *root) locate(req distro.LocateRequest, packages ...distro.Package) *distro.Located {
	r.t.Helper()
	req.Packages = packages
	got, err := r.Locate(context.Background(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func thePackage(name, version, arch string) distro.Package {
	return distro.Package{Name: name, Version: version, Arch: arch}
}

const (
	mirrorA = "http://ftp.debian.org/debian/"
	mirrorB = "http://user:secret@mirror.example/pub/debian/"
)

func wantLock(t *testing.T, got *lockfile.Lock, want string) {
	t.Helper()
	want = "# samebits lock v1\n#: distro debian 12 amd64\n" + want
	if string(got.Format()) != want {
		t.Errorf("got\n%s\nwant\n%s", got.Format(), want)
	}
}

func line(content, path string) string {
	return lockfile.DigestOf([]byte(content)).String() + "  " + path + "\n"
}

// web is a Fetcher that serves files by URL and notes what it was asked for.
type web struct {
	files map[string][]byte
	asked []string
}

func (w *web) Get(_ context.Context, url string) (io.ReadCloser, error) {
	w.asked = append(w.asked, url)
	data, ok := w.files[url]
	if !ok {
		return nil, fmt.Errorf("%s: %w", url, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (w *web) Blob(ctx context.Context, want lockfile.Digest, _ int64, urls ...string) (io.ReadCloser, error) {
	err := error(fs.ErrNotExist)
	for _, u := range urls {
		var r io.ReadCloser
		if r, err = w.Get(ctx, u); err == nil {
			if lockfile.DigestOf(w.files[u]) != want {
				return nil, errors.New("not the digest")
			}
			return r, nil
		}
	}
	return nil, err
}

func serve(base string, files map[string][]byte) *web {
	w := &web{files: map[string][]byte{}}
	for name, data := range files {
		w.files[base+name] = data
	}
	return w
}
