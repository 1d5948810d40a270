package arch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/lockfile"
)

// dataDir is where real states and packages are, which are no part of the
// project.
func dataDir(t testing.TB, name string) string {
	t.Helper()
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir, err := filepath.Abs(filepath.Join(data, "arch", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs real data: ", err)
	}
	return dir
}

// A key signs packages.
type key struct{ *openpgp.Entity }

func newKey(name string) key {
	config := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return time.Unix(1700000000, 0) }}
	e, err := openpgp.NewEntity(name, "", "t@example.invalid", config)
	if err != nil {
		panic(err)
	}
	return key{e}
}

func (k key) sign(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := openpgp.DetachSign(&out, k.Entity, bytes.NewReader(data), &packet.Config{DefaultHash: crypto.SHA256}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (k key) public(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := k.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var (
	packagerKey = sync.OnceValue(func() key { return newKey("Packager") })
	strangerKey = sync.OnceValue(func() key { return newKey("Stranger") })
)

// A made is a package that a test made.
type made struct {
	name, version, arch string
	built               int64
	fields              map[string][]string // of the description: DEPENDS, PROVIDES, …
	data, sig           []byte
}

func (m *made) file() string {
	return m.name + "-" + m.version + "-" + m.arch + ".pkg.tar.gz"
}

func (m *made) id() distro.Package {
	return distro.Package{Name: m.name, Version: m.version, Arch: m.arch}
}

// pkg makes a package, signed by the packager. More are fields such as
// "DEPENDS=bar>=1".
func pkg(t testing.TB, name, version string, more ...string) *made {
	t.Helper()
	m := &made{name: name, version: version, arch: "any", built: 1700000100, fields: map[string][]string{}}
	info := fmt.Sprintf("pkgname = %s\npkgbase = %s\npkgver = %s\narch = any\nbuilddate = %d\nsize = 5\n", name, name, version, m.built)
	keys := map[string]string{"DEPENDS": "depend", "PROVIDES": "provides", "CONFLICTS": "conflict", "REPLACES": "replaces", "GROUPS": "group"}
	for _, f := range more {
		section, value, _ := strings.Cut(f, "=")
		m.fields[section] = append(m.fields[section], value)
		info += keys[section] + " = " + value + "\n"
	}
	m.data = tarball(t, [][2]string{{".PKGINFO", info}, {"usr/", ""}, {"usr/share/", ""}, {"usr/share/" + name, version}})
	m.sig = packagerKey().sign(t, m.data)
	return m
}

// tarball makes a compressed tar of names and contents.
func tarball(t testing.TB, files [][2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f[0], Size: int64(len(f[1])), Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(f[0], "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// desc describes the package as a database does.
func (m *made) desc(installed bool) string {
	var b strings.Builder
	put := func(section string, values ...string) {
		fmt.Fprintf(&b, "%%%s%%\n%s\n\n", section, strings.Join(values, "\n"))
	}
	put("NAME", m.name)
	put("VERSION", m.version)
	put("ARCH", m.arch)
	put("BUILDDATE", fmt.Sprint(m.built))
	if !installed {
		put("FILENAME", m.file())
		put("CSIZE", fmt.Sprint(len(m.data)))
		put("SHA256SUM", lockfile.DigestOf(m.data).String())
		if m.sig != nil {
			put("PGPSIG", base64.StdEncoding.EncodeToString(m.sig))
		}
	}
	for section, values := range m.fields {
		put(section, values...)
	}
	return b.String()
}

func databaseOf(t testing.TB, packages ...*made) []byte {
	t.Helper()
	var files [][2]string
	for _, m := range packages {
		files = append(files, [2]string{m.name + "-" + m.version + "/", ""}, [2]string{m.name + "-" + m.version + "/desc", m.desc(false)})
	}
	return tarball(t, files)
}

// A world is a root and a server of repositories.
type world struct {
	t      testing.TB
	root   string
	served string // the directory of the server
	url    string
	fetch  *distrotest.Fetcher
	warned *[]string
	// broken has the server answer 500 where it says so.
	broken func(path string) bool
}

// newWorld makes a root whose repository "core" is on the server, with the
// packager trusted.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, root: t.TempDir(), served: t.TempDir(), warned: &[]string{}}
	files := http.FileServer(http.Dir(w.served))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.broken != nil && w.broken(r.URL.Path) {
			http.Error(rw, "ill", http.StatusInternalServerError)
			return
		}
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.fetch = &distrotest.Fetcher{Dir: t.TempDir()}
	w.put("etc/os-release", []byte("ID=arch\nBUILD_ID=rolling\n"))
	w.config("SigLevel = Required DatabaseOptional")
	w.put("var/lib/pacman/local/ALPM_DB_VERSION", []byte("9\n"))
	w.put("usr/share/pacman/keyrings/test.gpg", packagerKey().public(t))
	w.put("usr/share/pacman/keyrings/test-trusted", fmt.Appendf(nil, "%X:4:\n", packagerKey().PrimaryKey.Fingerprint))
	return w
}

// config writes the configuration, with options and repositories besides core.
func (w *world) config(options string, more ...string) {
	w.put("etc/pacman.conf", []byte("[options]\nArchitecture = x86_64\n"+options+"\n[core]\nServer = "+w.url+"/$repo/os/$arch\n"+strings.Join(more, "\n")+"\n"))
}

// put writes a file of the root.
func (w *world) put(name string, data []byte) {
	w.t.Helper()
	writeTo(w.t, filepath.Join(w.root, name), data)
}

// serve writes a file of the server.
func (w *world) serve(name string, data []byte) {
	w.t.Helper()
	writeTo(w.t, filepath.Join(w.served, name), data)
}

func writeTo(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// install writes packages into the database of what is installed.
func (w *world) install(packages ...*made) {
	w.t.Helper()
	for _, m := range packages {
		w.put("var/lib/pacman/local/"+m.name+"-"+m.version+"/desc", []byte(m.desc(true)))
	}
}

// sync writes the database of core into the root, and its packages onto the
// server.
func (w *world) sync(packages ...*made) {
	w.t.Helper()
	w.put("var/lib/pacman/sync/core.db", databaseOf(w.t, packages...))
	for _, m := range packages {
		w.serve("core/os/x86_64/"+m.file(), m.data)
	}
}

func (w *world) open() *System {
	w.t.Helper()
	var mu sync.Mutex
	s, err := open(w.root, &distro.Events{Warn: func(m string) {
		mu.Lock()
		defer mu.Unlock()
		*w.warned = append(*w.warned, m)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// offline is a request without a network; online one with it.
func (w *world) offline(packages ...*made) distro.LocateRequest {
	var req distro.LocateRequest
	for _, m := range packages {
		req.Packages = append(req.Packages, m.id())
	}
	req.Identifier = w.fetch
	return req
}

func (w *world) online(packages ...*made) distro.LocateRequest {
	req := w.offline(packages...)
	req.Fetcher = w.fetch
	return req
}

func (w *world) locate(req distro.LocateRequest) *distro.Located {
	w.t.Helper()
	got, err := w.open().Locate(context.Background(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// said reports whether a warning has the words.
func (w *world) said(words string) bool {
	return slices.ContainsFunc(*w.warned, func(m string) bool { return strings.Contains(m, words) })
}

// state says what became of the one package of a result: "signed", "unsigned"
// or "missing: why".
func state(l *distro.Located) string {
	switch {
	case len(l.Lock.Entries)+len(l.Lock.Missing) != 1:
		return string(l.Lock.Format())
	case len(l.Lock.Missing) == 1:
		return "missing: " + l.Reasons[l.Lock.Missing[0]].String()
	case l.Lock.Entries[0].Unsigned:
		return "unsigned"
	}
	return "signed"
}

// files is a [distro.Blobs] of files by their digest.
type files map[lockfile.Digest]string

func (f files) Path(_ context.Context, d lockfile.Digest) (string, error) {
	if p, ok := f[d]; ok {
		return p, nil
	}
	return "", fs.ErrNotExist
}

// add puts a file in and returns its digest.
func (f files) add(t testing.TB, data []byte) lockfile.Digest {
	t.Helper()
	d := lockfile.DigestOf(data)
	f[d] = filepath.Join(t.TempDir(), d.String())
	writeTo(t, f[d], data)
	return d
}

// onlyLoopback is a transport to which every other machine answers that it has
// nothing: no test reaches the well-known mirrors.
type onlyLoopback struct{ next http.RoundTripper }

func (o onlyLoopback) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Host, "127.0.0.1:") {
		return o.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusNotFound, Status: "404 not here", Body: http.NoBody, Request: r}, nil
}

func TestMain(m *testing.M) {
	sandbox.Init() // the packages' scripts run in a sandbox
	http.DefaultClient.Transport = onlyLoopback{http.DefaultTransport}
	os.Exit(m.Run())
}

// jobDesc describes a package for any architecture.
func jobDesc(name, version string) *pacman.Desc {
	return &pacman.Desc{Name: name, Version: version, Arch: "any"}
}
