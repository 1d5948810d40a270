package rpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// A tagValue is an entry of a header to be made.
type tagValue struct {
	tag, kind uint32
	count     int
	data      []byte
}

func binValue(tag uint32, data []byte) tagValue { return tagValue{tag, typeBin, len(data), data} }

func textValue(tag uint32, s string) tagValue {
	return tagValue{tag, typeString, 1, append([]byte(s), 0)}
}

func textsValue(tag uint32, s ...string) tagValue {
	return tagValue{tag, typeStringArray, len(s), []byte(strings.Join(s, "\x00") + "\x00")}
}

func intsValue(tag uint32, n ...uint32) tagValue {
	v := tagValue{tag: tag, kind: typeInt32, count: len(n)}
	for _, i := range n {
		v.data = binary.BigEndian.AppendUint32(v.data, i)
	}
	return v
}

// makeHeader makes a header of values, in the order given.
func makeHeader(region uint32, values ...tagValue) []byte {
	var table, data []byte
	put := func(tag, kind uint32, offset, count int) []byte {
		b := binary.BigEndian.AppendUint32(nil, tag)
		b = binary.BigEndian.AppendUint32(b, kind)
		b = binary.BigEndian.AppendUint32(b, uint32(int32(offset)))
		return binary.BigEndian.AppendUint32(b, uint32(count))
	}
	for _, v := range values {
		for width := widths[min(int(v.kind), len(widths)-1)]; width > 1 && len(data)%width != 0; {
			data = append(data, 0)
		}
		table = append(table, put(v.tag, v.kind, len(data), v.count)...)
		data = append(data, v.data...)
	}
	table = append(put(region, typeBin, len(data), entrySize), table...)
	data = append(data, put(region, typeBin, -len(table), entrySize)...)
	out := bytes.Clone(headerMagic)
	out = binary.BigEndian.AppendUint32(out, uint32(len(table)/entrySize))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return slices.Concat(out, table, data)
}

func makeLead(name string) []byte {
	lead := make([]byte, leadSize)
	copy(lead, leadMagic+"\x03\x00\x00\x00\x00\x01"+name)
	lead[77], lead[79] = 1, leadSignatureHeader
	return lead
}

// plainValues are those of a smallest package with that payload.
func plainValues(payload []byte) []tagValue {
	sum := sha256.Sum256(payload)
	return []tagValue{
		textValue(tagName, "small"), textValue(tagVersion, "1"), textValue(tagRelease, "2"), textValue(tagArch, "noarch"),
		textValue(tagSourceRPM, "small-1-2.src.rpm"),
		textsValue(tagPayloadDigest, hex.EncodeToString(sum[:])), intsValue(tagPayloadAlgorithm, pgpSHA256),
	}
}

// assemble makes a package file.
func assemble(signatures []tagValue, header, payload []byte) []byte {
	s := makeHeader(regionSignatures, signatures...)
	padding := make([]byte, -len(s)&7)
	return slices.Concat(makeLead("small-1-2"), s, padding, header, payload)
}

// keysOf is the keyring with a signer's key.
func keysOf(t testing.TB, s *openpgptest.Signer) *Keyring {
	t.Helper()
	k, err := LoadKeys(s.Keyring())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignaturesOfOtherTools(t *testing.T) {
	s, other := openpgptest.NewSigner(t), openpgptest.NewSigner(t)
	payload := []byte("the payload")
	covered := makeHeader(regionImmutable, plainValues(payload)...)
	bare := makeHeader(regionImmutable, plainValues(payload)[:5]...)
	weak := makeHeader(regionImmutable, append(plainValues(payload)[:5], textsValue(tagPayloadDigest, strings.Repeat("0", 32)), intsValue(tagPayloadAlgorithm, 1))...)
	whole := slices.Concat(bare, payload)
	text := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	for _, c := range []struct {
		name       string
		signatures []tagValue
		header     []byte
		want       error
	}{
		{"version 3, as RHEL 8", []tagValue{binValue(tagRSAHeader, s.Version3(covered))}, covered, nil},
		{"version 4", []tagValue{binValue(tagRSAHeader, s.Version4(covered))}, covered, nil},
		{"rpm 6", []tagValue{textsValue(tagOpenPGP, text(s.Version4(covered))), binValue(tagReserved, make([]byte, 32))}, covered, nil},
		{"rpm 6, of two signers", []tagValue{textsValue(tagOpenPGP, text(other.Version4(covered)), text(s.Version4(covered)))}, covered, nil},
		{"rpm 6, of another", []tagValue{textsValue(tagOpenPGP, text(other.Version4(covered)))}, covered, ErrUnknownKey},
		{"rpm 6, not in base64", []tagValue{textsValue(tagOpenPGP, "*")}, covered, ErrMalformed},
		{"over both, as CentOS 7", []tagValue{binValue(tagRSAHeader, s.Version3(bare)), binValue(sigTagPGP, s.Version3(whole))}, bare, nil},
		{"only over both", []tagValue{binValue(sigTagPGP, s.Version3(whole))}, bare, nil},
		{"header only", []tagValue{binValue(tagRSAHeader, s.Version3(bare))}, bare, ErrPartial},
		{"header with an MD5 of the payload", []tagValue{binValue(tagRSAHeader, s.Version3(weak))}, weak, ErrPartial},
		{"header, and both by another", []tagValue{binValue(tagRSAHeader, s.Version3(bare)), binValue(sigTagPGP, other.Version3(whole))}, bare, ErrPartial},
		{"header, and both wrong", []tagValue{binValue(tagRSAHeader, s.Version3(covered)), binValue(sigTagPGP, s.Version3(whole))}, covered, ErrBadSignature},
		{"of something else", []tagValue{binValue(tagRSAHeader, s.Version3(whole))}, covered, ErrBadSignature},
		{"one good, one bad", []tagValue{binValue(tagDSAHeader, s.Version4(bare)), binValue(tagRSAHeader, s.Version4(covered))}, covered, ErrBadSignature},
		{"none", nil, covered, ErrNoSignature},
		{"an empty one", []tagValue{binValue(tagRSAHeader, []byte{0x89, 0, 0})}, covered, ErrMalformed},
		{"a short one of version 3", []tagValue{binValue(tagRSAHeader, s.Version3(covered)[:21])}, covered, ErrMalformed},
		{"of version 2", []tagValue{binValue(tagRSAHeader, append([]byte{0x89, 0, 19, 2}, make([]byte, 18)...))}, covered, ErrMalformed},
		{"a key", []tagValue{binValue(tagRSAHeader, s.BareKey())}, covered, ErrMalformed},
		{"a digest that is wrong", []tagValue{binValue(tagRSAHeader, s.Version3(covered)), textValue(tagSHA256Header, strings.Repeat("0", 64))}, covered, ErrDamaged},
		{"an unknown tag", []tagValue{binValue(tagRSAHeader, s.Version3(covered)), textValue(tagSHA256Header-1, "x")}, covered, ErrDamaged},
		{"bytes in the reserve", []tagValue{binValue(tagRSAHeader, s.Version3(covered)), binValue(sigTagReserved, []byte("x"))}, covered, ErrDamaged},
		{"another size", []tagValue{binValue(tagRSAHeader, s.Version3(covered)), intsValue(sigTagSize, 5)}, covered, ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := assemble(c.signatures, c.header, payload)
			p, signer, err := check(data, keysOf(t, s))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && (p.String() != "small-1-2.noarch" || !signer.Time.Equal(openpgptest.SignedAt)) {
				t.Errorf("%s by %+v", p, signer)
			}
			for at := leadSize; c.want == nil && at < len(data); at++ {
				bad := bytes.Clone(data)
				bad[at] ^= 0x40
				if _, _, err := check(bad, keysOf(t, s)); err == nil && at > len(data)-len(payload)-len(c.header) {
					t.Fatalf("byte %d was flipped and is not noticed", at)
				}
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	good := plainValues(nil)
	with := func(more ...tagValue) []byte {
		return makeHeader(regionImmutable, append(slices.Clone(good), more...)...)
	}
	without := func(i int) []byte { return makeHeader(regionImmutable, slices.Delete(slices.Clone(good), i, i+1)...) }
	edit := func(at int, b ...byte) []byte {
		h := with()
		copy(h[at:], b)
		return h
	}
	entryAt := func(i, field int) int { return introSize + i*entrySize + 4*field }
	if _, err := ReadPackage(bytes.NewReader(assemble(nil, with(), nil))); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string][]byte{
		"nothing":                   nil,
		"another magic":             edit(0, 'x'),
		"no tags":                   edit(8, 0, 0, 0, 0),
		"many tags":                 edit(8, 0, 1, 0, 0),
		"a gigabyte of data":        edit(12, 0x40),
		"more data than there is":   edit(12, 0x0f),
		"no region":                 makeHeader(regionSignatures, good...),
		"a region of a part":        edit(entryAt(0, 2)+3, 1),
		"a trailer of another":      edit(len(with())-1, 17),
		"an offset outside":         edit(entryAt(1, 2), 0x7f),
		"a negative offset":         edit(entryAt(1, 2), 0xff, 0xff, 0xff, 0xff),
		"a count outside":           edit(entryAt(7, 3), 0x7f),
		"a count of zero":           edit(entryAt(7, 3), 0, 0, 0, 0),
		"a type not known":          edit(entryAt(1, 1), 0, 0, 0, 10),
		"a type of null":            edit(entryAt(1, 1), 0, 0, 0, 0),
		"two strings in one":        edit(entryAt(1, 3), 0, 0, 0, 2),
		"a tag of the system":       edit(entryAt(1, 0), 0, 0, 0, 64),
		"a tag twice":               with(good[0]),
		"an odd number":             with(tagValue{tagEpoch, typeInt32, 1, []byte{0, 0}}),
		"a string without end":      with(tagValue{tagVendor, typeString, 1, bytes.Repeat([]byte("x"), 8)}),
		"no name":                   without(0),
		"no version":                without(1),
		"no arch":                   without(3),
		"an epoch out of range":     with(intsValue(tagEpoch, 1<<31)),
		"a name that is a way":      makeHeader(regionImmutable, append([]tagValue{textValue(tagName, "../x")}, good[1:]...)...),
		"a version with hyphens":    makeHeader(regionImmutable, append([]tagValue{good[0], textValue(tagVersion, "1-2")}, good[2:]...)...),
		"fewer flags than names":    with(textsValue(tagRequireName, "a", "b"), intsValue(tagRequireFlags, 1), textsValue(tagRequireVersion, "", "")),
		"fewer versions than names": with(textsValue(tagProvideName, "a", "b"), intsValue(tagProvideFlags, 1, 2), textsValue(tagProvideVersion, "")),
	} {
		p, err := ReadPackage(bytes.NewReader(assemble(nil, header, nil)))
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for name, data := range map[string][]byte{
		"no lead": nil, "another magic": append([]byte("\xed\xab\xee\xdc"), make([]byte, 200)...),
		"padding that is not zero": slices.Concat(makeLead("small-1-2"), makeHeader(regionSignatures, textValue(tagSHA1Header, "x")), []byte("xxxxxx"), with()),
	} {
		if _, err := ReadPackage(bytes.NewReader(data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	payload := []byte("the payload")
	values := append(plainValues(payload), textsValue(tagRequireName, "a", "b"), intsValue(tagRequireFlags, 8, 0), textsValue(tagRequireVersion, "1", ""))
	f.Add(assemble([]tagValue{textValue(tagSHA1Header, strings.Repeat("0", 40)), binValue(sigTagReserved, make([]byte, 32))}, makeHeader(regionImmutable, values...), payload))
	s := openpgptest.NewSigner(f)
	header := makeHeader(regionImmutable, values...)
	f.Add(assemble([]tagValue{binValue(tagRSAHeader, s.Version4(header))}, header, payload))
	keys := keysOf(f, s)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPackage(bytes.NewReader(data))
		whole, digestErr := CheckDigests(bytes.NewReader(data))
		signed, signer, signErr := Check(bytes.NewReader(data), keys)
		if err != nil && (digestErr == nil || signErr == nil) || digestErr != nil && signErr == nil {
			t.Fatalf("header %v, digests %v, signature %v", err, digestErr, signErr)
		}
		if (signErr == nil) != (signer != nil && signed != nil) || (digestErr == nil) != (whole != nil) {
			t.Fatal("a package beside an error, or none without")
		}
		if err == nil && !p.Valid() {
			t.Errorf("a package %+v", p.NEVRA)
		}
	})
}
