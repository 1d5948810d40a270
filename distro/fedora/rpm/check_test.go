package rpm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func check(data []byte, keys *Keyring) (*Package, *Signer, error) {
	return Check(bytes.NewReader(data), keys)
}

func TestSignedPackagesOfEachKindOfKey(t *testing.T) {
	unsigned, source := build(t, exampleSpec)
	for _, algorithm := range []string{"rsa2048", "ed25519", "dsa2048"} {
		t.Run(algorithm, func(t *testing.T) {
			g := newGPG(t)
			print := g.Key("20240101T000000", "packager", algorithm, "0")
			for _, pkg := range [][]byte{unsigned, source} {
				data := g.sign(pkg, "20240102T030405", "packager", "--digest-algo SHA256")
				p, signer, err := check(data, g.keys("packager"))
				if err != nil {
					t.Fatal(err)
				}
				want := &Signer{
					Fingerprint: print, Primary: print, UserID: "packager <packager@example.org>",
					Time: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
				}
				if d := cmp.Diff(want, signer); d != "" {
					t.Error(d)
				}
				if p.Name != "example" {
					t.Errorf("the package is %s", p)
				}
			}
		})
	}
}

func TestWhatAPackageSaysOfItself(t *testing.T) {
	binary, source := build(t, exampleSpec, "source_date_epoch_from_changelog 0", "_binary_payload w3.zstdio")
	p, err := CheckDigests(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	front, err := ReadPackage(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, front); d != "" {
		t.Errorf("CheckDigests and ReadPackage differ: %s", d)
	}
	if len(p.HeaderSHA256) != 64 || len(p.PayloadSHA256) != 64 || len(p.PayloadSHA256Alt) != 64 {
		t.Errorf("digests %q %q %q", p.HeaderSHA256, p.PayloadSHA256, p.PayloadSHA256Alt)
	}
	if since := time.Since(p.BuildTime); since < 0 || since > time.Hour {
		t.Errorf("built %s", p.BuildTime)
	}
	want := &Package{
		NEVRA:     NEVRA{"example", 1, "2.0~rc1", "3^git1.fc40", "noarch"},
		SourceRPM: "example-2.0~rc1-3^git1.fc40.src.rpm", Vendor: "Example Project",
		ModularityLabel: "example:1:20210101:abcdef", Compressor: "zstd", InstalledSize: 3893 + 8893 + 13893,
		HeaderSHA256: p.HeaderSHA256, PayloadSHA256: p.PayloadSHA256, PayloadSHA256Alt: p.PayloadSHA256Alt, BuildTime: p.BuildTime,
		Conflicts: []Dependency{{"old", Less, "1"}},
		Obsoletes: []Dependency{{"older", Less | Equal, "0:0.9-2"}},
		Provides:  []Dependency{{"example", Equal, "1:2.0~rc1-3^git1.fc40"}, {"other(thing)", Equal, "5"}},
		Requires:  p.Requires,
	}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
	var required []string
	for _, r := range p.Requires {
		if !r.IsRpmlib() {
			required = append(required, r.String())
		}
	}
	if d := cmp.Diff([]string{"(grep or busybox)", "/bin/sh", "bash >= 4"}, required); d != "" {
		t.Error(d)
	}
	if p, err = CheckDigests(bytes.NewReader(source)); err != nil {
		t.Fatal(err)
	}
	if p.String() != "example-1:2.0~rc1-3^git1.fc40.src" || p.SourceRPM != "" {
		t.Errorf("the source package is %s of %q", p, p.SourceRPM)
	}
}

func TestWhoseSignatureCounts(t *testing.T) {
	unsigned, _ := build(t, exampleSpec)
	g := newGPG(t)
	for _, name := range []string{"packager", "stranger", "gone", "late"} {
		expires := "0"
		if name == "late" {
			expires = "1y"
		}
		g.Key("20200101T000000", name, "rsa2048", expires)
	}
	sub := g.Key("20200101T000000", "owner", "rsa2048", "0")
	g.Run("20200101T000000", "", "--quick-add-key", sub, "ed25519", "sign", "0")
	subkeys := g.Fingerprints("owner")
	all := g.keys("packager", "gone", "late", "owner")
	g.Run("", "", "--quick-set-expire", g.Fingerprints("late")[0], "0")
	lateSigned := g.sign(unsigned, "20220601T000000", "late")
	goneSigned := g.sign(unsigned, "20200601T000000", "gone")
	g.Revoke(g.Fingerprints("gone")[0])

	for _, c := range []struct {
		name string
		data []byte
		keys *Keyring
		want error
	}{
		{"a trusted key", g.sign(unsigned, "", "packager"), all, nil},
		{"a subkey", g.sign(unsigned, "", subkeys[1]+"!"), all, nil},
		{"no signature", unsigned, all, ErrNoSignature},
		{"a key that is not trusted", g.sign(unsigned, "", "stranger"), all, ErrUnknownKey},
		{"no keys", g.sign(unsigned, "", "packager"), nil, ErrUnknownKey},
		{"a key that expired later", g.sign(unsigned, "20200601T000000", "late"), all, nil},
		{"a key that had expired", lateSigned, all, ErrKeyExpired},
		{"a key that was renewed", lateSigned, Join(all, g.keys("late")), nil},
		{"a key that was revoked later", goneSigned, Join(all, g.keys("gone")), ErrKeyRevoked},
		{"SHA-1", g.sign(unsigned, "", "packager", "--digest-algo SHA1", "--weak-digest MD5"), all, ErrWeakDigest},
		{"signed again by a trusted key", g.sign(g.sign(unsigned, "", "stranger"), "", "packager"), all, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := check(c.data, c.keys)
			if !errors.Is(err, c.want) || (c.want != nil) != IsSignature(err) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			var s *SignatureError
			if errors.As(err, &s) && c.want != ErrNoSignature && len(s.Keys) != 1 {
				t.Errorf("%v names the keys %q", s, s.Keys)
			}
		})
	}
}

// Every byte that a signature or a digest covers counts, and so do those which
// none does, but for a few that are known.
func TestNoFlippedByteGoesUnnoticed(t *testing.T) {
	unsigned, _ := build(t, exampleSpec)
	g := newGPG(t)
	g.Key("", "packager", "rsa2048", "0")
	data := g.sign(unsigned, "", "packager")
	keys := g.keys("packager")
	f, err := readFront(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := check(data, keys); err != nil {
		t.Fatal(err)
	}
	headerAt := bytes.Index(data, f.header.raw)
	missed := map[string]int{}
	for at := range data {
		damaged := bytes.Clone(data)
		damaged[at] ^= byte(1 << (at % 8))
		p, signer, err := check(damaged, keys)
		if err != nil {
			if p != nil || signer != nil {
				t.Fatalf("byte %d: a package beside the error %v", at, err)
			}
			continue
		}
		switch {
		case at == 8 || at == 9 || at == 76 || at == 77:
			missed["lead"]++ // the architecture and the system
		case at >= leadSize && at < headerAt:
			missed[f.signatureField(at-leadSize)]++
		default:
			t.Errorf("byte %d of %d was flipped and is not noticed", at, len(data))
		}
	}
	// PAYLOADSIZE is that of the payload uncompressed. A bit of how long a
	// signature's key ID or a number is may go unnoticed.
	t.Logf("not noticed, by where they are: %v", missed)
	for where, n := range missed {
		if most := map[string]int{"lead": 4, "tag 1007": 4, "table": 2, "tag 268": 4}[where]; n > most {
			t.Errorf("%d flipped bytes of the signatures are not noticed (%s)", n, where)
		}
	}
	for _, cut := range []int{0, 1, leadSize - 1, leadSize + 3, leadSize + 20, headerAt - 1, headerAt + 15, headerAt + 200, headerAt + len(f.header.raw), len(data) - 1} {
		if _, _, err := check(data[:cut], keys); err == nil {
			t.Errorf("cut to %d bytes, it is taken for whole", cut)
		}
	}
	if _, _, err := check(append(bytes.Clone(data), 0), keys); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

// signatureField names the part of the signature header that a byte is in.
func (f *front) signatureField(at int) string {
	h := f.signatures
	table := introSize + entrySize*(len(h.entries)+1)
	if at < table {
		return "table"
	}
	for _, e := range h.entries {
		if at-table >= e.from && at-table < e.to {
			return fmt.Sprint("tag ", e.tag)
		}
	}
	return "between"
}

func TestDamageIsToldFromForgery(t *testing.T) {
	unsigned, _ := build(t, exampleSpec)
	g := newGPG(t)
	g.Key("", "packager", "rsa2048", "0")
	data := g.sign(unsigned, "", "packager")
	data[len(data)-100] ^= 1
	_, _, err := check(data, g.keys("packager"))
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "payload") {
		t.Errorf("a flipped byte of the payload: %v", err)
	}
	if _, err := CheckDigests(bytes.NewReader(data)); !errors.Is(err, ErrDamaged) {
		t.Errorf("CheckDigests: %v", err)
	}
}
