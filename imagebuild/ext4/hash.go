package ext4

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

var le = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc goes on with a CRC-32C that is not inverted, as ext4 has it.
func crc(sum uint32, b []byte) uint32 { return ^crc32.Update(^sum, castagnoli, b) }

func crc32of(sum, v uint32) uint32 { return crc(sum, le.AppendUint32(nil, v)) }

// nameHash is the hash of a name in a directory, and what orders equal ones.
func nameHash(seed [16]byte, name string) (major, minor uint32) {
	h := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	if seed != [16]byte{} {
		for i := range h {
			h[i] = le.Uint32(seed[4*i:])
		}
	}
	for ; len(name) > 0; name = name[min(32, len(name)):] {
		halfMD4(&h, nameWords(name))
	}
	major = h[1] &^ 1
	if major == 0xfffffffe { // the end of a directory
		major = 0xfffffffc
	}
	return major, h[2]
}

// nameWords is a name's next 32 characters, padded with its length.
func nameWords(name string) (words [8]uint32) {
	pad := uint32(len(name)) * 0x0101
	pad |= pad << 16
	for i := range words {
		words[i] = pad
	}
	val, n := pad, min(len(name), 32)
	for i := range n {
		val = uint32(name[i]) + val<<8
		if i%4 == 3 || i == n-1 {
			words[i/4] = val
			val = pad
		}
	}
	return words
}

var md4Rounds = [3]struct {
	order  [8]int
	shifts [4]int
	add    uint32
	mix    func(x, y, z uint32) uint32
}{
	{[8]int{0, 1, 2, 3, 4, 5, 6, 7}, [4]int{3, 7, 11, 19}, 0, func(x, y, z uint32) uint32 { return z ^ x&(y^z) }},
	{[8]int{1, 3, 5, 7, 0, 2, 4, 6}, [4]int{3, 5, 9, 13}, 0x5A827999, func(x, y, z uint32) uint32 { return x&y + (x^y)&z }},
	{[8]int{3, 7, 2, 6, 1, 5, 0, 4}, [4]int{3, 9, 11, 15}, 0x6ED9EBA1, func(x, y, z uint32) uint32 { return x ^ y ^ z }},
}

func halfMD4(h *[4]uint32, in [8]uint32) {
	a, b, c, d := h[0], h[1], h[2], h[3]
	for _, r := range md4Rounds {
		for i, word := range r.order {
			a = bits.RotateLeft32(a+r.mix(b, c, d)+in[word]+r.add, r.shifts[i%4])
			a, b, c, d = d, a, b, c
		}
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
}
