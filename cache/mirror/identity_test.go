package mirror

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// sums is a Format of which packages are known by SHA-1 alone, as with apk: a
// root "<dir>/SUMS" that is the index too.
type sums struct{}

func (sums) Roots(name string) ([]string, bool) {
	dir, base := path.Split(name)
	return []string{dir + "SUMS"}, base == "SUMS"
}

func (sums) Read(root string, get Getter, stored bool) (*Set, error) {
	data, err := get(root)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte("signed\n")) && !stored {
		return nil, errors.New("it is not signed")
	}
	return &Set{Archive: "Sums", Signed: true, Files: []File{{Path: root, Digest: lockfile.DigestOf(data), Size: int64(len(data)), Index: true, Eager: true}}}, nil
}

func (sums) Packages(index File, r io.Reader, yield func(Package) error) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	dir := strings.TrimSuffix(index.Path, "SUMS")
	for line := range strings.Lines(string(data)) {
		var sum []byte
		var name string
		if n, _ := fmt.Sscanf(line, "%x %s\n", &sum, &name); n == 2 {
			if err := yield(Package{Path: dir + name, Size: -1, Identity: sum}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (sums) Checks(string) bool { return true }

func (sums) Check(p Package, _ Getter, r io.ReadSeeker) (Package, error) {
	h := sha1.New()
	if _, err := io.Copy(h, r); err != nil {
		return p, err
	}
	if p.Identity != nil && !bytes.HasPrefix(p.Identity, h.Sum(nil)) {
		return p, errors.New("it has another SHA-1")
	}
	p.Name, p.Version = path.Base(p.Path), "1"
	return p, nil
}

func TestPackagesKnownByAnIdentity(t *testing.T) {
	a, b := bytes.Repeat([]byte("a package "), 50_000), []byte("small")
	index := fmt.Sprintf("signed\n%x a.apk\n%x b.apk\n", sha1.Sum(a), sha1.Sum(b))
	o := newOrigin(t, map[string][]byte{"main/SUMS": []byte(index), "main/a.apk": a, "main/b.apk": b})
	r := newRig(t, Upstream{Prefix: "alp", URLs: []string{o.URL + "/debian"}, Format: sums{}}, nil)
	// A client whose index came from elsewhere gets checked files too.
	r.want("/alp/main/b.apk", 200, b)
	r.want("/alp/main/SUMS", 200, []byte(index))
	for range 2 {
		r.want("/alp/main/a.apk", 200, a)
	}
	r.restart()
	if resp := r.want("/alp/main/a.apk", 200, a); resp.Header.Get("ETag") != `"`+lockfile.DigestOf(a).String()+`"` {
		t.Error(resp.Header)
	}
	if n := o.count("main/a.apk"); n != 1 {
		t.Errorf("%d requests upstream", n)
	}
	left := filepath.Join(r.conf.State, partialDir, "left")
	if err := os.WriteFile(left, a, 0o644); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if _, err := os.Stat(left); err == nil {
		t.Error("what was begun before a kill is still there")
	}
	bad := append(bytes.Clone(a), 'x')
	index2 := fmt.Sprintf("signed\n%x c.apk\n", sha1.Sum([]byte("c")))
	r.stopAll()
	r.conf.Fresh = 1
	o.set(map[string][]byte{"main/SUMS": []byte(index2), "main/c.apk": bad})
	r.start()
	r.want("/alp/main/SUMS", 200, []byte(index2))
	resp, body, err := r.get("/alp/main/c.apk")
	if err == nil && resp.StatusCode == 200 {
		t.Errorf("a bad file was served: %d bytes", len(body))
	}
	if r.store.has(lockfile.DigestOf(bad)) {
		t.Error("a bad file was kept")
	}
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		if path != "main/c.apk" {
			return false
		}
		_, _ = w.Write([]byte("c"))
		return true
	})
	r.want("/alp/main/c.apk", 200, []byte("c"))
}
