package uki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Unified is a unified kernel image that can be read any number of times. It is
// a Content of package tree, and never has to be in memory or on disk.
type Unified struct {
	size   int64
	pieces []*io.SectionReader
}

// Size is the number of bytes.
func (u *Unified) Size() int64 { return u.size }

// Open opens the image. What is returned is no more than a reader.
func (u *Unified) Open() (io.ReadCloser, error) {
	readers := make([]io.Reader, len(u.pieces))
	for i, piece := range u.pieces {
		readers[i] = io.NewSectionReader(piece, 0, piece.Size())
	}
	return io.NopCloser(io.MultiReader(readers...)), nil
}

func sectionOf(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func (u *Unified) add(piece *io.SectionReader) {
	u.pieces = append(u.pieces, piece)
	u.size += piece.Size()
}

func (u *Unified) pad(to int64) {
	if gap := to - u.size; gap > 0 {
		u.add(sectionOf(make([]byte, gap)))
	}
}

// unite puts sections behind those that there are.
func (p *Image) unite(parts []part) (*Unified, error) {
	le := binary.LittleEndian
	var bodyEnd, address int64 // of the stub's sections in the file and in memory
	for _, s := range p.Sections {
		if s.RawSize > 0 {
			bodyEnd = max(bodyEnd, int64(s.Offset)+int64(s.RawSize))
		}
		address = max(address, int64(s.Address)+int64(max(s.VirtualSize, s.RawSize)))
	}
	headers, moved, err := p.room(len(parts))
	if err != nil {
		return nil, err
	}
	bodyEnd = max(bodyEnd, int64(p.headersSize))
	u := &Unified{}
	u.add(sectionOf(headers))
	u.add(io.NewSectionReader(p.r, int64(p.headersSize), bodyEnd-int64(p.headersSize)))
	var code, data int64
	for i, part := range parts {
		size := part.size()
		address = up(address, max(page, int64(p.sectionAlign)))
		u.pad(up(u.size, int64(p.fileAlign)))
		raw := up(size, int64(p.fileAlign))
		if address+raw > maxImage || u.size+raw > maxImage {
			return nil, fmt.Errorf("the section %s of %d bytes makes it larger than 2 GiB", part.name, size)
		}
		e := headers[p.table+(len(p.Sections)+i)*sectionEntry:]
		copy(e, part.name)
		le.PutUint32(e[8:], uint32(size))
		le.PutUint32(e[12:], uint32(address))
		le.PutUint32(e[16:], uint32(raw))
		le.PutUint32(e[20:], uint32(u.size))
		le.PutUint32(e[36:], readOnlyData)
		if part.name == ".linux" {
			le.PutUint32(e[36:], readOnlyCode)
			code += raw
		} else {
			data += raw
		}
		begin := u.size
		for _, r := range part.data {
			u.pad(begin + up(u.size-begin, 4))
			u.add(r)
		}
		u.pad(begin + raw)
		address += size
	}
	p.finish(headers, moved, len(parts), up(address, int64(p.sectionAlign)), code, data)
	sum, err := u.checksum()
	le.PutUint32(headers[p.optional+atChecksum:], sum)
	return u, err
}

// room is the headers with place for more sections, and by how much what is
// behind them has moved.
func (p *Image) room(sections int) ([]byte, uint32, error) {
	need := up(int64(len(p.headers)+sections*sectionEntry), int64(p.fileAlign))
	moved := max(0, need-int64(p.headersSize))
	for _, s := range p.Sections {
		if int64(s.Address) < int64(p.headersSize)+moved {
			return nil, 0, errors.New("the stub: its headers have no room for more sections")
		}
	}
	headers := make([]byte, int64(p.headersSize)+moved)
	copy(headers, p.headers)
	if gap := len(p.headers); moved == 0 {
		// What may be between the table and the first section is kept, but for
		// the place of the new sections.
		if _, err := p.r.ReadAt(headers[gap:], int64(gap)); err != nil {
			return nil, 0, err
		}
		clear(headers[gap : gap+sections*sectionEntry])
	}
	return headers, uint32(moved), nil
}

// finish sets what the headers tell of the whole.
func (p *Image) finish(headers []byte, moved uint32, sections int, imageSize, code, data int64) {
	le := binary.LittleEndian
	file := headers[p.optional-fileHeader:]
	le.PutUint16(file[6:], uint16(len(p.Sections)+sections))
	le.PutUint32(file[symbolTable:], 0) // what is behind the stub's sections is left out
	le.PutUint32(file[symbolsNumber:], 0)
	o := headers[p.optional:]
	le.PutUint32(o[atCode:], le.Uint32(o[atCode:])+uint32(code))
	le.PutUint32(o[atData:], le.Uint32(o[atData:])+uint32(data))
	le.PutUint32(o[atImageSize:], max(p.imageSize, uint32(imageSize)))
	le.PutUint32(o[atHeadersSize:], uint32(len(headers)))
	le.PutUint32(o[atChecksum:], 0)
	for i, s := range p.Sections {
		if s.RawSize > 0 {
			le.PutUint32(headers[p.table+i*sectionEntry+20:], s.Offset+moved)
		}
	}
}

// checksum is that of the image, whose headers have none yet.
func (u *Unified) checksum() (uint32, error) {
	r, err := u.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var sum Sum
	n, err := io.Copy(&sum, r)
	if err == nil && n != u.size {
		err = fmt.Errorf("%d bytes of %d: %w", n, u.size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the parts: %w", err)
	}
	return sum.Of(u.size), nil
}
