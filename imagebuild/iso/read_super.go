package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Super is what the descriptors of an ISO 9660 file system say.
type Super struct {
	VolumeID, System, VolumeSet      string
	Publisher, Preparer, Application string
	Created, Modified                tree.Time
	Size                             int64 // bytes that the volume says to have
	Joliet                           bool  // there are names in UTF-16, too
	// Boot is El Torito's catalog, and Catalog the byte where it is, 0 where
	// there is none.
	Boot    []Boot
	Catalog int64
}

// ReadSuper reads the descriptors of a file system of at most size bytes, and its
// boot catalog. A catalog whose sum is wrong is an error.
func ReadSuper(r io.ReaderAt, size int64) (*Super, error) {
	s, err := readSuper(&reader{r: r, size: size})
	if err != nil {
		return nil, fmt.Errorf("reading the descriptors of an ISO 9660 file system: %w", err)
	}
	return s, nil
}

func readSuper(p *reader) (*Super, error) {
	var s *Super
	joliet, catalog := false, int64(0)
	for i := int64(primarySector); ; i++ {
		b, err := p.sector(i)
		switch {
		case err != nil:
			return nil, err
		case string(b[1:6]) != "CD001":
			return nil, errors.New("it does not begin as one")
		case b[0] == 1 && s == nil:
			s = primary(b)
		case b[0] == 2 && b[88] == '%' && b[89] == '/':
			joliet = true
		case b[0] == 0 && strings.HasPrefix(string(b[7:]), "EL TORITO"):
			catalog = int64(binary.LittleEndian.Uint32(b[71:])) * sectorSize
		}
		if b[0] == 255 {
			break
		}
		if i == primarySector+maxDescriptors {
			return nil, errors.New("its descriptors have no end")
		}
	}
	if s == nil {
		return nil, errors.New("it has no primary descriptor")
	}
	s.Joliet, s.Catalog = joliet, catalog
	return s, s.boot(p)
}

// primary is the primary descriptor.
func primary(b []byte) *Super {
	text := func(from, to int) string { return strings.TrimRight(string(b[from:to]), " \x00") }
	return &Super{
		System: text(8, 40), VolumeID: text(40, 72), VolumeSet: text(190, 318),
		Publisher: text(318, 446), Preparer: text(446, 574), Application: text(574, 702),
		Created: parseLong(b[813:830]), Modified: parseLong(b[830:847]),
		Size: int64(binary.LittleEndian.Uint32(b[80:])) * sectorSize,
	}
}

// boot reads the catalog, and holds the sum of its first entry against it.
func (s *Super) boot(p *reader) error {
	if s.Catalog == 0 {
		return nil
	}
	b, err := p.sector(s.Catalog / sectorSize)
	if err != nil {
		return fmt.Errorf("the boot catalog: %w", err)
	}
	sum := uint16(0)
	for at := 0; at < 32; at += 2 {
		sum += binary.LittleEndian.Uint16(b[at:])
	}
	if sum != 0 || b[30] != 0x55 || b[31] != 0xAA {
		return errors.New("the boot catalog: its sum is wrong")
	}
	var v Volume
	err = p.boot(&v, s.Catalog/sectorSize)
	s.Boot = v.Boot
	return err
}
