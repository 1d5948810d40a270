package uki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Machines that images are for.
const (
	I386        uint16 = 0x014C
	ARM         uint16 = 0x01C2
	AMD64       uint16 = 0x8664
	ARM64       uint16 = 0xAA64
	RISCV64     uint16 = 0x5064
	LoongArch64 uint16 = 0x6264
)

const (
	maxSections  = 96
	maxHeaders   = 64 << 10
	sectionEntry = 40
	fileHeader   = 24 // with the signature before it

	// Offsets in the optional header that both of its kinds have.
	atCode, atData, atSectionAlign, atFileAlign = 4, 8, 32, 36
	atImageSize, atHeadersSize, atChecksum      = 56, 60, 64
	atSubsystem                                 = 68

	pe32, pe32Plus             = 0x10B, 0x20B
	certificates, debugging    = 4, 6 // directories
	efiApplication             = 10
	symbolTable, symbolsNumber = 12, 16 // offsets in the file header
)

// Section is a part of an image.
type Section struct {
	Name            string
	Address         uint32 // when it is loaded, from the image's beginning
	VirtualSize     uint32 // then
	Offset, RawSize uint32 // in the file
	Characteristics uint32
}

// Size is the number of bytes that the section has in the file, without what it
// was filled up with.
func (s *Section) Size() int64 { return int64(min(s.VirtualSize, s.RawSize)) }

// Image is an EFI program that was read, and perhaps a unified kernel image.
type Image struct {
	Machine  uint16
	Sections []Section

	r       io.ReaderAt
	size    int64
	headers []byte // up to the end of the sections' table
	// Where in them the optional header begins, and the sections' table.
	optional, table           int
	directories               int // where in the optional header their number is
	sectionAlign, fileAlign   uint32
	imageSize, headersSize    uint32
	certificate, debug, extra bool
}

// Read reads the headers of an EFI program of size bytes, and checks that its
// sections are in it.
func Read(r io.ReaderAt, size int64) (*Image, error) {
	p, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading an EFI program: %w", err)
	}
	return p, nil
}

// Section is a reader of the first section of a name, nil where there is none.
func (p *Image) Section(name string) *io.SectionReader {
	for i := range p.Sections {
		if s := &p.Sections[i]; s.Name == name {
			return io.NewSectionReader(p.r, int64(s.Offset), s.Size())
		}
	}
	return nil
}

func read(r io.ReaderAt, size int64) (*Image, error) {
	start := make([]byte, 64)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), start); err != nil {
		return nil, err
	}
	at := int64(binary.LittleEndian.Uint32(start[60:]))
	if string(start[:2]) != "MZ" || at < 64 || at > maxHeaders {
		return nil, errors.New("it does not begin as one")
	}
	headers := make([]byte, min(maxHeaders, size))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), headers); err != nil {
		return nil, err
	}
	p := &Image{r: r, size: size, headers: headers}
	if err := p.readHeaders(int(at)); err != nil {
		return nil, err
	}
	return p, p.readSections()
}

// readHeaders reads what is before the sections' table.
func (p *Image) readHeaders(at int) error {
	le := binary.LittleEndian
	b := p.headers
	if len(b) < at+fileHeader || string(b[at:at+4]) != "PE\x00\x00" {
		return errors.New("it has no PE header")
	}
	p.Machine = le.Uint16(b[at+4:])
	number, length := int(le.Uint16(b[at+6:])), int(le.Uint16(b[at+20:]))
	p.extra = le.Uint32(b[at+symbolTable:]) != 0
	p.optional = at + fileHeader
	p.table = p.optional + length
	if number > maxSections || len(b) < p.table+number*sectionEntry {
		return fmt.Errorf("%d sections after %d bytes", number, p.table)
	}
	p.headers = b[:p.table+number*sectionEntry]
	o := b[p.optional:p.table]
	directories := 0
	if len(o) >= 2 {
		switch le.Uint16(o) {
		case pe32:
			directories = 92
		case pe32Plus:
			directories = 108
		}
	}
	if directories == 0 || len(o) < directories+4 {
		return errors.New("it has no optional header of a kind that is known")
	}
	p.directories = directories
	p.sectionAlign, p.fileAlign = le.Uint32(o[atSectionAlign:]), le.Uint32(o[atFileAlign:])
	p.imageSize, p.headersSize = le.Uint32(o[atImageSize:]), le.Uint32(o[atHeadersSize:])
	if !power(p.sectionAlign) || !power(p.fileAlign) || p.fileAlign > maxHeaders || p.sectionAlign > 1<<24 {
		return fmt.Errorf("sections aligned to %d bytes, and %d in the file", p.sectionAlign, p.fileAlign)
	}
	present := func(index int) bool {
		entry := directories + 4 + 8*index
		return uint32(index) < le.Uint32(o[directories:]) && len(o) >= entry+8 && !bytes.Equal(o[entry:entry+8], make([]byte, 8))
	}
	p.certificate, p.debug = present(certificates), present(debugging)
	return nil
}

func power(n uint32) bool { return n > 0 && n&(n-1) == 0 }

func (p *Image) readSections() error {
	le := binary.LittleEndian
	for b := p.headers[p.table:]; len(b) > 0; b = b[sectionEntry:] {
		name, _, _ := bytes.Cut(b[:8], []byte{0})
		s := Section{
			Name: string(name), VirtualSize: le.Uint32(b[8:]), Address: le.Uint32(b[12:]),
			RawSize: le.Uint32(b[16:]), Offset: le.Uint32(b[20:]), Characteristics: le.Uint32(b[36:]),
		}
		if s.RawSize > 0 && int64(s.Offset)+int64(s.RawSize) > p.size {
			return fmt.Errorf("the section %q ends at byte %d of %d", s.Name, int64(s.Offset)+int64(s.RawSize), p.size)
		}
		if int64(s.Address)+int64(max(s.VirtualSize, s.RawSize)) > maxImage {
			return fmt.Errorf("the section %q is at %#x, beyond 2 GiB", s.Name, s.Address)
		}
		p.Sections = append(p.Sections, s)
	}
	return nil
}
