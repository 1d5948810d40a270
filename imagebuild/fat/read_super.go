package fat

import (
	"fmt"
	"io"
)

// ReadSuper reads what the first sector of a FAT12, FAT16 or FAT32 file system of at
// most size bytes says. The volume has no tree, and its label is that sector's,
// where most programs leave a copy of the root directory's.
func ReadSuper(r io.ReaderAt, size int64) (*Volume, error) {
	v, err := (&reader{r: r}).boot(max(0, size))
	if err != nil {
		return nil, fmt.Errorf("reading the first sector of a FAT file system: %w", err)
	}
	return v, nil
}
