package alpine

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// data returns the path of real inputs, or skips.
func data(t testing.TB, name string) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../shared/data")
	path, err := filepath.Abs(filepath.Join(dir, "alpine", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("the real data is not here: ", err)
	}
	return path
}

// needRoot skips what only root can do.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can install packages")
	}
}

// minirootfs unpacks one of Alpine's minimal roots.
func minirootfs(t testing.TB, version string) string {
	t.Helper()
	from := data(t, "minirootfs/alpine-minirootfs-"+version+".tar.gz")
	root := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", from, "-C", root).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return root
}

// rootWith makes a root of the given files.
func rootWith(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(root, name), content)
	}
	return root
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func openRoot(t testing.TB, root string) *System {
	t.Helper()
	s, err := open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recorded keeps what is warned of.
type recorded struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorded) events() *distro.Events {
	return &distro.Events{Warn: func(m string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, m)
	}}
}

func (r *recorded) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// record is a stanza of apk's database.
func record(name, version, arch string, more ...string) string {
	return "P:" + name + "\nV:" + version + "\nA:" + arch + "\nS:1\nI:1\n" + strings.Join(append(more, ""), "\n") + "\n"
}

// installedAll lists what is installed.
func installedAll(t testing.TB, root string) []distro.Package {
	t.Helper()
	ps, err := openRoot(t, root).Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func joined(ps []distro.Package) string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return strings.Join(out, "|")
}

// mirror serves directories by the first parts of their paths.
func mirror(t testing.TB, dirs map[string]string) string {
	t.Helper()
	mux := http.NewServeMux()
	for prefix, dir := range dirs {
		mux.Handle(prefix+"/", http.StripPrefix(prefix, http.FileServer(http.Dir(dir))))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// atMirror sets the root to repositories.
func atMirror(t testing.TB, root string, repositories ...string) {
	t.Helper()
	put(t, filepath.Join(root, "etc/apk/repositories"), strings.Join(repositories, "\n")+"\n")
}

// testFetcher is a fetcher for what the test serves itself: anything else is
// not there.
type testFetcher struct{ distrotest.Fetcher }

func newFetcher(t testing.TB) *testFetcher {
	return &testFetcher{distrotest.Fetcher{Dir: t.TempDir()}}
}

func ours(url string) bool {
	return strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasPrefix(url, "file:")
}

func (f *testFetcher) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	if !ours(url) {
		return nil, fmt.Errorf("%s: %w", url, fs.ErrNotExist)
	}
	return f.Fetcher.Get(ctx, url)
}

func (f *testFetcher) Identify(ctx context.Context, want distro.Unhashed) (lockfile.Digest, error) {
	var urls []string
	for _, u := range want.URLs {
		if ours(u) {
			urls = append(urls, u)
		}
	}
	want.URLs = urls
	return f.Fetcher.Identify(ctx, want)
}

// blobsOf is a cache of the files of directories.
type blobsOf map[lockfile.Digest]string

func newBlobs(t testing.TB, dirs ...string) blobsOf {
	t.Helper()
	out := blobsOf{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil {
				out[lockfile.DigestOf(text)] = f
			}
		}
	}
	return out
}

// Path implements [distro.Blobs].
func (b blobsOf) Path(_ context.Context, d lockfile.Digest) (string, error) {
	if path, ok := b[d]; ok {
		return path, nil
	}
	return "", fmt.Errorf("no file with SHA-256 %s: %w", d, fs.ErrNotExist)
}

// packed makes a package of apk 2, unsigned.
func packed(t testing.TB, dir, name, version, info string, files map[string]string) string {
	t.Helper()
	control, body := parts(t, name, version, info, files)
	path := filepath.Join(dir, name+"-"+version+".apk")
	put(t, path, string(control)+string(body))
	return path
}

// parts makes the control and the data segment of a package.
func parts(t testing.TB, name, version, info string, files map[string]string) (control, body []byte) {
	t.Helper()
	body = tarGz(t, files, true)
	text := "pkgname = " + name + "\npkgver = " + version + "\nsize = 1\narch = noarch\n" + info
	text += fmt.Sprintf("datahash = %s\n", lockfile.DigestOf(body))
	return tarGz(t, map[string]string{".PKGINFO": text}, false), body
}

// tarGz makes one gzip member of a tar; whole says that its end is in it.
func tarGz(t testing.TB, files map[string]string, whole bool) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	var errs []error
	dirs := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, mode := files[name], int64(0o644)
		if dir := filepath.Dir(name); !dirs[dir] {
			dirs[dir] = true
			for i, c := range dir + "/" {
				if c == '/' {
					errs = append(errs, tw.WriteHeader(&tar.Header{Name: dir[:i], Mode: 0o755, Typeflag: tar.TypeDir, Format: tar.FormatUSTAR}))
				}
			}
		}
		if strings.HasPrefix(name, ".") && name != ".PKGINFO" {
			mode = 0o755
		}
		h := &tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Format: tar.FormatUSTAR}
		if !strings.HasPrefix(name, ".") {
			h.Format = tar.FormatPAX
			h.PAXRecords = map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sha1.Sum([]byte(content)))}
		}
		errs = append(errs, tw.WriteHeader(h))
		_, err := tw.Write([]byte(content))
		errs = append(errs, err)
	}
	errs = append(errs, tw.Flush())
	if whole {
		errs = append(errs, tw.Close())
	}
	if err := errors.Join(append(errs, zw.Close())...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// lockOf makes a lock of files, for a root.
func lockOf(t testing.TB, system lockfile.System, files ...string) (*lockfile.Lock, blobsOf) {
	t.Helper()
	lock, blobs := &lockfile.Lock{System: system}, blobsOf{}
	for _, f := range files {
		d := lockfile.DigestOf([]byte(read(t, f)))
		blobs[d] = f
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: system.Arch + "/" + filepath.Base(f), Archive: lockfile.Archive{Name: "test", URL: "http://test.example"}})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock, blobs
}

// install installs what is pending of a lock.
func install(t testing.TB, root string, lock *lockfile.Lock, blobs distro.Blobs) (string, error) {
	t.Helper()
	s := openRoot(t, root)
	pending, err := s.Pending(t.Context(), lock, blobs)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: pending, Blobs: blobs, Output: &out})
	return out.String(), err
}
