package rpm

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// Limits on a header, those of rpm itself.
const (
	maxTags          = 0xffff
	maxSignatureData = 64 << 20  // bytes
	maxHeaderData    = 256 << 20 // bytes
)

const (
	introSize = 16
	entrySize = 16
)

var headerMagic = []byte{0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0}

// The types of a tag's value.
const (
	typeNull        = 0
	typeChar        = 1
	typeInt8        = 2
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// widths are the sizes in bytes of a value's elements, 0 for strings.
var widths = [...]int{typeNull: 0, typeChar: 1, typeInt8: 1, typeInt16: 2, typeInt32: 4, typeInt64: 8, typeBin: 1, typeI18NString: 0}

// A header is a table of tagged values (rpm's format_header), checked when it
// is read: each value lies within the data, is aligned and ended.
type header struct {
	raw     []byte // all of it, with the intro, without padding
	data    []byte // the values
	entries []entry
}

type entry struct {
	tag, kind   uint32
	from, to, n int // where in data, and how many elements
}

// readHeader reads a header whose first entry must be the region of the given
// tag, spanning all of it.
func readHeader(r io.Reader, region uint32, maxData uint32) (*header, error) {
	intro := make([]byte, introSize)
	if _, err := io.ReadFull(r, intro); err != nil {
		return nil, cutShort(err)
	}
	if !bytes.Equal(intro[:8], headerMagic) {
		return nil, badFormat("a header does not begin as one")
	}
	entries, size := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if entries == 0 || entries > maxTags {
		return nil, badFormat("a header of %d tags", entries)
	}
	if size > maxData {
		return nil, badFormat("a header of %d bytes", size)
	}
	// What the intro claims is not believed before it has come: the buffer
	// grows with what is read.
	var b bytes.Buffer
	b.Write(intro)
	if _, err := io.CopyN(&b, r, int64(entries)*entrySize+int64(size)); err != nil {
		return nil, cutShort(err)
	}
	h := &header{raw: b.Bytes(), entries: make([]entry, 0, entries)}
	table := h.raw[introSize : introSize+entries*entrySize]
	h.data = h.raw[introSize+len(table):]
	if err := h.checkRegion(table, region); err != nil {
		return nil, err
	}
	for i := 1; i < int(entries); i++ {
		if err := h.add(table[i*entrySize:][:entrySize]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(h.entries, func(a, b entry) int { return int(a.tag) - int(b.tag) })
	for i := 1; i < len(h.entries); i++ {
		if h.entries[i].tag == h.entries[i-1].tag {
			return nil, badFormat("tag %d is there twice", h.entries[i].tag)
		}
	}
	return h, nil
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badFormat("it ends within a header")
	}
	return err
}

// checkRegion wants the first entry to be a region that spans the whole
// header, so that what is outside of one, and unsigned, cannot be.
func (h *header) checkRegion(table []byte, region uint32) error {
	tag, kind, offset, count := readEntry(table)
	if tag != region || kind != typeBin || count != entrySize {
		return badFormat("a header has no immutable region, as those of rpm 3 and before")
	}
	if int64(offset)+entrySize != int64(len(h.data)) {
		return badFormat("a header has values outside of its immutable region")
	}
	tag, kind, offset, count = readEntry(h.data[offset:])
	if tag != region || kind != typeBin || count != entrySize || -int64(int32(offset)) != int64(len(table)) {
		return badFormat("the immutable region of a header does not span all of it")
	}
	return nil
}

func readEntry(b []byte) (tag, kind, offset, count uint32) {
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
}

// add checks one entry of the table and keeps where its value is.
func (h *header) add(b []byte) error {
	tag, kind, offset, count := readEntry(b)
	values := h.data[:len(h.data)-entrySize] // the region's trailer is no value
	if int64(offset) > int64(len(values)) || int64(count) > int64(len(values)) || count == 0 || tag < 100 || tag > 1<<30 {
		return badFormat("tag %d says that it has %d values at %d", tag, count, offset)
	}
	e := entry{tag: tag, kind: kind, from: int(offset), n: int(count)}
	switch kind {
	case typeChar, typeInt8, typeInt16, typeInt32, typeInt64, typeBin:
		width := widths[kind]
		if e.n > (len(values)-e.from)/width {
			return badFormat("tag %d lies outside of the header", tag)
		}
		e.to = e.from + e.n*width
		if kind != typeBin && e.from%width != 0 {
			return badFormat("tag %d is not aligned", tag)
		}
	case typeString, typeStringArray, typeI18NString:
		if kind == typeString && count != 1 {
			return badFormat("tag %d is %d strings", tag, count)
		}
		e.to = e.from
		for range e.n {
			end := bytes.IndexByte(values[e.to:], 0)
			if end < 0 {
				return badFormat("tag %d is not ended", tag)
			}
			e.to += end + 1
		}
	default:
		return badFormat("tag %d is of the type %d", tag, kind)
	}
	if e.to > len(values) {
		return badFormat("tag %d lies outside of the header", tag)
	}
	h.entries = append(h.entries, e)
	return nil
}

func (h *header) find(tag uint32, kinds ...uint32) (entry, bool) {
	i, ok := slices.BinarySearchFunc(h.entries, tag, func(e entry, tag uint32) int { return int(e.tag) - int(tag) })
	if !ok || !slices.Contains(kinds, h.entries[i].kind) {
		return entry{}, false
	}
	return h.entries[i], true
}

func (h *header) has(tag uint32) bool {
	_, ok := slices.BinarySearchFunc(h.entries, tag, func(e entry, tag uint32) int { return int(e.tag) - int(tag) })
	return ok
}

// text returns a string, or the first of several; empty where there is none.
func (h *header) text(tag uint32) string {
	e, ok := h.find(tag, typeString, typeStringArray, typeI18NString)
	if !ok {
		return ""
	}
	b := h.data[e.from:e.to]
	return string(b[:bytes.IndexByte(b, 0)])
}

func (h *header) texts(tag uint32) []string {
	e, ok := h.find(tag, typeString, typeStringArray)
	if !ok {
		return nil
	}
	out := make([]string, 0, e.n)
	for b := h.data[e.from:e.to]; len(b) > 0; {
		end := bytes.IndexByte(b, 0)
		out = append(out, string(b[:end]))
		b = b[end+1:]
	}
	return out
}

func (h *header) bin(tag uint32) []byte {
	e, ok := h.find(tag, typeBin)
	if !ok {
		return nil
	}
	return h.data[e.from:e.to]
}

func (h *header) ints(tag uint32) []uint32 {
	e, ok := h.find(tag, typeInt32)
	if !ok {
		return nil
	}
	out := make([]uint32, e.n)
	for i := range out {
		out[i] = binary.BigEndian.Uint32(h.data[e.from+4*i:])
	}
	return out
}

// number returns an integer of 32 or 64 bits.
func (h *header) number(tag uint32) (uint64, bool) {
	e, ok := h.find(tag, typeInt32, typeInt64)
	switch {
	case !ok:
		return 0, false
	case e.kind == typeInt64:
		return binary.BigEndian.Uint64(h.data[e.from:]), true
	}
	return uint64(binary.BigEndian.Uint32(h.data[e.from:])), true
}
