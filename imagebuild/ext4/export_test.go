package ext4

import "math"

// FixSums puts right the checksums that Read looks at, of a small file system,
// so that a fuzzer comes behind them.
func FixSums(b []byte) {
	super := b[1024:2048]
	le.PutUint32(super[0x3FC:], crc(math.MaxUint32, super[:0x3FC]))
	seed := crc(math.MaxUint32, super[0x68:0x78])
	table := int64(le.Uint32(b[blockSize+8:])) * blockSize
	for k := range int64(32) {
		at := table + k*inodeSize
		if at+inodeSize > int64(len(b)) {
			return
		}
		i := b[at : at+inodeSize]
		le.PutUint16(i[0x7C:], 0)
		le.PutUint16(i[0x82:], 0)
		sum := crc(crc32of(crc32of(seed, uint32(k+1)), le.Uint32(i[0x64:])), i)
		le.PutUint16(i[0x7C:], uint16(sum))
		le.PutUint16(i[0x82:], uint16(sum>>16))
	}
}
