package apk_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

func TestReadPackage(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "noarch", "origin = hi", "pkgdesc = says hello", "depend = a>1", "depend = b c",
		"provides = cmd:hello=1.0-r0", "replaces = d", "replaces_priority = 5", "install_if = e f", "provider_priority = 7",
		"license = MIT", "url = https://example.org", "maintainer = M", "commit = 0123", "# depend = no", "unknown = 1", "packager = P")
	got, err := apk.ReadPackage(bytes.NewReader(p.signed(t, alice(), "RSA")))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.DataHash) != 64 {
		t.Error(got.DataHash)
	}
	got.DataHash = ""
	if d := cmp.Diff(apk.Record{
		Name: "hello", Version: "1.0-r0", Arch: "noarch", Origin: "hi", Identity: p.identity(), InstalledSize: 10,
		BuildTime: time.Unix(1700000000, 0).UTC(), Depends: []string{"a>1", "b", "c"}, Provides: []string{"cmd:hello=1.0-r0"},
		Replaces: []string{"d"}, ReplacesPriority: 5, InstallIf: []string{"e", "f"}, ProviderPriority: 7,
		Description: "says hello", License: "MIT", URL: "https://example.org", Maintainer: "M", Commit: "0123",
	}, got); d != "" {
		t.Error(d)
	}
}

// TestCheckPackage tells what vouches for a package.
func TestCheckPackage(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	named := apk.Record{Name: "hello", Version: "1.0-r0", Arch: "x86_64"}
	indexed := named
	indexed.Identity = p.identity()
	other := indexed
	other.Identity = build(t, "hello", "1.0-r0", "x86_64", "pkgdesc = x").identity()
	sized := indexed
	sized.Size = int64(len(p.unsigned()))
	for _, x := range []struct {
		what string
		data []byte
		want apk.Record
		keys *apk.Keys
		err  error
	}{
		{"index and key", p.signed(t, alice(), "RSA"), indexed, keysOf(t, alice()), nil},
		{"index, unsigned", p.unsigned(), indexed, keysOf(t, alice()), nil},
		{"index and size", p.unsigned(), sized, nil, nil},
		{"index, another's key", p.signed(t, bob(), "RSA"), indexed, keysOf(t, alice()), nil},
		{"index, no keys", p.signed(t, bob(), "RSA"), indexed, nil, nil},
		{"key alone", p.signed(t, alice(), "RSA256"), named, keysOf(t, alice()), nil},
		{"nothing vouches", p.unsigned(), named, keysOf(t, alice()), apk.ErrNoSignature},
		{"another's key alone", p.signed(t, bob(), "RSA"), named, keysOf(t, alice()), apk.ErrUnknownKey},
		{"no keys and no index", p.signed(t, alice(), "RSA"), named, nil, apk.ErrUnknownKey},
		{"a bad signature", append(segment(t, false, alice().signature(t, "RSA", p.data)), p.unsigned()...), named, keysOf(t, alice()), apk.ErrBadSignature},
		{"a bad signature, index", append(segment(t, false, alice().signature(t, "RSA", p.data)), p.unsigned()...), indexed, keysOf(t, alice()), apk.ErrBadSignature},
		{"no data", p.control, indexed, nil, apk.ErrFormat},
		{"no control", p.data, indexed, nil, apk.ErrFormat},
		{"no package", []byte("hello"), indexed, nil, apk.ErrFormat},
		{"empty", nil, indexed, nil, apk.ErrFormat},
	} {
		err := apk.CheckPackage(iotest.OneByteReader(bytes.NewReader(x.data)), x.want, x.keys)
		if !errors.Is(err, x.err) || err == nil && x.err != nil {
			t.Errorf("%s: %v, want %v", x.what, err, x.err)
		}
	}
	for what, x := range map[string]struct {
		data []byte
		want apk.Record
	}{
		"identity":     {p.unsigned(), other},
		"data":         {append(p.unsigned(), 0), indexed},
		"name":         {p.unsigned(), apk.Record{Name: "hallo", Version: "1.0-r0", Identity: p.identity()}},
		"version":      {p.unsigned(), apk.Record{Name: "hello", Version: "1.0-r1", Identity: p.identity()}},
		"architecture": {p.unsigned(), apk.Record{Name: "hello", Version: "1.0-r0", Arch: "aarch64", Identity: p.identity()}},
		"size":         {p.unsigned(), apk.Record{Name: "hello", Version: "1.0-r0", Size: 100, Identity: p.identity()}},
	} {
		var m *apk.MismatchError
		if err := apk.CheckPackage(bytes.NewReader(x.data), x.want, nil); !errors.As(err, &m) || m.What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSizeThatTheIndexTells(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	for _, off := range []int64{-1, 1} {
		want := apk.Record{Name: "hello", Version: "1.0-r0", Identity: p.identity(), Size: int64(len(p.unsigned())) + off}
		var m *apk.MismatchError
		if err := apk.CheckPackage(bytes.NewReader(p.unsigned()), want, nil); !errors.As(err, &m) || m.What != "size" {
			t.Errorf("%+d: %v", off, err)
		}
	}
}

// TestEndlessPackage tells that no more is read than the index promises.
func TestEndlessPackage(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	want := apk.Record{Name: "hello", Version: "1.0-r0", Identity: p.identity(), Size: int64(len(p.unsigned()))}
	endless := &counting{}
	var m *apk.MismatchError
	err := apk.CheckPackage(io.MultiReader(bytes.NewReader(p.unsigned()), endless), want, nil)
	if !errors.As(err, &m) || m.What != "size" || endless.n > 1<<20 {
		t.Error(err, endless.n)
	}
}

// counting has a lot of zeros.
type counting struct{ n int }

func (c *counting) Read(p []byte) (int, error) {
	if c.n += len(p); c.n > 64<<20 {
		return 0, io.EOF
	}
	clear(p)
	return len(p), nil
}

// TestNoarch tells that a package for all architectures is right for each.
func TestNoarch(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "noarch")
	want := apk.Record{Name: "hello", Version: "1.0-r0", Arch: "x86_64", Identity: p.identity()}
	if err := apk.CheckPackage(bytes.NewReader(p.unsigned()), want, nil); err != nil {
		t.Error(err)
	}
}

func TestBrokenPackages(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	info := func(text string) []byte { return append(segment(t, false, file{".PKGINFO", text}), p.data...) }
	for what, b := range map[string][]byte{
		"no .PKGINFO":  append(segment(t, false, file{".post-install", ""}), p.data...),
		"no name":      info("pkgver = 1\n"),
		"bad datahash": info("pkgname = a\npkgver = 1\ndatahash = 12\n"),
		"bad size":     info("pkgname = a\npkgver = 1\nsize = x\n"),
		"a path":       info("pkgname = ../../a\npkgver = 1\n"),
		"no tar":       pack(t, []byte(strings.Repeat("x", 2000))),
		"cut":          p.control[:len(p.control)-9],
		"a large one":  pack(t, make([]byte, 65<<20)),
	} {
		if _, err := apk.ReadPackage(bytes.NewReader(b)); !errors.Is(err, apk.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b := info("pkgname = a\npkgver = 1\n")
	r, err := apk.ReadPackage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := apk.CheckPackage(bytes.NewReader(b), r, nil); !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), "no datahash") {
		t.Error(err)
	}
}

// TestReadingFails tells that an error of the reader is not taken for one of
// the package.
func TestReadingFails(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	want := apk.Record{Name: "hello", Version: "1.0-r0", Identity: p.identity()}
	broken := errors.New("the line broke")
	for _, n := range []int{0, 1, 20, len(p.control) + 5} {
		r := &failing{bytes.NewReader(p.unsigned()[:n]), broken}
		if err := apk.CheckPackage(r, want, nil); !errors.Is(err, broken) || errors.Is(err, apk.ErrFormat) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type failing struct {
	r   *bytes.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.r.Len() == 0 {
		return 0, f.err
	}
	return f.r.Read(p)
}

func TestSameIdentity(t *testing.T) {
	long, err := hex.DecodeString("1936c91fe59c29a1d7eb24c238d53663bc0f35c02b51572b0dad19c5141540f1")
	if err != nil {
		t.Fatal(err)
	}
	if !apk.SameIdentity(long, long[:20]) || !apk.SameIdentity(long[:20], long) || apk.SameIdentity(long, long[:19]) ||
		apk.SameIdentity(nil, nil) || apk.SameIdentity(long, bytes.Repeat([]byte{1}, 20)) {
		t.Error("wrong")
	}
}
