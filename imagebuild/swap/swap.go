package swap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// PageSize is how many bytes a page has.
	PageSize = 4096
	// MinSize is the least that an area has, in bytes.
	MinSize = 10 * PageSize
	// MaxLabel is the most bytes of a label.
	MaxLabel = 15

	magic   = "SWAPSPACE2"
	magicAt = PageSize - len(magic)
	maxSize = PageSize << 32
)

// Options are what an area is besides its room.
type Options struct {
	UUID  [16]byte
	Label string // up to MaxLabel bytes
	// Size is that of the area in bytes. What is behind its last whole page is
	// not used.
	Size int64
}

// Write writes the first page of an area to w, from its byte 0 on. All of w
// reads as zeros before, or is a file that is empty; the caller sets its size.
func Write(w io.WriterAt, o Options) error {
	switch {
	case o.Size < MinSize || o.Size > maxSize:
		return fmt.Errorf("a swap area of %d bytes: it must have %d to %d", o.Size, MinSize, int64(maxSize))
	case len(o.Label) > MaxLabel:
		return fmt.Errorf("the label %q of a swap area has %d bytes; at most %d are possible", o.Label, len(o.Label), MaxLabel)
	case strings.ContainsRune(o.Label, 0):
		return errors.New("the label of a swap area has a NUL in it")
	}
	b := make([]byte, PageSize)
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], uint32(o.Size/PageSize-1)) // the last page
	copy(b[1036:], o.UUID[:])
	copy(b[1052:], o.Label)
	copy(b[magicAt:], magic)
	_, err := w.WriteAt(b, 0)
	return err
}
