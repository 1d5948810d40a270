package cache

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/lockfile"
)

// asNobody runs f as a user who may not read everything, with a directory of
// that user's own.
func asNobody(t *testing.T, f func(own string)) {
	t.Helper()
	own := t.TempDir()
	if os.Geteuid() == 0 {
		const nobody = 65534
		must(t, os.Chmod(filepath.Dir(own), 0o755))
		must(t, os.Chown(own, nobody, nobody))
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, unix.Setfsuid(nobody))
		defer func() { must(t, unix.Setfsuid(0)) }()
	}
	f(own)
}

// What the user may not read is told, and does not keep the rest from coming
// in. What would not be taken anyway is not told.
func TestImportUnreadable(t *testing.T) {
	src, other := t.TempDir(), t.TempDir()
	for _, file := range []string{"closed/a.deb", "b.deb", "sub/c.deb", "z.deb"} {
		put(t, src, file, file)
	}
	put(t, src, "lock", "")
	put(t, src, "partial/d.deb", "half")
	for _, name := range []string{"closed", "b.deb", "lock", "partial"} {
		must(t, os.Chmod(src+"/"+name, 0))
		defer os.Chmod(src+"/"+name, 0o755)
	}
	blob, closed := lockfile.DigestOf([]byte("blob")), lockfile.DigestOf([]byte("closed"))
	put(t, other, blobsPath+"/"+blob.String(), "blob")
	put(t, other, blobsPath+"/"+closed.String(), "closed")
	must(t, os.Chmod(other+"/"+blobsPath+"/"+closed.String(), 0))

	asNobody(t, func(own string) {
		c := open(t, own+"/cache")
		got, err := c.Import(ctx, src, other)
		if want := []string{"", "sub/c.deb", "z.deb"}; !slices.Equal(paths(got.Entries), want) || got.Added != 3 {
			t.Errorf("got %+v", got)
		}
		if !errors.Is(err, fs.ErrPermission) || strings.Count(err.Error(), "\n") != 2 {
			t.Fatalf("error %v, want one line for each of 3", err)
		}
		for _, name := range []string{src + "/closed", src + "/b.deb", closed.String()} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, without %s", err, name)
			}
		}
		wantEmpty(t, c, partialDir)
	})
}

// A directory may be named by a link to it.
func TestImportLinkToDirectory(t *testing.T) {
	src := t.TempDir()
	put(t, src, "pool/a.deb", "A")
	link := t.TempDir() + "/link"
	must(t, os.Symlink(src, link))
	got, err := open(t, t.TempDir()).Import(ctx, link)
	if err != nil || !slices.Equal(paths(got.Entries), []string{"pool/a.deb"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// tarOf makes an archive of members NAME=CONTENT, or NAME>TARGET for a hard
// link.
func tarOf(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, m := range members {
		if n, target, ok := strings.Cut(m, ">"); ok {
			must(t, tw.WriteHeader(&tar.Header{Name: n, Linkname: target, Typeflag: tar.TypeLink}))
			continue
		}
		n, text, _ := strings.Cut(m, "=")
		must(t, tw.WriteHeader(&tar.Header{Name: n, Size: int64(len(text)), Mode: 0o644}))
		must(t, write(tw, text))
	}
	must(t, tw.Close())
	return b.Bytes()
}

// Paths that lead out of the archive, or that no lock could have, lead nowhere
// here: the files are taken, under the last element where that can be a name.
// Hard links, whose files are members of their own, are passed over.
func TestImportTarPaths(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/x.tar", tarOf(t,
		"../../up.deb=1", "/var/cache/apt/archives/abs.deb=2", "with space.deb=4", "a/../../b.deb=5",
		"in/place.deb=6", "hard.deb>in/place.deb", "out.deb>/etc/passwd"), 0o644))
	c := open(t, dir+"/cache")
	got, err := c.Import(ctx, dir+"/x.tar")
	if want := []string{"", "abs.deb", "b.deb", "in/place.deb", "up.deb"}; err != nil || got.Added != 5 || !slices.Equal(slices.Compact(paths(got.Entries)), want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("there is now %v, %v", list, err)
	}
}

// An archive that was cut off anywhere is an error, with what was taken before.
func TestImportCutTar(t *testing.T) {
	whole := tarOf(t, "a.deb=A", "b.deb="+strings.Repeat("b", 1024))
	name := t.TempDir() + "/x.tar"
	for _, length := range []int{0, 100, 512, 700, 1024, 1536, 2000, 2560} {
		must(t, os.WriteFile(name, whole[:length], 0o644))
		got, err := open(t, t.TempDir()).Import(ctx, name)
		if err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%d bytes: %d files, error %v", length, got.Added, err)
		}
	}
	for _, length := range []int{3072, 3584} { // one block of zeros, and two
		must(t, os.WriteFile(name, whole[:length], 0o644))
		if got, err := open(t, t.TempDir()).Import(ctx, name); err != nil || got.Added != 2 {
			t.Errorf("%d bytes: %d files, error %v", length, got.Added, err)
		}
	}
}
