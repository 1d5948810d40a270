package archive

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseRelease(t *testing.T) {
	got, err := ParseRelease([]byte(`Origin: Debian Backports
Label: Debian Backports
Suite: stable-backports
Codename: one-backports
Version: 12.15
Date: Thu,  9 Jul 2026 02:12:54 UTC
Valid-Until: Thu, 16 Jul 2026 02:12:54 +0000
NotAutomatic: yes
ButAutomaticUpgrades: yes
Acquire-By-Hash: yes
No-Support-for-Architecture-all: Packages
Architectures: all amd64
Components: main contrib
MD5Sum:
 d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages
SHA256:
 ` + emptySum + `        0 main/binary-amd64/Packages
 ` + strings.ToUpper(emptySum) + " 7 a/b\n"))
	if err != nil {
		t.Fatal(err)
	}
	empty := lockfile.DigestOf(nil)
	want := &Release{
		Origin: "Debian Backports", Label: "Debian Backports", Suite: "stable-backports", Codename: "one-backports", Version: "12.15",
		Date: time.Date(2026, 7, 9, 2, 12, 54, 0, time.UTC), ValidUntil: time.Date(2026, 7, 16, 2, 12, 54, 0, time.UTC),
		Components: []string{"main", "contrib"}, Architectures: []string{"all", "amd64"},
		ByHash: true, NoAllIndex: true, NotAutomatic: true, ButAutomaticUpgrades: true,
		Files: map[string]File{"main/binary-amd64/Packages": {0, empty}, "a/b": {7, empty}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Archive() != "Debian%20Backports" {
		t.Errorf("archive %q", got.Archive())
	}
}

func TestParseReleaseRefuses(t *testing.T) {
	sums := "SHA256:\n " + emptySum + " 0 a\n"
	for name, text := range map[string]string{
		"nothing":               "",
		"only weak digests":     "Origin: x\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 a\nSHA1:\n da39a3ee5e6b4b0d3255bfef95601890afd80709 0 a\n",
		"two paragraphs":        "Origin: x\n" + sums + "\nOrigin: y\n" + sums,
		"a date that is none":   "Date: yesterday\n" + sums,
		"a date of other zones": "Date: Thu, 09 Jul 2026 02:12:54 CEST\n" + sums,
		"an offset from UTC":    "Valid-Until: Thu, 09 Jul 2026 02:12:54 +0200\n" + sums,
		"a short digest":        "SHA256:\n e3b0 0 a\n",
		"a negative size":       "SHA256:\n " + emptySum + " -1 a\n",
		"a missing path":        "SHA256:\n " + emptySum + " 0\n",
		"two digests":           sums + " " + emptySum + " 1 a\n",
		"too long":              "Origin: " + strings.Repeat("x", MaxRelease),
	} {
		if r, err := ParseRelease([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte("Origin: a\nDate: Thu, 09 Jul 2026 02:12:54 UTC\nSHA256:\n " + emptySum + " 0 main/binary-amd64/Packages\n"))
	f.Add([]byte("SHA256: x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRelease(data)
		if err != nil {
			return
		}
		if r.Date.Location() != time.UTC {
			t.Errorf("the date %v is not in UTC", r.Date)
		}
		for name, file := range r.Files {
			if name == "" || file.Size < 0 {
				t.Errorf("file %q of size %d", name, file.Size)
			}
		}
	})
}

func TestSignatureErrorTells(t *testing.T) {
	err := error(&SignatureError{Err: ErrUnknownKey, Keys: []string{"AA", "BB"}, Detail: "more"})
	if !errors.Is(err, ErrUnknownKey) || !IsSignature(err) || IsSignature(errors.New("x")) {
		t.Error("the error is not what it says")
	}
	if want := ErrUnknownKey.Error() + ": more (AA, BB)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
