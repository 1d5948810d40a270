package uki

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Frame is what a signature of a program is not over, since it comes with the
// signature: places in the headers, in bytes from the program's beginning, and
// the table of certificates at its end.
type Frame struct {
	Checksum  int64 // of 4 bytes
	Directory int64 // of 8: where the table is, and how long
	// Offset and Length are those of the table; without one, Offset is where the
	// program ends.
	Offset, Length int64
}

// Frame returns the image's frame. It fails where a signature would be over
// other bytes for one reader than for another: where the sections in the file
// are not one behind the other, or where there is something behind the table.
func (p *Image) Frame() (Frame, error) {
	f, err := p.frame()
	if err != nil {
		return f, fmt.Errorf("what a signature of an EFI program is over is not clear: %w", err)
	}
	return f, nil
}

func (p *Image) frame() (Frame, error) {
	f := Frame{Checksum: int64(p.optional + atChecksum), Directory: int64(p.optional + p.directories + 4 + 8*certificates), Offset: p.size}
	o := p.headers[p.optional:p.table]
	if binary.LittleEndian.Uint32(o[p.directories:]) <= certificates || f.Directory+8 > int64(p.table) {
		return f, errors.New("its headers have no place for a signature's")
	}
	if p.optional%2 != 0 {
		return f, fmt.Errorf("its headers begin at byte %d", p.optional-fileHeader)
	}
	if p.certificate {
		entry := p.headers[f.Directory:]
		f.Offset, f.Length = int64(binary.LittleEndian.Uint32(entry)), int64(binary.LittleEndian.Uint32(entry[4:]))
		if f.Offset%8 != 0 || f.Length%8 != 0 || f.Offset+f.Length != p.size {
			return f, fmt.Errorf("its certificates are said to be %d bytes from byte %d on, and it ends at byte %d", f.Length, f.Offset, p.size)
		}
	}
	end := int64(p.headersSize)
	if end < int64(len(p.headers)) {
		return f, fmt.Errorf("its headers have %d bytes and not %d", len(p.headers), end)
	}
	sections := slices.Clone(p.Sections)
	slices.SortStableFunc(sections, func(a, b Section) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, s := range sections {
		if s.RawSize == 0 {
			continue
		}
		if int64(s.Offset) != end {
			return f, fmt.Errorf("the section %q is at byte %d, and what is before it ends at byte %d", s.Name, s.Offset, end)
		}
		end += int64(s.RawSize)
	}
	if end > f.Offset {
		return f, fmt.Errorf("its sections end at byte %d, and its certificates are at byte %d", end, f.Offset)
	}
	return f, nil
}
