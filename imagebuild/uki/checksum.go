package uki

import "encoding/binary"

// Sum is the checksum of an EFI program, of the bytes that are written to it in
// order: those of the program, with zeros in the place of the checksum itself.
type Sum struct {
	words uint64
	odd   bool // the next byte is the higher one of a word
}

// Write adds bytes. It never fails.
func (s *Sum) Write(b []byte) (int, error) {
	n := len(b)
	if s.odd && len(b) > 0 {
		s.words += uint64(b[0]) << 8
		s.odd, b = false, b[1:]
	}
	for len(b) >= 2 {
		s.words += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s.words += uint64(b[0])
		s.odd = true
	}
	return n, nil
}

// Of is the checksum of a program of size bytes: the sum of all words of 16
// bits, with carries added, and of the size.
func (s *Sum) Of(size int64) uint32 {
	sum := s.words
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return uint32(sum) + uint32(size)
}
