package apk_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// flip changes one byte of data at each of the positions and hands the result
// to check, which returns an error or what was read.
//
// Nearly all changes must be refused. Compression has bits that nothing hangs
// on (the time in a header, unused codes, those that fill the last byte), so a
// few changes between loose and end pass where no signature covers the stored
// bytes; the real apk takes them too. What passes must read the same.
func flip[T any](t *testing.T, data []byte, positions []int, loose, end int, check func([]byte) (T, error)) {
	t.Helper()
	want, err := check(data)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(data)
	passed := 0
	for _, i := range positions {
		for _, mask := range []byte{1 << (i % 8), 0xff} {
			b[i] ^= mask
			got, err := check(b)
			b[i] ^= mask
			if err != nil {
				continue
			}
			if passed++; i < loose || i >= end || passed > 20 {
				t.Errorf("the byte %d of %d may be changed by %#x", i, len(data), mask)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the byte %d changed by %#x is accepted, and reads differently", i, mask)
			}
		}
	}
	t.Logf("%d of %d changes told nothing", passed, 2*len(positions))
}

// all are the positions of n bytes.
func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// some are the first 800 and the last 100 of n, and 300 in between.
func some(n int) []int {
	if n <= 1200 {
		return all(n)
	}
	random := rand.New(rand.NewPCG(5, 6))
	out := all(800)
	for range 300 {
		out = append(out, 800+random.IntN(n-900))
	}
	for i := range 100 {
		out = append(out, n-100+i)
	}
	return out
}

// signatureEnd returns where the segment of signatures ends.
func signatureEnd(t *testing.T, data []byte) int {
	t.Helper()
	i := bytes.Index(data[10:], []byte("\x1f\x8b\x08"))
	if i < 0 {
		t.Fatal("one segment only")
	}
	return 10 + i
}

func readIndexWith(keys *apk.Keys) func([]byte) (*apk.Index, error) {
	return func(b []byte) (*apk.Index, error) { return apk.ReadIndex(bytes.NewReader(b), keys) }
}

// checkWith checks a package against a record and keys.
func checkWith(want apk.Record, keys *apk.Keys) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return nil, apk.CheckPackage(bytes.NewReader(b), want, keys) }
}

func TestFlippedIndex(t *testing.T) {
	b := index(t, indexText, by(t, alice(), "RSA"))
	flip(t, b, all(len(b)), 0, signatureEnd(t, b), readIndexWith(keysOf(t, alice())))
}

func TestFlippedRealIndex(t *testing.T) {
	b := read(t, data(t, "iso-3.19.1/x86_64/APKINDEX.tar.gz"))
	flip(t, b, some(len(b)), 0, signatureEnd(t, b), readIndexWith(realKeys(t)))
}

func TestFlippedPackage(t *testing.T) {
	p := build(t, "hello", "1.0-r0", "x86_64")
	b := p.signed(t, alice(), "RSA")
	named := apk.Record{Name: "hello", Version: "1.0-r0"}
	flip(t, b, all(len(b)), 0, signatureEnd(t, b), checkWith(named, keysOf(t, alice())))
	named.Identity = p.identity()
	flip(t, b, all(len(b)), 0, signatureEnd(t, b), checkWith(named, keysOf(t, alice())))
	flip(t, p.unsigned(), all(len(p.unsigned())), 0, 0, checkWith(named, nil))
}

func TestFlippedRealPackage(t *testing.T) {
	for _, name := range []string{"alpine-base-3.19.1-r0", "scanelf-1.3.7-r2"} {
		b := read(t, data(t, "iso-3.19.1/x86_64", name+".apk"))
		r, err := apk.ReadPackage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		flip(t, b, some(len(b)), 0, signatureEnd(t, b), checkWith(r, realKeys(t)))
		r.Identity = nil
		flip(t, b, some(len(b)), 0, signatureEnd(t, b), checkWith(r, realKeys(t)))
	}
}

// TestFlippedADB does the same with the files of apk 3, which are compressed
// as a whole, or not at all.
func TestFlippedADB(t *testing.T) {
	end := func(b []byte) int {
		if b[3] == '.' {
			return 0
		}
		return len(b)
	}
	for _, name := range []string{"sha256.adb", "mixed.adb", "short.adb"} {
		b := v3(t, name)
		flip(t, b, some(len(b)), 0, end(b), readIndexWith(v3Keys(t)))
	}
	for _, name := range []string{"hello", "hello-data", "meta"} {
		b := v3(t, v3Files[name])
		r, err := apk.ReadPackage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Identity = nil
		flip(t, b, some(len(b)), 0, end(b), checkWith(r, v3Keys(t)))
	}
	// Where an index vouches for the package, its signature may be by any key.
	b := v3(t, v3Files["unsigned"])
	r, err := apk.ReadPackage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	flip(t, b, some(len(b)), 0, end(b), checkWith(r, v3Keys(t)))
}
