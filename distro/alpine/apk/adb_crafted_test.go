package apk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// TestRearrangedADB takes a package that is not compressed apart and puts it
// together wrongly.
func TestRearrangedADB(t *testing.T) {
	meta := v3(t, v3Files["meta"])
	rec, err := apk.ReadPackage(bytes.NewReader(meta))
	if err != nil {
		t.Fatal(err)
	}
	size := int(binary.LittleEndian.Uint32(meta[8:]) & 0x3fffffff)
	end := 8 + (size+7)/8*8 // of the first block
	later := bytes.Clone(meta)
	later[12] = 1
	elsewhere := bytes.Clone(meta)
	copy(elsewhere[16:], "\xff\xff\xff\xef")
	for what, x := range map[string]struct {
		data []byte
		want string
	}{
		"two databases":     {slices.Concat(meta[:end], meta[8:]), "a block of kind 0"},
		"a later version":   {later, "reader of version 1"},
		"root elsewhere":    {elsewhere, "outside of its block"},
		"a signature cut":   {meta[:len(meta)-20], "ends too early"},
		"a byte behind":     {append(bytes.Clone(meta), 0), "ends too early"},
		"signatures in one": {slices.Concat(meta[:8], meta[end:]), "a block of kind 1"},
	} {
		if err := apk.CheckPackage(bytes.NewReader(x.data), rec, nil); !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, change := range map[string]func(*apk.Record){
		"name":         func(r *apk.Record) { r.Name = "other" },
		"version":      func(r *apk.Record) { r.Version = "2" },
		"architecture": func(r *apk.Record) { r.Arch = "aarch64" },
		"identity":     func(r *apk.Record) { r.Identity = bytes.Repeat([]byte{1}, 20) },
	} {
		want := rec
		change(&want)
		var m *apk.MismatchError
		if err := apk.CheckPackage(bytes.NewReader(meta), want, v3Keys(t)); !errors.As(err, &m) || m.What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestEndlessADB tells that a small index cannot describe a huge one by
// pointing to the same values again and again.
func TestEndlessADB(t *testing.T) {
	const object, array, blob8 = 0xe0000000, 0xd0000000, 0x80000000
	db := make([]byte, 8)
	words := func(kind uint32, slots ...uint32) uint32 {
		at := uint32(len(db))
		db = binary.LittleEndian.AppendUint32(db, uint32(len(slots)+1))
		for _, s := range slots {
			db = binary.LittleEndian.AppendUint32(db, s)
		}
		return kind | at
	}
	db = append(db, 1, 'a', 1, '1') // two strings
	name, version := uint32(blob8|8), uint32(blob8|10)
	depends := words(array, slices.Repeat([]uint32{words(object, name)}, 20000)...)
	info := make([]uint32, 15)
	info[0], info[1], info[14] = name, version, depends
	packages := words(array, slices.Repeat([]uint32{words(object, info...)}, 20000)...)
	root := words(object, 0, packages)
	binary.LittleEndian.PutUint32(db[4:], root)
	file := binary.LittleEndian.AppendUint32([]byte("ADB.indx"), uint32(len(db)+4))
	file = append(file, db...)
	file = append(file, make([]byte, -len(file)&7)...)
	if _, err := apk.ReadIndex(bytes.NewReader(file), nil); !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), "too much for its size") {
		t.Error(err)
	}
}
