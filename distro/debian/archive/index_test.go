package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

const packagesText = `Package: a
Source: src (1:0.9)
Version: 1:1.0-1
Architecture: amd64
Essential: yes
Multi-Arch: same
Depends: libc6 (>= 2.36),
 libx
Pre-Depends: init
Provides: virtual (= 1)
Conflicts: b
Breaks: c (<< 2)
Replaces: d
Description: never read
Filename: ./pool/main/s/src/a_1.0-1_amd64.deb
Size: 12
SHA256: ` + emptySum + `

Package: evil
Version: 1
Architecture: all
Filename: ../../etc/passwd
Size: 1
SHA256: ` + emptySum + `

Package: weak
Version: 1
Architecture: all
Filename: weak.deb
Size: 1
MD5sum: d41d8cd98f00b204e9800998ecf8427e

Package: b
Version: 2
Architecture: all
Filename: b.deb
Size: 1
SHA256: ` + emptySum + `
`

func all([]byte) bool { return true }

func fileOf(text string) File {
	return File{Size: int64(len(text)), Digest: lockfile.DigestOf([]byte(text))}
}

func TestReadPackages(t *testing.T) {
	got, err := ReadPackages(strings.NewReader(packagesText), fileOf(packagesText), func(name []byte) bool { return string(name) != "b" })
	if err != nil {
		t.Fatal(err)
	}
	want := []Record{{
		Package: distro.Package{Name: "a", Version: "1:1.0-1", Arch: "amd64"}, Path: "pool/main/s/src/a_1.0-1_amd64.deb", Size: 12,
		Digest: lockfile.DigestOf(nil), Source: "src (1:0.9)", Depends: "libc6 (>= 2.36),\n libx", PreDepends: "init",
		Provides: "virtual (= 1)", Conflicts: "b", Breaks: "c (<< 2)", Replaces: "d", MultiArch: "same", Essential: true,
	}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadPackagesHoldsTheFileToItsRelease(t *testing.T) {
	for name, data := range map[string]string{
		"shorter": packagesText[:len(packagesText)-1], "longer": packagesText + "\n",
		"changed": strings.Replace(packagesText, "1.0-1", "1.0-2", 1), "not a Packages file": "x", "empty": "",
	} {
		got, err := ReadPackages(strings.NewReader(data), fileOf(packagesText), all)
		var d *lockfile.DigestError
		if !errors.As(err, &d) || got != nil {
			t.Errorf("%s: %d records, error %v", name, len(got), err)
		}
	}
	failing := io.MultiReader(strings.NewReader(packagesText[:100]), iotest.ErrReader(fs.ErrPermission))
	if _, err := ReadPackages(failing, fileOf(packagesText), all); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	if _, err := ReadPackages(strings.NewReader("x"), fileOf("x"), all); err == nil {
		t.Error("a file that is as listed but no Packages file was read")
	}
	if _, err := ReadPackages(strings.NewReader("x"), File{Size: maxIndex + 1}, all); err == nil {
		t.Error("an index of absurd size was read")
	}
}

func FuzzScanPackages(f *testing.F) {
	f.Add([]byte(packagesText))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := ReadPackages(bytes.NewReader(data), fileOf(string(data)), all)
		if err != nil {
			return
		}
		for _, r := range records {
			if err := lockfile.CheckPath(r.Path); err != nil || r.Name == "" || r.Size < 0 {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
}

func TestURLs(t *testing.T) {
	for _, tt := range []struct{ base, suite, want string }{
		{"http://x/debian", "one", "http://x/debian/dists/one/"},
		{"http://x/debian/", "one/updates", "http://x/debian/dists/one/updates/"},
		{"http://x/", "./", "http://x/./"},
		{"http://x/", "/", "http://x/"},
		{"http://x/", "sub/dir/", "http://x/sub/dir/"},
	} {
		if got := Dir(tt.base, tt.suite); got != tt.want {
			t.Errorf("Dir(%q, %q) = %q, want %q", tt.base, tt.suite, got, tt.want)
		}
	}
	if got := PackagesPath("main", "amd64"); got != "main/binary-amd64/Packages" {
		t.Error(got)
	}
}

// shelf is a Fetcher over a map.
type shelf map[string][]byte

func (s shelf) Get(_ context.Context, url string) (io.ReadCloser, error) {
	data, ok := s[url]
	if !ok {
		return nil, fmt.Errorf("%s: %w", url, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s shelf) Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error) {
	for _, u := range urls {
		if data, ok := s[u]; ok && lockfile.DigestOf(data) == want && int64(len(data)) == size {
			return s.Get(ctx, u)
		}
	}
	return nil, fs.ErrNotExist
}

func TestFetchReleaseDetached(t *testing.T) {
	g := newGPG(t)
	g.Key("", "key-a", "ed25519", "0")
	keys := g.keys("key-a")
	const dir = "http://x/dists/one/"
	ctx := context.Background()
	s := shelf{dir + "Release": []byte(releaseText)}
	if _, err := FetchRelease(ctx, s, dir, keys, time.Now()); !errors.Is(err, ErrNoSignature) {
		t.Errorf("without a signature: %v", err)
	}
	if rel, err := FetchUnsigned(ctx, s, dir); err != nil || rel.Codename != "one" {
		t.Errorf("without a look at the signature: %+v, %v", rel, err)
	}
	s[dir+"Release.gpg"] = g.Detach("", releaseText, "key-a")
	if rel, err := FetchRelease(ctx, s, dir, keys, time.Now()); err != nil || rel.Codename != "one" {
		t.Errorf("with a signature: %+v, %v", rel, err)
	}
	s[dir+"InRelease"] = []byte("junk")
	if _, err := FetchRelease(ctx, s, dir, keys, time.Now()); !errors.Is(err, ErrMalformed) {
		t.Errorf("with a bad InRelease beside: %v", err)
	}
	s[dir+"InRelease"] = make([]byte, MaxRelease+1)
	if _, err := FetchRelease(ctx, s, dir, keys, time.Now()); err == nil || IsSignature(err) {
		t.Errorf("with an endless InRelease: %v", err)
	}
}

func TestFetchPackagesTakesTheBestForm(t *testing.T) {
	const dir, path = "http://x/dists/one/", "main/binary-amd64/Packages"
	xz := []byte("listed, but not kept")
	rel := &Release{Files: map[string]File{path: fileOf(packagesText), path + ".xz": fileOf(string(xz))}}
	s := shelf{dir + path: []byte(packagesText)}
	got, err := FetchPackages(context.Background(), s, dir, rel, path, true, all)
	if err != nil || len(got) != 2 {
		t.Errorf("%d records, error %v", len(got), err)
	}
	if _, err := FetchPackages(context.Background(), s, dir, rel, "other", true, all); !errors.Is(err, ErrNotListed) {
		t.Errorf("an index that is not listed: %v", err)
	}
	delete(s, dir+path)
	s[dir+"main/binary-amd64/by-hash/SHA256/"+fileOf(packagesText).Digest.String()] = []byte(packagesText)
	if got, err := FetchPackages(context.Background(), s, dir, rel, path, true, all); err != nil || len(got) != 2 {
		t.Errorf("by hash: %d records, error %v", len(got), err)
	}
	if _, err := FetchPackages(context.Background(), s, dir, rel, path, false, all); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not by hash: %v", err)
	}
}
