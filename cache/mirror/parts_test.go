package mirror

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

func TestLinesAfterACrash(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lines")
	for _, c := range []struct{ before, after string }{{"", ""}, {"a\n", "a\n"}, {"a\nb", "a\n"}, {"b", ""}, {"a\n\nb\x00\x00", "a\n\n"}} {
		if err := os.WriteFile(name, []byte(c.before), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openLines(name)
		if err != nil {
			t.Fatal(err)
		}
		if at, err := l.add([]byte("next\n")); err != nil || at != int64(len(c.after)) {
			t.Errorf("%q: at %d, %v", c.before, at, err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(name); string(b) != c.after+"next\n" {
			t.Errorf("%q became %q", c.before, b)
		}
	}
}

func TestJournalKeepsToItsFields(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	l, err := openLines(name)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{l}
	if err := j.record(time.Unix(0, 0), event{what: "got", path: "a\tb\nc", note: "x\x7fy"}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(name); string(b) != "1970-01-01T00:00:00Z\tgot\t-\ta b c\t-\t-\tx y\n" {
		t.Errorf("%q", b)
	}
}

func seen(i int) Seen {
	return Seen{Digest: lockfile.DigestOf([]byte(fmt.Sprint(i))), Size: int64(i), Archive: "Debian", Prefix: "debian", Path: fmt.Sprintf("pool/p%d.deb", i),
		Name: fmt.Sprintf("p%d", i), Version: "1:1.0+x~y", Arch: "amd64", First: time.Unix(1_700_000_000, 0).UTC()}
}

func TestHistoryAfterACrash(t *testing.T) {
	dir := t.TempDir()
	file, index := filepath.Join(dir, "history"), filepath.Join(dir, "history.db")
	h, err := openHistory(file, index)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if n, changed, err := h.add([]Seen{seen(i), seen(i)}); err != nil || n == 0 || len(changed) != 0 {
			t.Fatal(n, changed, err)
		}
	}
	if n, _, err := h.add([]Seen{seen(0), seen(2)}); n != 0 || err != nil {
		t.Error("what is known was added again", n, err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	// The index lags behind the lines, a line is torn, the index is gone, the
	// index is rubbish, the index tells of more than there is.
	late := seen(3)
	for name, harm := range map[string]func() error{
		"nothing":     func() error { return nil },
		"late line":   func() error { return appendTo(file, late.line()) },
		"torn line":   func() error { return appendTo(file, late.line()[:20]) },
		"no index":    func() error { return os.Remove(index) },
		"bad index":   func() error { return os.WriteFile(index, bytes.Repeat([]byte("x"), 9000), 0o644) },
		"empty index": func() error { return os.WriteFile(index, nil, 0o644) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		h, err := openHistory(file, index)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range 3 {
			if s, ok := h.digest(seen(i).Digest); !ok || !reflect.DeepEqual(s, seen(i)) {
				t.Errorf("%s: %d is %+v", name, i, s)
			}
			if got := h.find(byPath, "debian\x00"+seen(i).Path+"\x00", 5); len(got) != 1 {
				t.Errorf("%s: by path: %v", name, got)
			}
		}
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.Truncate(file, int64(len(late.line()))); err != nil {
		t.Fatal(err)
	}
	h, err = openHistory(file, index)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if _, ok := h.digest(seen(2).Digest); ok {
		t.Error("the index tells of a line that is not there")
	}
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

func FuzzParseSeen(f *testing.F) {
	s := seen(1)
	f.Add(s.line())
	f.Add("x y z\n")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok := parseSeen(line)
		if !ok {
			return
		}
		again, ok := parseSeen(s.line())
		if !ok || !reflect.DeepEqual(again, s) {
			t.Errorf("%q was read as %+v, and its line as %+v", line, s, again)
		}
	})
}

func TestPathIndex(t *testing.T) {
	name := filepath.Join(t.TempDir(), "index")
	var records []pathRecord
	pkg := func(i int) Package {
		p := Package{Path: fmt.Sprintf("pool/%d", i), Size: int64(i) - 1, Digest: lockfile.DigestOf([]byte{byte(i)})}
		if i%3 == 0 {
			p.Digest, p.Identity = lockfile.Digest{}, []byte(fmt.Sprintf("identity %d", i))
		}
		return p
	}
	const n = 60_000 // more than one buffer
	for i := range n {
		p := pkg(i)
		r, err := newPathRecord(&p)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	sortRecords(records)
	if err := writePathIndex(name, records); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 997 {
		p := pkg(i)
		w, ok, err := lookupPath(name, p.Path)
		if err != nil || !ok || w.digest != p.Digest || w.size != p.Size || !bytes.HasPrefix(w.identity[:], p.Identity) {
			t.Errorf("%d: %+v %t %v", i, w, ok, err)
		}
	}
	if _, ok, err := lookupPath(name, "pool/none"); ok || err != nil {
		t.Error(ok, err)
	}
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lookupPath(name, "pool/1"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if _, err := newPathRecord(&Package{Path: "x"}); err == nil {
		t.Error("a package without a digest was taken")
	}
	if err := writePathIndex(name, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := lookupPath(name, "x"); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestDebianRoots(t *testing.T) {
	d := &Debian{}
	for path, want := range map[string]string{
		"dists/sid/InRelease":                 "dists/sid/InRelease!",
		"dists/sid/Release":                   "dists/sid/Release!",
		"dists/sid/Release.gpg":               "dists/sid/Release!",
		"dists/bookworm/updates/InRelease":    "dists/bookworm/updates/InRelease!",
		"dists/sid/main/binary-amd64/Release": "dists/sid/main/binary-amd64/InRelease dists/sid/main/binary-amd64/Release dists/sid/main/InRelease dists/sid/main/Release dists/sid/InRelease dists/sid/Release",
		"dists/sid/Contents-amd64.gz":         "dists/sid/InRelease dists/sid/Release",
		"pool/main/h/hello/hello_1.deb":       "",
		"InRelease":                           "InRelease!",
		"Packages.xz":                         "InRelease Release",
		"./flat/Packages"[2:]:                 "flat/InRelease flat/Release InRelease Release",
		"dists/README":                        "",
	} {
		roots, begins := d.Roots(path)
		got := strings.Join(roots, " ")
		if begins {
			got += "!"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func collect(t *testing.T, index, text string) ([]Package, error) {
	t.Helper()
	var out []Package
	err := (&Debian{}).Packages(File{Path: index}, strings.NewReader(text), func(p Package) error { out = append(out, p); return nil })
	return out, err
}

func TestDebianIndexes(t *testing.T) {
	d := lockfile.DigestOf(nil)
	got, err := collect(t, "dists/x/main/binary-amd64/Packages", "Package: a\nVersion: 1\nArchitecture: all\nFilename: ./pool/a.deb\nSize: 3\nSHA256: "+d.String()+
		"\n\nPackage: b\nFilename: ../b.deb\nSize: 3\nSHA256: "+d.String()+"\n\nPackage: c\nFilename: c.deb\nSize: 3\nMD5sum: 0\n")
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], Package{Path: "pool/a.deb", Size: 3, Digest: d, Name: "a", Version: "1", Arch: "all"}) {
		t.Errorf("%+v %v", got, err)
	}
	got, err = collect(t, "dists/x/main/source/Sources.xz", "Package: a\nVersion: 1\nDirectory: pool/a\nChecksums-Sha256:\n "+d.String()+" 4 a_1.dsc\n "+d.String()+" 5 a_1.tar.xz\n "+d.String()+" 5 ../../x\n")
	if err != nil || len(got) != 2 || got[0].Arch != "source" || got[1].Path != "pool/a/a_1.tar.xz" || got[1].Name != "" {
		t.Errorf("%+v %v", got, err)
	}
	got, err = collect(t, "dists/x/main/binary-amd64/Packages.diff/Index", "SHA256-Download:\n "+d.String()+" 7 T-1-F-2.gz\n")
	if err != nil || len(got) != 2 || got[0].Path != "dists/x/main/binary-amd64/Packages.diff/T-1-F-2.gz" || !strings.Contains(got[1].Path, "/by-hash/SHA256/") {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"Package: a\nDirectory: x\nChecksums-Sha256:\n zz 4 a\n", "Package: a\nDirectory: x\nChecksums-Sha256:\n " + d.String() + " -4 a\n"} {
		if _, err := collect(t, "Sources", bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzDebianPackages(f *testing.F) {
	d := lockfile.DigestOf(nil).String()
	f.Add("Packages", "Package: a\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 3\nSHA256: "+d+"\n")
	f.Add("Sources", "Package: a\nDirectory: p\nChecksums-Sha256:\n "+d+" 4 a.dsc\n")
	f.Add("x.diff/Index", "SHA256-Download:\n "+d+" 4 a.gz\n")
	f.Fuzz(func(t *testing.T, index, text string) {
		_ = (&Debian{}).Packages(File{Path: "d/" + index}, strings.NewReader(text), func(p Package) error {
			if lockfile.CheckPath(p.Path) != nil || p.Size < 0 || p.Digest.IsZero() && len(p.Identity) == 0 {
				t.Errorf("%+v", p)
			}
			_, err := newPathRecord(&p)
			return err
		})
	})
}

func FuzzDebianRead(f *testing.F) {
	d := lockfile.DigestOf(nil).String()
	f.Add("Origin: a\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\nSHA256:\n " + d + " 0 main/binary-amd64/Packages\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := (&Debian{Architectures: []string{"amd64"}}).Read("dists/x/Release", func(path string) ([]byte, error) {
			if strings.HasSuffix(path, ".gpg") {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		}, false)
		if err != nil {
			return
		}
		for _, file := range set.Files {
			for _, p := range append(slices.Clone(file.Others), file.Path) {
				if lockfile.CheckPath(p) != nil {
					t.Errorf("%q", p)
				}
			}
		}
	})
}

func TestStampFollowsFromTheDigest(t *testing.T) {
	a, b := stampOf(lockfile.DigestOf([]byte("a"))), stampOf(lockfile.DigestOf([]byte("b")))
	if a.Equal(b) || !a.Equal(stampOf(lockfile.DigestOf([]byte("a")))) {
		t.Error(a, b)
	}
	for i := range 1000 {
		if s := stampOf(lockfile.DigestOf([]byte(itoa(i)))); s.Year() < 1990 || s.Year() > 2019 || s.Nanosecond() != 0 {
			t.Error(s)
		}
	}
}

func TestHotFilesAreBounded(t *testing.T) {
	var s hotFiles
	defer s.clear()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, make([]byte, smallFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	var kept []*hotFile
	for i := range 1000 {
		for _, size := range []int64{smallFile, smallFile + 1} {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			d := lockfile.DigestOf([]byte(fmt.Sprint(i, size)))
			h, err := newHotFile(d, file, size)
			if err != nil {
				t.Fatal(err)
			}
			s.put(d, h)
			s.put(d, h)
			if got := s.get(d); got != h {
				t.Fatal("what was put last is not there")
			}
			h.release() // of get
			h.release() // ours
			if size > smallFile && i%100 == 0 {
				kept = append(kept, s.get(d))
			}
		}
		open, bytes := 0, 0
		for _, h := range s.m {
			bytes += h.cost()
			if h.file != nil {
				open++
			}
		}
		if s.bytes > maxHot || s.bytes != bytes || s.open > maxOpen || s.open != open {
			t.Fatalf("%d bytes and %d files are counted; %d, %d are there", s.bytes, s.open, bytes, open)
		}
	}
	if s.get(lockfile.Digest{}) != nil {
		t.Error("there is a file of no digest")
	}
	// Files that were dropped while requests had them are open until the end of
	// those.
	for _, h := range kept {
		if _, err := h.file.Stat(); err != nil {
			t.Error(err)
		}
		h.release()
	}
	last := lockfile.DigestOf([]byte(fmt.Sprint(999, smallFile)))
	s.m[last].until = time.Now().Add(-time.Second)
	if s.get(last) != nil {
		t.Error("a file is served from memory for so long that its use is not seen on disk")
	}
	s.tidy(time.Now().Add(touchEvery + time.Second))
	if len(s.m) != 0 || s.bytes != 0 || s.open != 0 {
		t.Errorf("%d files, %d bytes, %d open after their time", len(s.m), s.bytes, s.open)
	}
}

func TestSmallFilesOnConditions(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	data := repo.debs[smallDeb]
	modified := stampOf(lockfile.DigestOf(data)).Format(http.TimeFormat)
	for range 3 { // while it arrives, from disk, from memory
		r.want(smallPath, 200, data)
		if resp, _ := r.mustGet(smallPath, "If-Modified-Since", modified); resp.StatusCode != 304 {
			t.Error(resp.Status)
		}
		if resp, body := r.mustGet(smallPath, "Range", "bytes=5-9"); resp.StatusCode != 206 || !bytes.Equal(body, data[5:10]) {
			t.Error(resp.Status)
		}
		if resp, _ := r.mustGet(smallPath, "If-None-Match", `"`+lockfile.DigestOf(data).String()+`"`); resp.StatusCode != 304 {
			t.Error(resp.Status)
		}
	}
}
