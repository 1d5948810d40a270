package apk_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

const v3Key = "test@example.org-1.rsa.pub"

// v3Keys returns the key that signed the files of testdata/v3.
func v3Keys(t testing.TB) *apk.Keys {
	t.Helper()
	k, err := apk.NewKeys(map[string][]byte{v3Key: v3(t, v3Key)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func v3(t testing.TB, name string) []byte { return read(t, filepath.Join("testdata", "v3", name)) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// v3Hello is what an index of apk 3 says of the package hello.
func v3Hello(t testing.TB) apk.Record {
	return apk.Record{
		Name: "hello", Version: "1.0_p2-r3", Arch: "x86_64", Origin: "hello",
		Identity: unhex(t, "1936c91fe59c29a1d7eb24c238d53663bc0f35c02b51572b0dad19c5141540f1"),
		Size:     1030, InstalledSize: 36, BuildTime: time.Unix(1700000000, 0).UTC(), ProviderPriority: 10,
		Depends:     []string{"foo~2.1", "!goodbye", "hello-data>=1.0", "so:libc.musl-x86_64.so.1"},
		Provides:    []string{"cmd:hello=1.0_p2-r3", "greeter"},
		Replaces:    []string{"howdy<2"},
		InstallIf:   []string{"base=1", "docs"},
		Description: "says hello", License: "MIT", URL: "https://example.org",
		Maintainer: "Someone <someone@example.org>", Commit: "0123456789abcdef0123456789abcdef01234567",
	}
}

func TestIndexADB(t *testing.T) {
	x, err := apk.ReadIndex(bytes.NewReader(v3(t, "sha256.adb")), v3Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if x.Signer != v3Key || x.Description != "test v1" || x.PackagePath != "" || len(x.Records) != 3 {
		t.Errorf("%+v", x)
	}
	if d := cmp.Diff(v3Hello(t), x.Records[0]); d != "" {
		t.Error(d)
	}
	if r := x.Records[1]; r.Version != "1.0_p2~abc12-r3" || r.Arch != "noarch" {
		t.Errorf("%+v", r)
	}
}

func TestIndexADBPackagePath(t *testing.T) {
	x, err := apk.ReadIndex(bytes.NewReader(v3(t, "short.adb")), v3Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if x.PackagePath != "${name:3}/${name}-${version}.apk" {
		t.Error(x.PackagePath)
	}
}

// v3Files are the packages of testdata/v3.
var v3Files = map[string]string{
	"hello":      "hello-1.0_p2-r3.apk",
	"hello-data": "hello-data-1.0_p2~abc12-r3.apk",
	"meta":       "meta-1-r0.apk",
	"unsigned":   "unsigned-2.0~abc12-r3.apk",
}

// TestPackagesADB holds packages against indexes with whole and with short
// identities, and in each compression.
func TestPackagesADB(t *testing.T) {
	for _, name := range []string{"sha256.adb", "short.adb", "mixed.adb", "unsigned.adb"} {
		keys := v3Keys(t)
		if name == "unsigned.adb" {
			keys = nil
		}
		x, err := apk.ReadIndex(bytes.NewReader(v3(t, name)), keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range x.Records {
			if r.Name == "alpine-base" {
				continue // of apk 2; see TestMixedIndex
			}
			b := v3(t, v3Files[r.Name])
			if err := apk.CheckPackage(bytes.NewReader(b), r, v3Keys(t)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got, err := apk.ReadPackage(bytes.NewReader(b))
			if err != nil || !apk.SameIdentity(got.Identity, r.Identity) {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
}

// TestMixedIndex holds a package of apk 2 against an index of apk 3.
func TestMixedIndex(t *testing.T) {
	b := read(t, data(t, "iso-3.19.1/x86_64/alpine-base-3.19.1-r0.apk"))
	x, err := apk.ReadIndex(bytes.NewReader(v3(t, "mixed.adb")), v3Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Records[0]; r.Name != "alpine-base" || len(r.Identity) != 20 {
		t.Errorf("%+v", r)
	}
	if err := apk.CheckPackage(bytes.NewReader(b), x.Records[0], v3Keys(t)); err != nil {
		t.Error(err)
	}
}

func TestReadPackageADB(t *testing.T) {
	got, err := apk.ReadPackage(bytes.NewReader(v3(t, v3Files["hello"])))
	if err != nil {
		t.Fatal(err)
	}
	want := v3Hello(t)
	want.Size, want.ReplacesPriority = 0, 5
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestTrustADB tells what vouches for files of apk 3.
func TestTrustADB(t *testing.T) {
	for _, x := range []struct {
		name   string
		keys   *apk.Keys
		reason error
		signer string
	}{
		{"sha256.adb", keysOf(t, alice()), apk.ErrUnknownKey, "key 63168d94e55c6ab33274e1178252ea3d"},
		{"short.adb", &apk.Keys{}, apk.ErrUnknownKey, "key 63168d94e55c6ab33274e1178252ea3d"},
		{"unsigned.adb", v3Keys(t), apk.ErrNoSignature, ""},
	} {
		_, err := apk.ReadIndex(bytes.NewReader(v3(t, x.name)), x.keys)
		var s *apk.SignatureError
		if !errors.As(err, &s) || !errors.Is(err, x.reason) || s.Signer != x.signer {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	hello := v3Hello(t)
	alone := apk.Record{Name: "hello", Version: "1.0_p2-r3"}
	short := alone
	short.Identity = hello.Identity[:20]
	other := alone
	other.Identity = bytes.Repeat([]byte{1}, 32)
	// What early indexes give is inside the package and proves nothing alone.
	own := alone
	own.Identity = unhex(t, "d84b2afbfb02e92242c0eca764531980b45c5458")
	for what, x := range map[string]struct {
		want apk.Record
		keys *apk.Keys
		err  error
	}{
		"index":                    {hello, nil, nil},
		"index, another's key":     {hello, keysOf(t, alice()), nil},
		"what is installed":        {short, nil, nil},
		"key":                      {alone, v3Keys(t), nil},
		"nothing":                  {alone, nil, apk.ErrUnknownKey},
		"another's key":            {alone, keysOf(t, alice()), apk.ErrUnknownKey},
		"own identity and key":     {own, v3Keys(t), nil},
		"own identity, other key":  {own, keysOf(t, alice()), apk.ErrUnknownKey},
		"own identity and nothing": {own, nil, apk.ErrUnknownKey},
	} {
		err := apk.CheckPackage(bytes.NewReader(v3(t, v3Files["hello"])), x.want, x.keys)
		if !errors.Is(err, x.err) || err == nil && x.err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	var m *apk.MismatchError
	if err := apk.CheckPackage(bytes.NewReader(v3(t, v3Files["hello"])), other, v3Keys(t)); !errors.As(err, &m) || m.What != "identity" {
		t.Error(err)
	}
}

// TestBrokenADB tells that what is put together wrongly is refused.
func TestBrokenADB(t *testing.T) {
	meta := v3(t, v3Files["meta"]) // not compressed
	index := v3(t, "mixed.adb")    // not compressed
	for what, b := range map[string][]byte{
		"index as package": index, "magic": []byte("ADB"), "kind": []byte("ADBx1234567890"), "compression": []byte("ADBc\x09\x001234567890"),
		"no zstd": []byte("ADBc\x02\x001234567890"), "no deflate": []byte("ADBd\xff\xff\xff"), "half": meta[:len(meta)/8],
		"no block": meta[:8], "other inside": []byte("ADBc\x00\x00ABD.pckg"),
		"huge block":        []byte("ADB.pckg\xff\xff\xff\x3f0000"),
		"data before it":    []byte("ADB.pckg\x0c\x00\x00\x8000000000"),
		"later version":     append([]byte("ADB.pckg\x14\x00\x00\x00\x01"), make([]byte, 40)...),
		"extended, too big": []byte("ADB.pckg\x00\x00\x00\xc0\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"),
		"root elsewhere":    append([]byte("ADB.pckg\x14\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xef"), make([]byte, 40)...),
	} {
		if _, err := apk.ReadPackage(bytes.NewReader(b)); !errors.Is(err, apk.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	rec, err := apk.ReadPackage(bytes.NewReader(meta))
	if err != nil {
		t.Fatal(err)
	}
	// The file's bytes end with a block of data that no file of it has.
	extra := append(bytes.Clone(meta), "\x0c\x00\x00\x80\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"...)
	if err := apk.CheckPackage(bytes.NewReader(extra), rec, v3Keys(t)); !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), "data of no file") {
		t.Error(err)
	}
	if err := apk.CheckPackage(bytes.NewReader(append(bytes.Clone(meta), 0)), rec, v3Keys(t)); !errors.Is(err, apk.ErrFormat) {
		t.Error(err)
	}
	if _, err := apk.ReadIndex(bytes.NewReader(meta), v3Keys(t)); !errors.Is(err, apk.ErrFormat) {
		t.Error(err)
	}
}
