package uki

import (
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	maxImage = math.MaxInt32
	page     = 4096
)

// Characteristics of sections: what they have, and how they are mapped.
const (
	readOnlyData = 0x40000040
	readOnlyCode = 0x60000020
)

// Options are the parts of an image. Stub and Linux have to be there; all that
// is nil is left out.
type Options struct {
	Stub      *io.SectionReader
	Linux     *io.SectionReader
	Initrds   []*io.SectionReader // one after the other
	Microcode *io.SectionReader   // an initramfs that comes before them
	DTBs      []*io.SectionReader
	Splash    *io.SectionReader // a BMP image

	OSRelease []byte // the file /etc/os-release
	Uname     string // what "uname -r" says
	Cmdline   string
}

// part is a section that is to come.
type part struct {
	name string
	data []*io.SectionReader
}

// New makes a unified kernel image. It reads the parts once, for the checksum,
// and again whenever the image is opened; they must not change.
func New(o Options) (*Unified, error) {
	u, err := build(o)
	if err != nil {
		return nil, fmt.Errorf("making a unified kernel image: %w", err)
	}
	return u, nil
}

func build(o Options) (*Unified, error) {
	if o.Stub == nil || o.Linux == nil {
		return nil, errors.New("the stub or the kernel is missing")
	}
	stub, err := read(o.Stub, o.Stub.Size())
	if err != nil {
		return nil, fmt.Errorf("the stub: %w", err)
	}
	parts := o.parts()
	if err := stub.check(parts); err != nil {
		return nil, fmt.Errorf("the stub: %w", err)
	}
	kernel, err := read(o.Linux, o.Linux.Size())
	if err != nil {
		return nil, fmt.Errorf("the kernel is no EFI program, or has to be decompressed first: %w", err)
	}
	if kernel.Machine != stub.Machine {
		return nil, fmt.Errorf("the kernel is for the machine %#x, and the stub for %#x", kernel.Machine, stub.Machine)
	}
	return stub.unite(parts)
}

func (o *Options) parts() (parts []part) {
	add := func(name string, data ...*io.SectionReader) {
		if len(data) > 0 && data[0] != nil {
			parts = append(parts, part{name, data})
		}
	}
	text := func(name, s string) {
		if s != "" {
			add(name, sectionOf([]byte(s)))
		}
	}
	text(".osrel", string(o.OSRelease))
	text(".cmdline", o.Cmdline)
	text(".uname", o.Uname)
	add(".ucode", o.Microcode)
	add(".splash", o.Splash)
	for _, dtb := range o.DTBs {
		add(".dtb", dtb)
	}
	add(".initrd", o.Initrds...)
	add(".linux", o.Linux)
	return parts
}

// check reports why sections cannot be put behind a stub.
func (p *Image) check(parts []part) error {
	switch {
	case p.certificate:
		return errors.New("it is signed: the signature would not be one of the image")
	case p.debug:
		return errors.New("it has debug information, whose place would be wrong")
	case p.headers[p.optional+atSubsystem] != efiApplication:
		return errors.New("it is no EFI application")
	case p.fileAlign < 16 || p.headersSize%p.fileAlign != 0 || int(p.headersSize) < len(p.headers):
		return fmt.Errorf("its headers of %d bytes are said to have %d, in parts of %d", len(p.headers), p.headersSize, p.fileAlign)
	case len(p.Sections)+len(parts) > maxSections:
		return fmt.Errorf("%d sections are too many", len(p.Sections)+len(parts))
	}
	for _, s := range p.Sections {
		for _, part := range parts {
			if s.Name == part.name {
				return fmt.Errorf("it has a section %q already", s.Name)
			}
		}
		if s.RawSize > 0 && s.Offset < p.headersSize {
			return fmt.Errorf("its section %q is in the headers", s.Name)
		}
	}
	return nil
}

// size is the number of bytes of a section, the parts from multiples of 4 on.
func (p *part) size() (n int64) {
	for _, data := range p.data {
		n = up(n, 4) + data.Size()
	}
	return n
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }
