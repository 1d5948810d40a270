package grub

// An encoder writes what the decoder of LZMA reads as bits of given
// probabilities: an arithmetic code. What it has written may still be raised by
// one, so that a byte waits, with those of 0xFF behind it.
type encoder struct {
	out     []byte
	low     uint64
	width   uint32
	waiting byte
	more    int // bytes that wait, the first with them
}

// bit encodes a bit, whose probability of being 0 is in 2048ths, and has the
// probability follow it.
func (e *encoder) bit(chance *uint16, bit int) {
	bound := e.width >> 11 * uint32(*chance)
	if bit == 0 {
		e.width = bound
		*chance += (2048 - *chance) >> 5
	} else {
		e.low += uint64(bound)
		e.width -= bound
		*chance -= *chance >> 5
	}
	for e.width < 1<<24 {
		e.width <<= 8
		e.shift()
	}
}

// shift takes the highest byte away.
func (e *encoder) shift() {
	carry := byte(e.low >> 32)
	if e.low < 0xFF000000 || carry != 0 {
		for b := e.waiting; e.more > 0; e.more-- {
			e.out = append(e.out, b+carry)
			b = 0xFF
		}
		e.waiting = byte(e.low >> 24)
	}
	e.more++
	e.low = e.low & 0x00FFFFFF << 8
}

// compress is data as a stream of LZMA that has literals only, with lc=3, lp=0
// and pb=2, without header and end mark.
func compress(data []byte) []byte {
	e := &encoder{width: 1<<32 - 1, more: 1}
	var literals [1 << 3][0x100]uint16 // by the highest bits of the byte before
	for i := range literals {
		for j := range literals[i] {
			literals[i][j] = 1024
		}
	}
	isMatch := [4]uint16{1024, 1024, 1024, 1024} // by the place's lowest bits
	var before byte
	for i, b := range data {
		e.bit(&isMatch[i&3], 0)
		chances := &literals[before>>5]
		for node, at := 1, 7; at >= 0; at-- {
			bit := int(b>>at) & 1
			e.bit(&chances[node], bit)
			node = node<<1 | bit
		}
		before = b
	}
	for range 5 {
		e.shift()
	}
	return e.out
}
