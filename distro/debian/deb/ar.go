package deb

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic  = "!<arch>\n"
	arHeader = 60
	// maxMembers bounds the search for the control archive, which deb(5) has
	// as the second member but for some that it reserves.
	maxMembers = 16
)

// ar walks over the members of an ar archive.
type ar struct {
	r    io.ReaderAt
	size int64 // of the whole file
	at   int64 // where the next header begins
	seen int
}

// member is one file of an archive.
type member struct {
	name string
	size int64
	data *io.SectionReader
}

func openAr(r io.ReaderAt, size int64) (*ar, error) {
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(magic) != arMagic {
		return nil, fmt.Errorf("%w: it is no ar archive", ErrNotPackage)
	}
	return &ar{r: r, size: size, at: int64(len(arMagic))}, nil
}

// next returns the next member, or io.EOF.
func (a *ar) next() (member, error) {
	if a.at >= a.size {
		return member{}, io.EOF
	}
	if a.seen++; a.seen > maxMembers {
		return member{}, fmt.Errorf("no control archive among the first %d members", maxMembers)
	}
	head := make([]byte, arHeader)
	if n, err := a.r.ReadAt(head, a.at); n < arHeader {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return member{}, fmt.Errorf("the archive ends within a header: %w", err)
	}
	if string(head[58:]) != "`\n" {
		return member{}, fmt.Errorf("damaged member header at byte %d", a.at)
	}
	size, err := strconv.ParseUint(strings.TrimRight(string(head[48:58]), " "), 10, 63)
	if err != nil {
		return member{}, fmt.Errorf("damaged member size %q at byte %d", head[48:58], a.at)
	}
	start := a.at + arHeader
	if int64(size) > a.size-start {
		return member{}, fmt.Errorf("the archive is cut off: a member of %d bytes, of which %d are there", size, a.size-start)
	}
	a.at = start + int64(size) + int64(size&1)
	return member{
		name: strings.TrimSuffix(strings.TrimRight(string(head[:16]), " "), "/"),
		size: int64(size),
		data: io.NewSectionReader(a.r, start, int64(size)),
	}, nil
}
