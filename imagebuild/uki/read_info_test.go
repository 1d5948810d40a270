package uki_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/uki/ukitest"
)

// united is an image of ours in memory.
func united(t testing.TB, o uki.Options) []byte {
	t.Helper()
	u, err := uki.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := u.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestChecksumIsTheOneThatWasSet(t *testing.T) {
	o := sample(1024)
	o.Initrds = append(o.Initrds, section(treetest.Random(3, 200_001))) // more than is read at once
	b := united(t, o)
	p, err := uki.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	told, is, err := p.Checksum()
	if err != nil || told != is || told == 0 {
		t.Errorf("%#x and %#x, %v", told, is, err)
	}
	b[len(b)-600] ^= 1
	if _, other, err := p.Checksum(); err != nil || other == told {
		t.Errorf("another image has the same sum, or %v", err)
	}
	p, err = uki.Read(bytes.NewReader(append(b, 0)), int64(len(b)+1)) // of an odd number of bytes
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Checksum(); err != nil {
		t.Error(err)
	}
}

func TestSectionsByPlace(t *testing.T) {
	b := united(t, sample(1024))
	p, err := uki.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var dtbs []string
	for i, s := range p.Sections {
		if s.Name == ".dtb" {
			text, err := io.ReadAll(p.At(i))
			if err != nil {
				t.Fatal(err)
			}
			dtbs = append(dtbs, string(text))
		}
	}
	if len(dtbs) != 2 || dtbs[0] != "tree 1" || dtbs[1] != "tree 2" {
		t.Errorf("the device trees are %q", dtbs)
	}
}

func TestSigned(t *testing.T) {
	for want, change := range map[bool]func([]byte){
		false: nil,
		true:  func(b []byte) { binary.LittleEndian.PutUint32(b[88+112+8*4:], 1024) },
	} {
		b := ukitest.Program(uki.AMD64, 512, change)
		p, err := uki.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil || p.Signed() != want {
			t.Errorf("signed: %t, %v, want %t", p.Signed(), err, want)
		}
	}
}

func TestMachineName(t *testing.T) {
	if uki.MachineName(uki.AMD64) != "x86_64" || uki.MachineName(uki.ARM64) != "aarch64" || uki.MachineName(1) != "" {
		t.Error("machines have other names")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(united(f, sample(1024)))
	f.Add(ukitest.Program(uki.AMD64, 512, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := uki.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if _, _, err := p.Checksum(); err != nil {
			t.Error(err)
		}
		for i := range p.Sections {
			if n, err := io.Copy(io.Discard, p.At(i)); err != nil || n != p.Sections[i].Size() {
				t.Errorf("%+v: %d bytes, %v", p.Sections[i], n, err)
			}
		}
	})
}
