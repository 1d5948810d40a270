package apk

import (
	"encoding/binary"
)

// adbHeader is the size of what a database begins with: two versions, two
// reserved bytes, and the root value.
const adbHeader = 8

// A database is a tree of values. A value is a word: its kind in the upper four
// bits, and in the others the value itself or where in the block it is.
const (
	valueInt    = 0x1
	valueInt32  = 0x2
	valueInt64  = 0x3
	valueBlob8  = 0x8
	valueBlob16 = 0x9
	valueBlob32 = 0xa
	valueArray  = 0xd
	valueObject = 0xe
)

type adbValue uint32

func (v adbValue) kind() int    { return int(v >> 28) }
func (v adbValue) offset() int  { return int(v & 0x0fffffff) }
func (v adbValue) isNull() bool { return v.kind() == 0 }

// An adbTree reads values. The first thing that is wrong is kept in err, and
// what is asked for afterwards is empty.
type adbTree struct {
	data string
	err  error
	// budget is how much may still be read. Values may be shared, so that a
	// small database could describe an endless one.
	budget int64
}

// newADBTree reads a database, which has its header.
func newADBTree(data []byte) *adbTree {
	return &adbTree{data: string(data), budget: 64<<20 + 32*int64(len(data))}
}

// fail takes note of an error.
func (t *adbTree) fail(format string, args ...any) {
	if t.err == nil {
		t.err = malformed(format, args...)
	}
}

// at returns n bytes at an offset.
func (t *adbTree) at(offset, n int) string {
	if t.err != nil || offset > len(t.data) || n > len(t.data)-offset {
		t.fail("a value lies outside of its block")
		return ""
	}
	return t.data[offset : offset+n]
}

// number returns a little-endian number of n bytes at an offset.
func (t *adbTree) number(offset, n int) uint64 {
	var b [8]byte
	copy(b[:], t.at(offset, n))
	return binary.LittleEndian.Uint64(b[:])
}

// count returns a number of things that lie in the block. One that is larger
// than the block is cut down to what is still larger, and so fits an int of 32
// bits.
func (t *adbTree) count(offset, width int) int {
	return int(min(t.number(offset, width), uint64(len(t.data))+1))
}

// spend counts what is read.
func (t *adbTree) spend(n int) {
	if t.budget -= int64(n); t.budget < 0 {
		t.fail("it describes too much for its size")
	}
}

// root returns the root object.
func (t *adbTree) root() adbObject { return t.object(adbValue(t.number(4, 4))) }

// uint returns an integer, 0 for null.
func (t *adbTree) uint(v adbValue) uint64 {
	switch v.kind() {
	case 0:
		return 0
	case valueInt:
		return uint64(v.offset())
	case valueInt32:
		return t.number(v.offset(), 4)
	case valueInt64:
		return t.number(v.offset(), 8)
	}
	t.fail("a value of kind %#x where a number should be", v.kind())
	return 0
}

// blob returns bytes, empty for null.
func (t *adbTree) blob(v adbValue) string {
	width := 0
	switch v.kind() {
	case 0:
		return ""
	case valueBlob8:
		width = 1
	case valueBlob16:
		width = 2
	case valueBlob32:
		width = 4
	default:
		t.fail("a value of kind %#x where bytes should be", v.kind())
		return ""
	}
	n := t.count(v.offset(), width)
	t.spend(1)
	return t.at(v.offset()+width, n)
}

// object returns an object or an array, an empty one for null.
func (t *adbTree) object(v adbValue) adbObject {
	o := adbObject{tree: t}
	if v.isNull() {
		return o
	}
	if k := v.kind(); k != valueArray && k != valueObject {
		t.fail("a value of kind %#x where an object should be", k)
		return o
	}
	n := t.count(v.offset(), 4) // with the count itself
	o.slots = t.at(v.offset(), 4*min(n, len(t.data)))
	t.spend(16)
	return o
}

// An adbObject has numbered slots, from 1 on.
type adbObject struct {
	tree  *adbTree
	slots string // words, the first of which is the count
}

// len returns the number of slots.
func (o adbObject) len() int { return max(len(o.slots)/4-1, 0) }

// slot returns a slot's value, null for one that is not there.
func (o adbObject) slot(i int) adbValue {
	if i > o.len() || o.tree.err != nil {
		return 0
	}
	s := o.slots[4*i : 4*i+4]
	return adbValue(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}

func (o adbObject) uint(i int) uint64      { return o.tree.uint(o.slot(i)) }
func (o adbObject) blob(i int) string      { return o.tree.blob(o.slot(i)) }
func (o adbObject) object(i int) adbObject { return o.tree.object(o.slot(i)) }
