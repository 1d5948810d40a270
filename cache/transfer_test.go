package cache

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// put writes a file below dir, with the folders it needs.
func put(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(t, os.WriteFile(p, []byte(text), 0o644))
}

func paths(entries []lockfile.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Path)
	}
	slices.Sort(out)
	return out
}

func lockOf(entries ...string) *lockfile.Lock {
	l := &lockfile.Lock{Date: time.Date(2026, 11, 15, 9, 0, 0, 0, time.UTC)}
	for _, e := range entries {
		p, text, _ := strings.Cut(e, "=")
		l.Entries = append(l.Entries, lockfile.Entry{Path: p, Digest: lockfile.DigestOf([]byte(text)), Archive: lockfile.Archive{Name: "Debian"}})
	}
	return l
}

func TestImportTree(t *testing.T) {
	src := t.TempDir()
	put(t, src, "pool/main/a/a_1.deb", "A")
	put(t, src, "b_1%3a2.deb", "B")
	put(t, src, "copy/of/a.deb", "A")
	put(t, src, "lock", "")
	put(t, src, "partial/c.deb", "half")
	put(t, src, ".hidden", "h")
	put(t, src, "SHA256SUMS", "the lock")
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	must(t, os.Symlink(secret, src+"/link.deb"))
	c := open(t, t.TempDir())
	for round, added := range []int{2, 0} {
		got, err := c.Import(ctx, src)
		must(t, err)
		if want := []string{"b_1%3a2.deb", "copy/of/a.deb", "pool/main/a/a_1.deb"}; !slices.Equal(paths(got.Entries), want) || got.Added != added {
			t.Errorf("round %d: %+v", round, got)
		}
	}
	names, err := c.Names(ctx, lockfile.DigestOf([]byte("A")))
	if err != nil || len(names) != 2 {
		t.Errorf("names %v, %v", names, err)
	}
	if c.Has(lockfile.DigestOf([]byte("secret"))) {
		t.Error("a link was followed")
	}
	// The copy does not change with the file that it was made of.
	put(t, src, "pool/main/a/a_1.deb", "changed")
	_, err = c.Path(ctx, lockfile.DigestOf([]byte("A")))
	must(t, err)
	wantEmpty(t, c, partialDir)
}

func TestImportCaches(t *testing.T) {
	good, bad := lockfile.DigestOf([]byte("good")), lockfile.DigestOf([]byte("bad"))
	reproGet := t.TempDir()
	put(t, reproGet, blobsPath+"/"+good.String(), "good")
	put(t, reproGet, blobsPath+"/"+bad.String(), "not bad")
	put(t, reproGet, blobsPath+"/.download-1.tmp", "half")
	put(t, reproGet, "metadata/sha256/"+good.String(), `{"Basename":"good_1.deb"}`)
	put(t, reproGet, "metadata/sha256/"+bad.String(), `{"Basename":"../bad"}`)
	c := open(t, t.TempDir())
	got, err := c.Import(ctx, reproGet)
	var wrong *lockfile.DigestError
	if !errors.As(err, &wrong) || wrong.Want != bad || got.Added != 1 || !slices.Equal(paths(got.Entries), []string{"good_1.deb"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	wantEmpty(t, c, partialDir)

	second := open(t, t.TempDir())
	got, err = second.Import(ctx, c.Dir())
	if err != nil || got.Added != 1 || got.Bytes != 4 || !slices.Equal(paths(got.Entries), []string{"good_1.deb"}) {
		t.Errorf("from samebits: %+v, %v", got, err)
	}
}

// TestImportSparseTar has files of which a tar file leaves the holes out. They
// cannot be read where they lie in it, in any of the forms that GNU tar writes.
func TestImportSparseTar(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "holes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), 1<<20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.WriteFile(filepath.Join(dir, "after"), bytes.Repeat([]byte("x"), 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]string{
		{"--format=posix", "--sparse-version=0.0"}, {"--format=posix", "--sparse-version=0.1"}, {"--format=posix", "--sparse-version=1.0"}, {"--format=gnu"},
	} {
		archive := filepath.Join(t.TempDir(), "a.tar")
		out, err := exec.Command("tar", append(form, "-C", dir, "--sparse", "-cf", archive, "holes", "after")...).CombinedOutput()
		if err != nil {
			t.Skipf("no sparse files here: %v: %s", err, out)
		}
		c := open(t, t.TempDir())
		done, err := c.Import(ctx, archive)
		if err == nil || !strings.Contains(err.Error(), "sparse") || done.Added != 0 {
			t.Errorf("%s: took %d files, %v", form, done.Added, err)
		}
	}
}

func TestImportTarAndFile(t *testing.T) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, m := range []string{"./pool/a.deb=A", "pool/b.deb=BB", "SHA256SUMS=lock"} {
		n, text, _ := strings.Cut(m, "=")
		must(t, tw.WriteHeader(&tar.Header{Name: n, Size: int64(len(text)), Mode: 0o644}))
		must(t, write(tw, text))
	}
	must(t, tw.WriteHeader(&tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}))
	must(t, tw.Close())
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/x.tar", b.Bytes(), 0o644))
	put(t, dir, "c.deb", "C")
	c := open(t, t.TempDir())
	got, err := c.Import(ctx, dir+"/x.tar", dir+"/c.deb")
	if err != nil || got.Added != 3 || !slices.Equal(paths(got.Entries), []string{"c.deb", "pool/a.deb", "pool/b.deb"}) {
		t.Errorf("got %+v, %v", got, err)
	}

	c = open(t, t.TempDir())
	for what, content := range map[string][]byte{"cut": b.Bytes()[:512], "garbage": bytes.Repeat([]byte("x"), 2048)} {
		must(t, os.WriteFile(dir+"/bad.tar", content, 0o644))
		if got, err := c.Import(ctx, dir+"/bad.tar"); err == nil || got.Added > 0 || !strings.Contains(err.Error(), "bad.tar") {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if _, err := c.Import(ctx, dir+"/absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzImportTar(f *testing.F) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	tw.WriteHeader(&tar.Header{Name: "../a.deb", Size: 3, Mode: 0o644})
	tw.Write([]byte("abc"))
	tw.Close()
	f.Add(b.Bytes())
	f.Add([]byte{})
	dir := f.TempDir()
	c := open(f, dir+"/cache")
	f.Fuzz(func(t *testing.T, b []byte) {
		must(t, os.WriteFile(dir+"/x.tar", b, 0o644))
		got, _ := c.Import(ctx, dir+"/x.tar")
		for _, e := range got.Entries {
			if _, err := c.Path(ctx, e.Digest); err != nil || lockfile.CheckPath(e.Path) != nil {
				t.Errorf("%+v: %v", e, err)
			}
		}
	})
}

func TestExportPool(t *testing.T) {
	sha256sum, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("needs sha256sum")
	}
	c := open(t, t.TempDir())
	add(t, c, "A")
	add(t, c, "B")
	dest := t.TempDir() + "/new/dir"
	lock := lockOf("pool/a.deb=A", "pool/b+b/b.deb=B")
	for range 2 { // a second export finds all in place
		must(t, c.Export(ctx, lock, dest, LayoutPool))
		cmd := exec.Command(sha256sum, "--strict", "-c", "SHA256SUMS")
		cmd.Dir = dest
		if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 2 {
			t.Errorf("%v: %s", err, out)
		}
	}
	entries, _ := filepath.Glob(dest + "/*/.samebits*")
	if len(entries) > 0 {
		t.Errorf("left over: %v", entries)
	}
	must(t, os.WriteFile(dest+"/pool/a.deb", []byte("mine"), 0o644))
	if err := c.Export(ctx, lock, dest, LayoutPool); err == nil || !strings.Contains(err.Error(), "pool/a.deb is there and has other bytes") {
		t.Errorf("got %v", err)
	}
}

func TestExportFlat(t *testing.T) {
	c := open(t, t.TempDir())
	damaged := add(t, c, "A")
	add(t, c, "B")
	must(t, os.WriteFile(c.blobPath(damaged), []byte("?"), 0o644))
	dest := t.TempDir()
	err := c.Export(ctx, lockOf("x/a.deb=A", "y/b.deb=B", "z/c.deb=C"), dest, LayoutFlat)
	var missing *MissingError
	var wrong *lockfile.DigestError
	if !errors.As(err, &missing) || len(missing.Entries) != 2 || !errors.As(err, &wrong) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	got, _ := os.ReadDir(dest)
	if len(got) != 1 || got[0].Name() != "b.deb" {
		t.Errorf("got %v", got)
	}
}

func TestExportRefuses(t *testing.T) {
	c := open(t, t.TempDir())
	add(t, c, "A")
	add(t, c, "B")
	outside := t.TempDir()
	dest := t.TempDir()
	must(t, os.Symlink(outside, dest+"/pool"))
	tests := []struct {
		name   string
		lock   *lockfile.Lock
		layout Layout
	}{
		{"one name twice", lockOf("x/a.deb=A", "y/a.deb=B"), LayoutFlat},
		{"the lock's name", lockOf("SHA256SUMS=A"), LayoutPool},
		{"the lock's name in a tar", lockOf("SHA256SUMS=A"), LayoutTar},
		{"way out", lockOf("../a.deb=A"), LayoutPool},
		{"link out", lockOf("pool/a.deb=A"), LayoutPool},
		{"file for a folder", lockOf("x=A", "x/y=B"), LayoutPool},
		{"unknown layout", lockOf("a=A"), "zip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := dest
			if tt.layout == LayoutTar {
				to += "/x.tar"
			}
			if err := c.Export(ctx, tt.lock, to, tt.layout); err == nil {
				t.Error("no error")
			}
		})
	}
	if got, _ := os.ReadDir(outside); len(got) > 0 {
		t.Errorf("written outside of the destination: %v", got)
	}
}

func TestExportTar(t *testing.T) {
	c := open(t, t.TempDir())
	add(t, c, "A")
	long := "pool/" + strings.Repeat("long/", 60) + "b.deb"
	var outs [][]byte
	for i, lock := range []*lockfile.Lock{lockOf("pool/a.deb=A", long+"=B"), lockOf(long+"=B", "pool/a.deb=A")} {
		dest := filepath.Join(t.TempDir(), "out.tar")
		if i == 0 {
			var missing *MissingError
			if err := c.Export(ctx, lock, dest, LayoutTar); !errors.As(err, &missing) {
				t.Errorf("got %v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(dest)); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			add(t, c, "B")
		}
		must(t, c.Export(ctx, lock, dest, LayoutTar))
		b, err := os.ReadFile(dest)
		must(t, err)
		outs = append(outs, b)
		if err := c.Export(ctx, lock, dest, LayoutTar); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over an existing file: %v", err)
		}
		back := open(t, t.TempDir())
		if got, err := back.Import(ctx, dest); err != nil || got.Added != 2 {
			t.Errorf("import of the export: %+v, %v", got, err)
		}
	}
	if !bytes.Equal(outs[0], outs[1]) {
		t.Error("two orders of one lock give two tar files")
	}
	const golden = "65b381312a22d79c7324acdaf18608dcbe9aa036e87249cb1ec4c8b52021b0c3"
	if got := fmt.Sprint(lockfile.DigestOf(outs[0])); got != golden {
		t.Errorf("the tar file is %s, not %s", got, golden)
	}
}
