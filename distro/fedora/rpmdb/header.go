package rpmdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Tags of a header, by their numbers in rpm's rpmtag.h.
const (
	tagImmutable       = 63
	tagDSAHeader       = 267
	tagRSAHeader       = 268
	tagSHA256Header    = 273
	tagName            = 1000
	tagVersion         = 1001
	tagRelease         = 1002
	tagEpoch           = 1003
	tagDescription     = 1005
	tagBuildTime       = 1006
	tagVendor          = 1011
	tagArch            = 1022
	tagOldFileNames    = 1027
	tagSourceRPM       = 1044
	tagProvideName     = 1047
	tagRequireFlags    = 1048
	tagRequireName     = 1049
	tagRequireVersion  = 1050
	tagProvideFlags    = 1112
	tagProvideVersion  = 1113
	tagDirIndexes      = 1116
	tagBaseNames       = 1117
	tagDirNames        = 1118
	tagModularityLabel = 5096
)

// Types of values.
const (
	typeInt32       = 4
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

const (
	entrySize  = 16
	maxEntries = 1 << 16
)

// headerMagic stands before a header in a package file and belongs to what is
// digested and signed; the database leaves it out.
var headerMagic = []byte{0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0}

// A header is what rpm keeps of a package.
type header struct {
	blob    []byte
	entries map[uint32]entry
	index   []byte // of the entries, as they stand
	data    []byte
}

type entry struct{ kind, offset, count uint32 }

// parseHeader reads a header as the database has it: two counts, the index,
// the data.
func parseHeader(blob []byte) (*header, error) {
	if len(blob) < 8 {
		return nil, fmt.Errorf("a header of %d bytes: %w", len(blob), errDamaged)
	}
	n, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if n == 0 || n > maxEntries || uint64(len(blob)) != 8+uint64(n)*entrySize+uint64(size) {
		return nil, fmt.Errorf("a header of %d entries and %d bytes in %d bytes: %w", n, size, len(blob), errDamaged)
	}
	h := &header{blob: blob, entries: make(map[uint32]entry, n), index: blob[8 : 8+n*entrySize], data: blob[8+n*entrySize:]}
	for i := range n {
		e := h.index[i*entrySize:]
		tag := binary.BigEndian.Uint32(e)
		if _, seen := h.entries[tag]; seen {
			continue // rpm too takes the first
		}
		one := entry{binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])}
		if one.offset > size {
			return nil, fmt.Errorf("the header's tag %d lies outside of it: %w", tag, errDamaged)
		}
		h.entries[tag] = one
	}
	return h, nil
}

// text returns a string, "" where there is none.
func (h *header) text(tag uint32) string {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeString && e.kind != typeI18NString {
		return ""
	}
	s, _, ok := bytes.Cut(h.data[e.offset:], []byte{0})
	if !ok {
		return ""
	}
	return string(s)
}

// texts returns an array of strings.
func (h *header) texts(tag uint32) []string {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeStringArray {
		return nil
	}
	rest := h.data[e.offset:]
	if uint64(e.count) > uint64(len(rest)) {
		return nil
	}
	out := make([]string, 0, e.count)
	for range e.count {
		s, more, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return nil
		}
		out, rest = append(out, string(s)), more
	}
	return out
}

// numbers returns an array of 32-bit numbers.
func (h *header) numbers(tag uint32) []uint32 {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeInt32 || uint64(e.offset)+4*uint64(e.count) > uint64(len(h.data)) {
		return nil
	}
	out := make([]uint32, e.count)
	for i := range out {
		out[i] = binary.BigEndian.Uint32(h.data[int(e.offset)+4*i:])
	}
	return out
}

// bytes returns a binary value.
func (h *header) bytes(tag uint32) []byte {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeBin || uint64(e.offset)+uint64(e.count) > uint64(len(h.data)) {
		return nil
	}
	return h.data[e.offset : e.offset+e.count]
}

// immutable returns the header as the package file has it, with its magic:
// what the package's digest and signature are over. What rpm added when it
// installed the package is not in it. It is nil for packages of so long ago
// that they have no such region.
func (h *header) immutable() []byte {
	first := h.index[:entrySize]
	e := h.entries[tagImmutable]
	if binary.BigEndian.Uint32(first) != tagImmutable || e.kind != typeBin || e.count != entrySize ||
		uint64(e.offset)+entrySize > uint64(len(h.data)) {
		return nil
	}
	// The region ends with an entry of its own, whose offset leads back over
	// its index.
	end := h.data[e.offset : e.offset+entrySize]
	back := -int64(int32(binary.BigEndian.Uint32(end[8:])))
	if binary.BigEndian.Uint32(end) != tagImmutable || back <= 0 || back%entrySize != 0 || back > int64(len(h.index)) {
		return nil
	}
	size := e.offset + entrySize
	out := make([]byte, 0, len(headerMagic)+8+int(back)+int(size))
	out = append(out, headerMagic...)
	out = binary.BigEndian.AppendUint32(out, uint32(back/entrySize))
	out = binary.BigEndian.AppendUint32(out, size)
	out = append(out, h.index[:back]...)
	return append(out, h.data[:size]...)
}

func (h *header) digest() (d [sha256.Size]byte, ok bool) {
	region := h.immutable()
	if region == nil {
		return d, false
	}
	return sha256.Sum256(region), true
}
