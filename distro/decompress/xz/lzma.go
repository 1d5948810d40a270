package xz

// The numbers of the format: "LZMA specification" of the LZMA SDK.
const (
	states        = 16 // of which 12 are used
	litStates     = 7  // those after a literal
	posStatesMax  = 16
	literalSize   = 0x300
	literalsMax   = 16 // of lc+lp at most 4
	minMatch      = 2
	startPosModel = 4
	endPosModel   = 14
	alignBits     = 4

	probInit  = 1 << 10
	probTotal = 1 << 11
	probMove  = 5
	top       = 1 << 24

	// mostPerSymbol is how many bytes one symbol can take.
	mostPerSymbol = 32
	inputBytes    = 1 << 17 // a power of two: a chunk, and what a symbol may read beyond
)

// A lengths decodes the lengths of matches.
type lengths struct {
	choice, choice2 uint16
	low, mid        [posStatesMax][8]uint16
	high            [256]uint16
}

// A model is all that changes while symbols are decoded.
type model struct {
	lc, lpMask, pbMask uint32
	state              uint32
	reps               [4]uint32

	isMatch, isRep0Long           [states][posStatesMax]uint16
	isRep, isRep0, isRep1, isRep2 [states]uint16
	slots                         [4][64]uint16
	special                       [128]uint16
	align                         [1 << alignBits]uint16
	matches, repeats              lengths
	literal                       [literalsMax * literalSize]uint16
}

func fill(p []uint16) {
	for i := range p {
		p[i] = probInit
	}
}

// reset forgets all that was learned.
func (m *model) reset() {
	m.state, m.reps = 0, [4]uint32{}
	for i := range states {
		fill(m.isMatch[i][:])
		fill(m.isRep0Long[i][:])
	}
	for _, p := range [][]uint16{m.isRep[:], m.isRep0[:], m.isRep1[:], m.isRep2[:], m.special[:], m.align[:], m.literal[:]} {
		fill(p)
	}
	for i := range m.slots {
		fill(m.slots[i][:])
	}
	for _, l := range []*lengths{&m.matches, &m.repeats} {
		l.choice, l.choice2 = probInit, probInit
		fill(l.high[:])
		for i := range posStatesMax {
			fill(l.low[i][:])
			fill(l.mid[i][:])
		}
	}
}

// coder is the range decoder. It is passed by value, to stay in registers.
type coder struct {
	rng, code uint32
	at        uint32 // in the input
}

// bit decodes one bit.
func (c coder) bit(in *[inputBytes]byte, p *uint16) (coder, uint32) {
	if c.rng < top {
		c.rng <<= 8
		c.code = c.code<<8 | uint32(in[c.at&(inputBytes-1)])
		c.at++
	}
	v := uint32(*p)
	if bound := c.rng >> 11 * v; c.code < bound {
		c.rng = bound
		*p = uint16(v + (probTotal-v)>>probMove)
		return c, 0
	} else {
		c.rng -= bound
		c.code -= bound
	}
	*p = uint16(v - v>>probMove)
	return c, 1
}

// tree decodes bits from the highest down; size is a power of two.
func (c coder) tree(in *[inputBytes]byte, p []uint16, size uint32) (coder, uint32) {
	p = p[:size]
	symbol := uint32(1)
	for symbol < size {
		if c.rng < top {
			c.rng <<= 8
			c.code = c.code<<8 | uint32(in[c.at&(inputBytes-1)])
			c.at++
		}
		v := uint32(p[symbol])
		if bound := c.rng >> 11 * v; c.code < bound {
			c.rng = bound
			p[symbol] = uint16(v + (probTotal-v)>>probMove)
			symbol <<= 1
		} else {
			c.rng -= bound
			c.code -= bound
			p[symbol] = uint16(v - v>>probMove)
			symbol = symbol<<1 | 1
		}
	}
	return c, symbol - size
}

// reverse decodes bits from the lowest up.
func (c coder) reverse(in *[inputBytes]byte, p []uint16, bits uint32) (coder, uint32) {
	symbol, out := uint32(1), uint32(0)
	for i := range bits {
		var b uint32
		c, b = c.bit(in, &p[symbol])
		symbol = symbol<<1 | b
		out |= b << i
	}
	return c, out
}

// direct decodes bits that are as likely as not.
func (c coder) direct(in *[inputBytes]byte, bits uint32) (coder, uint32) {
	out := uint32(0)
	for range bits {
		if c.rng < top {
			c.rng <<= 8
			c.code = c.code<<8 | uint32(in[c.at&(inputBytes-1)])
			c.at++
		}
		c.rng >>= 1
		c.code -= c.rng
		mask := -(c.code >> 31)
		c.code += c.rng & mask
		out = out<<1 + mask + 1
	}
	return c, out
}

// length decodes the length of a match.
func (c coder) length(in *[inputBytes]byte, l *lengths, posState uint32) (coder, uint32) {
	c, b := c.bit(in, &l.choice)
	if b == 0 {
		c, n := c.tree(in, l.low[posState&(posStatesMax-1)][:], 8)
		return c, n + minMatch
	}
	if c, b = c.bit(in, &l.choice2); b == 0 {
		c, n := c.tree(in, l.mid[posState&(posStatesMax-1)][:], 8)
		return c, n + minMatch + 8
	}
	c, n := c.tree(in, l.high[:], 256)
	return c, n + minMatch + 16
}

// distance decodes how far back a new match lies, less 1.
func (m *model) distance(c coder, in *[inputBytes]byte, length uint32) (coder, uint32) {
	c, slot := c.tree(in, m.slots[min(length-minMatch, 3)][:], 64)
	if slot < startPosModel {
		return c, slot
	}
	bits := slot>>1 - 1
	dist := (2 | slot&1) << bits
	if slot < endPosModel {
		c, low := c.reverse(in, m.special[dist-slot:], bits)
		return c, dist + low
	}
	c, high := c.direct(in, bits-alignBits)
	c, low := c.reverse(in, m.align[:], alignBits)
	return c, dist + high<<alignBits + low
}

// literalAt decodes a literal, with the byte that the last match would have
// gone on with where the symbol before was a match.
func (m *model) literalAt(c coder, in *[inputBytes]byte, index uint32, match uint32, matched bool) (coder, byte) {
	p := (*[literalSize]uint16)(m.literal[index*literalSize:])
	symbol := uint32(1)
	if matched {
		offset := uint32(0x100)
		for symbol < 0x100 {
			match <<= 1
			matchBit := match & offset
			var b uint32
			c, b = c.bit(in, &p[(offset+matchBit+symbol)%literalSize])
			symbol = symbol<<1 | b
			if b == 0 {
				offset &^= matchBit
			} else {
				offset &= matchBit
			}
		}
		return c, byte(symbol)
	}
	for symbol < 0x100 {
		if c.rng < top {
			c.rng <<= 8
			c.code = c.code<<8 | uint32(in[c.at&(inputBytes-1)])
			c.at++
		}
		v := uint32(p[symbol&0xff])
		if bound := c.rng >> 11 * v; c.code < bound {
			c.rng = bound
			p[symbol&0xff] = uint16(v + (probTotal-v)>>probMove)
			symbol <<= 1
		} else {
			c.rng -= bound
			c.code -= bound
			p[symbol&0xff] = uint16(v - v>>probMove)
			symbol = symbol<<1 | 1
		}
	}
	return c, byte(symbol)
}

// decode decodes symbols from a chunk of so many bytes until buf is filled from
// pos to limit. What may be referred to begins at start, and is of at most
// window bytes. It reports whether the chunk was sound and used up.
func (m *model) decode(in *[inputBytes]byte, size int, buf []byte, start, origin, pos, limit int, window uint32) bool {
	if in[0] != 0 { // as every encoder begins
		return false
	}
	c := coder{rng: 1<<32 - 1, at: 5}
	c.code = uint32(in[1])<<24 | uint32(in[2])<<16 | uint32(in[3])<<8 | uint32(in[4])
	buf = buf[:limit]
	state := m.state
	rep0, rep1, rep2, rep3 := m.reps[0], m.reps[1], m.reps[2], m.reps[3]
	lc, lpMask, pbMask := m.lc, m.lpMask, m.pbMask
	for pos < limit {
		if int(c.at) > size {
			return false
		}
		var b uint32
		posState := uint32(pos-origin) & pbMask
		if c, b = c.bit(in, &m.isMatch[state&(states-1)][posState&(posStatesMax-1)]); b == 0 {
			previous, match := uint32(0), uint32(0)
			if pos > start {
				previous = uint32(buf[pos-1])
			}
			if state >= litStates {
				match = uint32(buf[pos-int(rep0)-1])
			}
			index := uint32(pos-origin)&lpMask<<lc + previous>>(8-lc)
			c, buf[pos] = m.literalAt(c, in, index, match, state >= litStates)
			pos++
			switch {
			case state < 4:
				state = 0
			case state < 10:
				state -= 3
			default:
				state -= 6
			}
			continue
		}
		var length uint32
		if c, b = c.bit(in, &m.isRep[state&(states-1)]); b == 0 {
			rep3, rep2, rep1 = rep2, rep1, rep0
			c, length = c.length(in, &m.matches, posState)
			c, rep0 = m.distance(c, in, length)
			if state < litStates {
				state = 7
			} else {
				state = 10
			}
		} else {
			short := false
			if c, b = c.bit(in, &m.isRep0[state&(states-1)]); b == 0 {
				if c, b = c.bit(in, &m.isRep0Long[state&(states-1)][posState&(posStatesMax-1)]); b == 0 {
					short = true
				}
			} else if c, b = c.bit(in, &m.isRep1[state&(states-1)]); b == 0 {
				rep0, rep1 = rep1, rep0
			} else if c, b = c.bit(in, &m.isRep2[state&(states-1)]); b == 0 {
				rep0, rep1, rep2 = rep2, rep0, rep1
			} else {
				rep0, rep1, rep2, rep3 = rep3, rep0, rep1, rep2
			}
			switch {
			case short && state < litStates:
				state, length = 9, 1
			case short:
				state, length = 11, 1
			default:
				c, length = c.length(in, &m.repeats, posState)
				if state < litStates {
					state = 8
				} else {
					state = 11
				}
			}
		}
		if uint64(rep0) >= uint64(pos-start) || rep0 >= window || int(length) > limit-pos {
			return false
		}
		copyMatch(buf, pos, int(rep0)+1, int(length))
		pos += int(length)
	}
	if c.rng < top {
		c.code = c.code<<8 | uint32(in[c.at&(inputBytes-1)])
		c.at++
	}
	m.state, m.reps = state, [4]uint32{rep0, rep1, rep2, rep3}
	return int(c.at) == size && c.code == 0
}

// copyMatch repeats what lies so far back.
func copyMatch(buf []byte, pos, back, length int) {
	if back >= length {
		copy(buf[pos:pos+length], buf[pos-back:])
		return
	}
	for i := range length {
		buf[pos+i] = buf[pos+i-back]
	}
}
