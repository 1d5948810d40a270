package uki

import (
	"encoding/binary"
	"fmt"
	"io"
)

// MachineName is what Linux calls a machine, such as "x86_64", and "" for one
// that has no name here.
func MachineName(machine uint16) string {
	return map[uint16]string{I386: "i386", ARM: "arm", AMD64: "x86_64", ARM64: "aarch64", RISCV64: "riscv64", LoongArch64: "loongarch64"}[machine]
}

// Signed reports whether the image has a table of certificates. They are not
// looked at.
func (p *Image) Signed() bool { return p.certificate }

// At is a reader of a section of the image, by its place in Sections.
func (p *Image) At(index int) *io.SectionReader {
	s := &p.Sections[index]
	return io.NewSectionReader(p.r, int64(s.Offset), s.Size())
}

// Checksum is the sum that the headers tell, and the one that the image has. The
// headers of many programs tell 0: firmware looks at it for drivers only.
func (p *Image) Checksum() (told, is uint32, err error) {
	field := int64(p.optional + atChecksum)
	told = binary.LittleEndian.Uint32(p.headers[field:])
	var sum Sum
	b := make([]byte, 1<<16)
	for at := int64(0); at < p.size; {
		part := b[:min(int64(len(b)), p.size-at)]
		if n, err := p.r.ReadAt(part, at); n < len(part) {
			return 0, 0, fmt.Errorf("reading an EFI program: %w", err)
		}
		for i := max(0, field-at); i < min(field-at+4, int64(len(part))); i++ {
			part[i] = 0
		}
		sum.Write(part)
		at += int64(len(b))
	}
	return told, sum.Of(p.size), nil
}
