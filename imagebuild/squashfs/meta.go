package squashfs

// meta is a table of compressed blocks of 8 KiB, kept in memory.
type meta struct {
	c      compressor
	out    []byte   // of whole blocks
	starts []uint64 // of the blocks in out
	part   []byte
	buffer []byte
}

func newMeta(c compressor) *meta { return &meta{c: c} }

// at is where what is written next will be: the beginning of its block, and the
// bytes in that.
func (m *meta) at() (block uint32, offset uint16) { return uint32(len(m.out)), uint16(len(m.part)) }

// reference is at as one number.
func (m *meta) reference() uint64 {
	block, offset := m.at()
	return uint64(block)<<16 | uint64(offset)
}

func (m *meta) write(b []byte) {
	for len(b) > 0 {
		n := min(len(b), metaSize-len(m.part))
		m.part = append(m.part, b[:n]...)
		b = b[n:]
		if len(m.part) == metaSize {
			m.flush()
		}
	}
}

func (m *meta) flush() {
	if len(m.part) == 0 {
		return
	}
	m.starts = append(m.starts, uint64(len(m.out)))
	m.buffer = m.c.compress(m.buffer[:0], m.part)
	if len(m.buffer) < len(m.part) {
		m.out = little.AppendUint16(m.out, uint16(len(m.buffer)))
		m.out = append(m.out, m.buffer...)
	} else {
		m.out = little.AppendUint16(m.out, uint16(len(m.part))|plainMeta)
		m.out = append(m.out, m.part...)
	}
	m.part = m.part[:0]
}

// table is the blocks of entries and then where they begin, for a table at some
// byte of the file system. It returns where that list begins.
func (m *meta) table(entries []byte, at uint64, head []byte) ([]byte, uint64) {
	m.write(entries)
	m.flush()
	list := at + uint64(len(m.out))
	b := append(m.out, head...)
	for _, s := range m.starts {
		b = little.AppendUint64(b, at+s)
	}
	return b, list
}
