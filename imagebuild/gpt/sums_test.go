package gpt_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

// resum changes a header and makes its sum right again.
func resum(b []byte, at int, change func([]byte)) []byte {
	h := b[at : at+92]
	change(h)
	clear(h[16:20])
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	return b
}

// retable changes the first entry in both tables, and makes all sums right.
func retable(b []byte, change func([]byte)) []byte {
	end := len(b)
	for header, entries := range map[int]int{512: 1024, end - 512: end - 33*512} {
		change(b[entries : entries+128])
		sum := crc32.ChecksumIEEE(b[entries : entries+128*128])
		resum(b, header, func(h []byte) { binary.LittleEndian.PutUint32(h[88:], sum) })
	}
	return b
}

// A table that can be read can be written, and is then the same one.
func FuzzRead(f *testing.F) {
	table := layout(f, sample())
	raw, err := os.ReadFile(written(f, table.Size, table).Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[446:604], raw[1024:1024+512], true)
	f.Fuzz(func(t *testing.T, head, entries []byte, sums bool) {
		disk := bytes.Clone(raw[:1<<20])
		disk = append(disk, raw[len(raw)-33*512:]...)
		copy(disk[446:], head[:min(len(head), 158)])
		copy(disk[1024:], entries[:min(len(entries), 16384)])
		if sums {
			end := len(disk)
			copy(disk[end-33*512:], disk[1024:1024+16384])
			retable(disk, func([]byte) {})
		}
		got, err := gpt.Read(&sparse{disk, table.Size}, table.Size)
		if err != nil {
			return
		}
		w := &sparse{make([]byte, len(disk)), table.Size}
		if err := got.WriteTo(w); err != nil {
			return // places that Read takes and our tables have not
		}
		if _, err := gpt.Read(w, table.Size); err != nil {
			t.Fatal(err)
		}
	})
}

// sparse is a disk of which only the first MiB and the last 33 sectors are.
type sparse struct {
	b    []byte
	size int64
}

func (s *sparse) at(at int64) int64 {
	if end := s.size - 33*512; at >= end {
		return at - end + 1<<20
	}
	return at
}

func (s *sparse) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(s.b).ReadAt(p, s.at(at))
}

func (s *sparse) WriteAt(p []byte, at int64) (int, error) { return copy(s.b[s.at(at):], p), nil }
