package apk_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// helloRecord is the first record of indexText.
func helloRecord(t testing.TB) apk.Record {
	t.Helper()
	id, err := base64.StdEncoding.DecodeString("mcpyM8ftLHlvmaMjdLoBo6zq/Fo=")
	if err != nil {
		t.Fatal(err)
	}
	return apk.Record{
		Name: "hello", Version: "1.0_p2-r3", Arch: "x86_64", Origin: "hello", Identity: id, Size: 1518, InstalledSize: 4096,
		BuildTime: time.Unix(1706291505, 0).UTC(), ProviderPriority: 10,
		Depends:     []string{"so:libc.musl-x86_64.so.1", "hello-data>=1.0", "!goodbye"},
		Provides:    []string{"cmd:hello=1.0_p2-r3", "greeter"},
		InstallIf:   []string{"base=1", "docs"},
		Description: "says hello", License: "MIT", URL: "https://example.org",
		Maintainer: "Someone <someone@example.org>", Commit: "ce3c39d98c0c7edad96cdd5756e7dfc1005e9ca3",
		Unsupported: true,
	}
}

func TestReadIndex(t *testing.T) {
	for _, kind := range []string{"RSA", "RSA256", "RSA512"} {
		x, err := apk.ReadIndex(bytes.NewReader(index(t, indexText, by(t, alice(), kind))), keysOf(t, bob(), alice()))
		if err != nil {
			t.Fatal(err)
		}
		if x.Signer != alice().name || x.Description != "test v1.0" || len(x.Records) != 2 {
			t.Errorf("%s: %+v", kind, x)
		}
		if d := cmp.Diff(helloRecord(t), x.Records[0]); d != "" {
			t.Error(d)
		}
		if r := x.Records[1]; r.Name != "hello-data" || r.Unsupported {
			t.Errorf("%+v", r)
		}
	}
}

func TestReadIndexWithoutKeys(t *testing.T) {
	x, err := apk.ReadIndex(bytes.NewReader(index(t, indexText, nil)), nil)
	if err != nil || x.Signer != "" || len(x.Records) != 2 {
		t.Errorf("%+v, %v", x, err)
	}
	x, err = apk.ReadIndex(bytes.NewReader(index(t, indexText, by(t, alice(), "RSA"))), nil)
	if err != nil || x.Signer != alice().name {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestIndexTrust tells who may sign how.
func TestIndexTrust(t *testing.T) {
	both := func(first, second signer) func([]byte) []file {
		return func(b []byte) []file {
			return []file{first.signature(t, "RSA256", b), second.signature(t, "RSA", b)}
		}
	}
	for _, x := range []struct {
		what   string
		data   []byte
		keys   *apk.Keys
		reason error
		signer string
	}{
		{"no signature", index(t, indexText, nil), keysOf(t, alice()), apk.ErrNoSignature, ""},
		{"another's signature", index(t, indexText, by(t, bob(), "RSA")), keysOf(t, alice()), apk.ErrUnknownKey, bob().name},
		{"no keys at all", index(t, indexText, by(t, bob(), "RSA")), &apk.Keys{}, apk.ErrUnknownKey, bob().name},
		{"two, the second trusted", index(t, indexText, both(bob(), alice())), keysOf(t, alice()), nil, alice().name},
		{"two, both trusted", index(t, indexText, both(bob(), alice())), keysOf(t, alice(), bob()), nil, bob().name},
		{"under another's name", index(t, indexText, func(b []byte) []file {
			f := bob().signature(t, "RSA", b)
			return []file{{".SIGN.RSA." + alice().name, f.text}}
		}), keysOf(t, alice(), bob()), apk.ErrBadSignature, alice().name},
		{"of another index", index(t, indexText, func([]byte) []file {
			return []file{alice().signature(t, "RSA", index(t, "", nil))}
		}), keysOf(t, alice()), apk.ErrBadSignature, alice().name},
		{"of a kind that is not known", index(t, indexText, func(b []byte) []file {
			return []file{{".SIGN.DSA." + alice().name, "x"}}
		}), keysOf(t, alice()), apk.ErrNoSignature, ""},
		{"an appended member", append(index(t, indexText, by(t, alice(), "RSA")), index(t, indexText, nil)...), keysOf(t, alice()), apk.ErrBadSignature, alice().name},
		{"appended bytes", append(index(t, indexText, by(t, alice(), "RSA")), "x"...), keysOf(t, alice()), apk.ErrBadSignature, alice().name},
	} {
		got, err := apk.ReadIndex(bytes.NewReader(x.data), x.keys)
		if x.reason == nil {
			if err != nil || got.Signer != x.signer {
				t.Errorf("%s: %+v, %v", x.what, got, err)
			}
			continue
		}
		var s *apk.SignatureError
		if !errors.As(err, &s) || !errors.Is(err, x.reason) || s.Signer != x.signer || !strings.Contains(err.Error(), x.reason.Error()) {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}

// TestSignatureSegments tells that signatures may come in several members, but
// never together with what they sign.
func TestSignatureSegments(t *testing.T) {
	plain := index(t, indexText, nil)
	two := slices.Concat(segment(t, false, bob().signature(t, "RSA", plain)), segment(t, false, alice().signature(t, "RSA", plain)), plain)
	x, err := apk.ReadIndex(bytes.NewReader(two), keysOf(t, alice()))
	if err != nil || x.Signer != alice().name {
		t.Errorf("%+v, %v", x, err)
	}
	mixed := append(segment(t, false, alice().signature(t, "RSA", plain), file{"APKINDEX", indexText}), plain...)
	if _, err := apk.ReadIndex(bytes.NewReader(mixed), keysOf(t, alice())); !errors.Is(err, apk.ErrFormat) {
		t.Error(err)
	}
	many := plain
	for range 70 {
		many = append(segment(t, false, alice().signature(t, "RSA", plain)), many...)
	}
	if _, err := apk.ReadIndex(bytes.NewReader(many), keysOf(t, bob())); !errors.Is(err, apk.ErrFormat) {
		t.Error(err)
	}
}

// TestBrokenIndex tells that what is no index is refused, with the line.
func TestBrokenIndex(t *testing.T) {
	for text, want := range map[string]string{
		"P:a\nV:1\n\nP:b\n\n":  "APKINDEX:5: malformed: a package has no version",
		"V:1\n\n":              "a package has no name",
		"P:a\nV:1\nhello\n":    `APKINDEX:3: malformed: "hello" is no field`,
		"P:../a\nV:1\n\n":      `"../a" is no name`,
		"P:a\nV:1/2\n\n":       `"1/2" is no version`,
		"P:a\nV:1\nA:x86 64\n": `"x86 64" is no architecture`,
		"P:a\nV:1\nS:many\n":   "APKINDEX:3: malformed: field S",
		"P:a\nV:1\nS:-1\n":     "field S",
		"P:a\nV:1\nC:Q1AAAA\n": `"Q1AAAA" is no digest`,
		"P:a\nV:1\nC:Q2mcpyM8ftLHlvmaMjdLoBo6zq/Fo=\n": "is no digest",
		"P:a\nV:1\nC:Q9mcpyM8ftLHl=\n":                 "is no digest",
		"P:a\nV:1\nk:x\n":                              "field k",
		"P:a\nV:1\nt:x\n":                              "field t",
		"P:" + strings.Repeat("a", 300):                "is no name",
	} {
		_, err := apk.ReadIndex(bytes.NewReader(index(t, text, nil)), nil)
		if !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	whole := index(t, indexText, by(t, alice(), "RSA"))
	for what, b := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "half": whole[:len(whole)/2], "cut": whole[:len(whole)-1],
		"signature only": segment(t, false, alice().signature(t, "RSA", nil)),
		"no APKINDEX":    segment(t, true, file{"x", "y"}),
	} {
		if _, err := apk.ReadIndex(bytes.NewReader(b), nil); !errors.Is(err, apk.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestIdentities(t *testing.T) {
	for text, want := range map[string]int{
		"Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=":                                      20,
		"X199ca7233c7ed2c796f99a32374ba01a3aceafc5a":                          20,
		"Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=mcpyM8ftLHlvmaMj":                      32,
		"Q2GTbJH+WcKaHX6yTCONU2Y7wPNcArUVcrDa0ZxRQVQPE=":                      32,
		"X21936c91fe59c29a1d7eb24c238d53663bc0f35c02b51572b0dad19c5141540f1":  32,
		"X11936c91fe59c29a1d7eb24c238d53663bc0f35c0":                          20,
		"X11936c91fe59c29a1d7eb24c238d53663bc0f35c02b51572b0dad19c5141540f1":  32,
		"Q1" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)): 32,
	} {
		x, err := apk.ReadIndex(bytes.NewReader(index(t, "P:a\nV:1\nC:"+text+"\n\n", nil)), nil)
		if err != nil || len(x.Records[0].Identity) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
