package erofs

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Super is what the superblock of an EROFS file system says, also of one that
// has features that [Read] does not know.
type Super struct {
	UUID      [16]byte
	Label     string
	BuildTime tree.Time
	BlockSize int64 // bytes
	Size      int64 // bytes
	Inodes    uint64
	// Compression is the names of the algorithms that files may be compressed
	// with, none where there is no compression.
	Compression []string
	// Features are those that dump.erofs names; one that has no name here is
	// "incompat_0x…".
	Features []string
	// Checksum says that there is one, and that it is right.
	Checksum bool
}

const (
	minBlockBits = 9
	maxBlockBits = 16
)

// featureNames are the names of the bits of both words.
var featureNames = [2][]string{
	{"sb_csum", "mtime", "xattr_filter"},
	{"0padding", "big_pcluster", "chunked_file", "device_table", "ztailpacking", "fragments", "xattr_prefixes", "48bit"},
}

// algorithms are the names of the compressions' bits.
var algorithms = []string{"lz4", "lzma", "deflate", "zstd"}

// ReadSuper reads the superblock of a file system of at most size bytes. A wrong
// checksum is an error.
func ReadSuper(r io.ReaderAt, size int64) (*Super, error) {
	s, err := readSuper(io.NewSectionReader(r, 0, max(0, size)), size)
	if err != nil {
		return nil, fmt.Errorf("reading an EROFS superblock: %w", err)
	}
	return s, nil
}

func readSuper(r io.Reader, size int64) (*Super, error) {
	b := make([]byte, 1<<maxBlockBits)
	n, err := io.ReadFull(r, b)
	if n < superAt+superSize {
		return nil, err
	}
	s := b[superAt:]
	log := s[12]
	switch {
	case little.Uint32(s) != magic:
		return nil, errors.New("there is none")
	case log < minBlockBits || log > maxBlockBits:
		return nil, fmt.Errorf("blocks of 2^%d bytes", log)
	case n < superAt+superSize || n < 1<<log:
		return nil, errTruncated
	}
	words := [2]uint32{little.Uint32(s[8:]), little.Uint32(s[80:])}
	out := &Super{
		UUID: [16]byte(s[48:64]), Label: strings.TrimRight(string(s[64:80]), "\x00"), BlockSize: 1 << log, Size: int64(little.Uint32(s[36:])) << log,
		BuildTime: tree.Time{Sec: int64(little.Uint64(s[24:])), Nsec: little.Uint32(s[32:])}, Inodes: little.Uint64(s[16:]),
		Features: names(words), Compression: compressions(words[1], little.Uint16(s[84:])),
	}
	switch {
	case out.Size > size:
		return nil, fmt.Errorf("it says to have %d bytes, and there are %d", out.Size, size)
	case out.BuildTime.Nsec >= 1e9:
		return nil, errors.New("its time has more than a second of nanoseconds")
	}
	if words[0]&compatChecksum != 0 {
		if err := checkSum(b, log); err != nil {
			return nil, err
		}
		out.Checksum = true
	}
	return out, nil
}

// checkSum holds the checksum against the first block: where blocks are small,
// against the rest of what the superblock is in.
func checkSum(b []byte, log byte) error {
	want := little.Uint32(b[superAt+4:])
	little.PutUint32(b[superAt+4:], 0)
	defer little.PutUint32(b[superAt+4:], want)
	end := 1 << log
	if end <= superAt {
		end += superAt
	}
	if got := ^crc32.Checksum(b[superAt:end], castagnoli); got != want {
		return fmt.Errorf("its checksum is %#x and not %#x", got, want)
	}
	return nil
}

func names(words [2]uint32) (list []string) {
	for word, known := range featureNames {
		for bit := range 32 {
			switch {
			case words[word]>>bit&1 == 0:
			case bit < len(known):
				list = append(list, known[bit])
			default:
				list = append(list, fmt.Sprintf("%scompat_%#x", []string{"", "in"}[word], 1<<bit))
			}
		}
	}
	return list
}

// compressions are those that an image may have: before there were configurations
// for them, LZ4 alone.
func compressions(incompat uint32, bits uint16) (list []string) {
	if incompat&incompatConfigs == 0 {
		if incompat&incompatPadding != 0 {
			return []string{"lz4"}
		}
		return nil
	}
	for bit := range 16 {
		switch {
		case bits>>bit&1 == 0:
		case bit < len(algorithms):
			list = append(list, algorithms[bit])
		default:
			list = append(list, fmt.Sprintf("algorithm %d", bit))
		}
	}
	return list
}
