package mirror

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/lockfile"
)

// smallDisk mounts a file system of so many bytes, until the test ends; resize
// gives it another size.
func smallDisk(t *testing.T, bytes int) (dir string, resize func(bytes int)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
		t.Skipf("needs to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func(bytes int) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size="+strconv.Itoa(bytes)); err != nil {
			t.Fatal(err)
		}
	}
}

// A package that the disk has no room for is no success, upstream is not asked
// for it again and again, and what is there is served. With room it comes.
func TestFullCache(t *testing.T) {
	dir, resize := smallDisk(t, 512<<10)
	repo, o, r := simple(t, func(c *Config) { c.Cache = dir })
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	resp, body, err := r.get(largePath)
	if err == nil && resp.StatusCode == http.StatusOK {
		t.Fatalf("%s with %d bytes on a full disk", resp.Status, len(body))
	}
	if err == nil && !strings.Contains(string(body), "no space left") {
		t.Errorf("the reason is not told: %.300s", body)
	}
	if n := o.count(largeDeb); n != 1 {
		t.Errorf("upstream was asked %d times for what there is no room for", n)
	}
	r.want(smallPath, 200, repo.debs[smallDeb])
	r.want(packagesPath, 200, o.files["dists/one/main/binary-amd64/Packages.xz"])
	resize(64 << 20)
	r.want(largePath, 200, repo.debs[largeDeb])
}

// A set that cannot be written down is not seen, and the last one is served,
// with the reason; nothing of the state is lost.
func TestFullState(t *testing.T) {
	dir, resize := smallDisk(t, 16<<20)
	repo, o, r := simple(t, func(c *Config) { always(c); c.State = dir })
	updated(r)
	r.waitIndexed()
	before := o.files["dists/one/InRelease"]
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filler, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, rand.Reader); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	repo.build("third", "1", 10)
	o.set(repo.publish())
	resp := r.want(inReleasePath, 200, before)
	if w := strings.Join(resp.Header.Values("Warning"), " "); !strings.Contains(w, "no space left") {
		t.Errorf("the warning does not tell the reason: %q", w)
	}
	r.want(packagesPath, 200, nil)
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	resize(32 << 20)
	r.restart()
	r.want(inReleasePath, 200, o.files["dists/one/InRelease"])
	r.want(packagesPath, 200, o.files["dists/one/main/binary-amd64/Packages.xz"])
}

// Whatever lies in a blob's place is not served and does not hang a client: the
// file is fetched again, or the answer is an error.
func TestWhatIsNoBlob(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	want := repo.debs[smallDeb]
	blob := filepath.Join(r.conf.Cache, "blobs/sha256", lockfile.DigestOf(want).String())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("s"), len(want)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		make    func() error
		refused bool
	}{
		"directory":  {func() error { return os.Mkdir(blob, 0o755) }, false},
		"pipe":       {func() error { return unix.Mkfifo(blob, 0o644) }, false},
		"empty":      {func() error { return os.WriteFile(blob, nil, 0o644) }, false},
		"other text": {func() error { return os.WriteFile(blob, bytes.Repeat([]byte("x"), len(want)), 0o644) }, false},
		"link":       {func() error { return os.Symlink(secret, blob) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r.hot.clear()
			if err := os.RemoveAll(blob); err != nil {
				t.Fatal(err)
			}
			if err := c.make(); err != nil {
				t.Fatal(err)
			}
			resp, body := r.mustGet(smallPath)
			switch {
			case c.refused && resp.StatusCode != http.StatusBadGateway:
				t.Errorf("%s with %d bytes", resp.Status, len(body))
			case !c.refused && (resp.StatusCode != http.StatusOK || !bytes.Equal(body, want)):
				t.Errorf("%s with %d bytes %.100q", resp.Status, len(body), body)
			}
		})
	}
}

// An upstream that falls silent in the middle is asked for the rest; one that
// never says anything is no success, and ends after a time.
func TestSilentUpstream(t *testing.T) {
	repo, o, r := simple(t, func(c *Config) { c.Stall = 300 * time.Millisecond })
	updated(r)
	silent := func(req *http.Request) { <-req.Context().Done() }
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, data []byte) bool {
		if path != largeDeb || req.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("ETag", `"`+lockfile.DigestOf(data).String()[:20]+`"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/3])
		_ = http.NewResponseController(w).Flush()
		silent(req)
		return true
	})
	r.want(largePath, 200, repo.debs[largeDeb])
	if n := o.count(largeDeb); n != 2 {
		t.Errorf("upstream was asked %d times", n)
	}
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, data []byte) bool {
		if path == smallDeb {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			silent(req)
		}
		return path == smallDeb
	})
	if resp, body := r.mustGet(smallPath); resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%s with %d bytes of a silent upstream", resp.Status, len(body))
	}
	o.setMood(nil)
	r.want(smallPath, 200, repo.debs[smallDeb])
}

// A client has what has come while upstream still thinks about the rest,
// however fast that came.
func TestStreamsWhatHasCome(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	want := repo.debs[largeDeb]
	half, had := len(want)/2, make(chan bool)
	o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, data []byte) bool {
		if path != largeDeb {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:half])
		_ = http.NewResponseController(w).Flush()
		<-had // the rest comes only when the client has had this
		_, _ = w.Write(data[half:])
		return true
	})
	resp, err := http.Get(r.url + largePath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make([]byte, half)
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		t.Fatal(err)
	}
	close(had)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Errorf("%d and %d bytes, %v", len(got), len(rest), err)
	}
}

// A file that someone else has put into the store meanwhile is hashed like any
// other before it is served.
func TestWhatAppearsMeanwhileIsChecked(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	r.waitIndexed()
	target, err := r.resolve(t.Context(), "192.0.2.1:1", r.upstreams[0], smallDeb)
	if err != nil {
		t.Fatal(err)
	}
	blob := r.store.blobPath(target.want.digest)
	if err := os.WriteFile(blob, bytes.Repeat([]byte("x"), int(target.want.size)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.fly(target.up, target.want, target.path, target.where()).wait(t.Context()); err != nil || o.count(smallDeb) != 0 {
		t.Fatalf("%v; upstream was asked %d times", err, o.count(smallDeb))
	}
	r.want(smallPath, 200, repo.debs[smallDeb])
	// Neither is it trusted for long: someone writes over it in its place.
	r.hot.clear()
	if err := os.WriteFile(blob, bytes.Repeat([]byte("y"), int(target.want.size)), 0o644); err != nil {
		t.Fatal(err)
	}
	r.want(smallPath, 200, repo.debs[smallDeb])
	// A use that is noted on the disk is no change.
	long := time.Now().Add(-48 * time.Hour)
	r.hot.clear()
	if err := os.Chtimes(blob, long, long); err != nil {
		t.Fatal(err)
	}
	r.want(smallPath, 200, repo.debs[smallDeb])
	info, err := os.Stat(blob)
	if err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("its use is not noted: %v, %v", info.ModTime(), err)
	}
	r.store.checkedMu.RLock()
	defer r.store.checkedMu.RUnlock()
	if known := r.store.checked[target.want.digest]; known != idOf(info) {
		t.Error("it will be hashed again for no reason")
	}
}
