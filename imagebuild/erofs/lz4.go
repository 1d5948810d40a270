package erofs

import "math/bits"

// A cluster of LZ4 is a block of it that fills what there is as well as it can,
// for which no library has a function: they take all of the input.
const (
	lz4HashBits   = 13
	lz4LastBytes  = 5  // the end of a block is literals
	lz4LastMatch  = 12 // and no match begins later than that before its end
	lz4MinMatch   = 4
	lz4MaxBack    = 1<<16 - 1
	lz4SkipBits   = 6 // after so many tries by one, tries get further apart
	lz4RunMask    = 15
	lz4FewestSrc  = lz4LastMatch + 1
	lz4Multiplier = 889523592379
)

// lz4Table has, for a hash, where its four bytes were met last, plus one. It
// serves all clusters of a segment: what was met before a cluster's beginning is
// none of its matches.
type lz4Table [1 << lz4HashBits]uint32

// lz4Compressor makes clusters, for one goroutine.
type lz4Compressor struct {
	table lz4Table
	block [blockSize]byte
}

// lz4Hash is that of the first five bytes of eight, since matches of four are
// rarely worth it.
func lz4Hash(v uint64) uint64 { return v << 24 * lz4Multiplier >> (64 - lz4HashBits) }

func lz4Extra(n int) int {
	if n < lz4RunMask {
		return 0
	}
	return (n-lz4RunMask)/255 + 1
}

func lz4Length(dst []byte, n int) []byte {
	if n < lz4RunMask {
		return dst
	}
	n -= lz4RunMask
	for ; n >= 255; n -= 255 {
		dst = append(dst, 255)
	}
	return append(dst, byte(n))
}

// compress appends a block of at most room bytes to dst, which has them to
// spare, of src from begin on, and returns how much of that it holds.
func (t *lz4Table) compress(dst, src []byte, begin, room int) ([]byte, int) {
	full := len(dst) + room
	anchor := begin
	last := len(src) - lz4LastMatch
	for at := begin + 1; ; {
		tries := 1 << lz4SkipBits
		from := -1
		for at < last {
			v := little.Uint64(src[at:])
			h := lz4Hash(v)
			met := int(t[h]) - 1
			t[h] = uint32(at + 1)
			// The cluster before may have been looked at further than it goes.
			if met >= begin && uint(at-met-1) < lz4MaxBack && little.Uint32(src[met:]) == uint32(v) {
				from = met
				break
			}
			at += tries >> lz4SkipBits
			tries++
			if at-anchor > room {
				break
			}
		}
		if from < 0 {
			break
		}
		for at > anchor && from > begin && src[at-1] == src[from-1] {
			at--
			from--
		}
		literals := at - anchor
		left := full - len(dst) - (1 + lz4Extra(literals) + literals + 2) - (1 + lz4LastMatch)
		if left < 0 {
			break
		}
		length := lz4MinMatch + lz4Common(src, from+lz4MinMatch, at+lz4MinMatch, len(src)-lz4LastBytes)
		isCut := lz4Extra(length-lz4MinMatch) > left
		if isCut {
			length = lz4MinMatch + lz4RunMask - 1 + 255*left
		}
		dst = append(dst, byte(min(literals, lz4RunMask)<<4|min(length-lz4MinMatch, lz4RunMask)))
		dst = append(lz4Length(dst, literals), src[anchor:at]...)
		dst = append(dst, byte(at-from), byte((at-from)>>8))
		dst = lz4Length(dst, length-lz4MinMatch)
		at += length
		anchor = at
		if isCut {
			break
		}
		if at < last {
			t[lz4Hash(little.Uint64(src[at-2:]))] = uint32(at - 2 + 1)
		}
	}
	literals := min(len(src)-anchor, full-len(dst)-1)
	for 1+lz4Extra(literals)+literals > full-len(dst) {
		literals--
	}
	dst = append(dst, byte(min(literals, lz4RunMask)<<4))
	dst = append(lz4Length(dst, literals), src[anchor:anchor+literals]...)
	return dst, anchor + literals - begin
}

// lz4Common is how many bytes are the same from a and from b on, which is behind
// it and ends at end.
func lz4Common(src []byte, a, b, end int) int {
	begin := b
	for b+8 <= end {
		if x := little.Uint64(src[a:]) ^ little.Uint64(src[b:]); x != 0 {
			return b - begin + bits.TrailingZeros64(x)/8
		}
		a += 8
		b += 8
	}
	for b < end && src[a] == src[b] {
		a++
		b++
	}
	return b - begin
}
