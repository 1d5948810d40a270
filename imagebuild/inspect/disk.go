package inspect

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/qcow2"
)

func (o *opener) qcow2(p *Part, depth int) {
	s := p.source.random()
	h, err := qcow2.ReadHeader(s.at, s.size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("version", h.Version)
	p.add("disk_size", h.Size)
	p.add("cluster_size", h.ClusterSize)
	p.add("compression_type", h.Compression.String())
	p.add("refcount_bits", h.RefcountBits)
	p.add("backing_file", h.BackingFile)
	if h.Encrypted {
		p.add("encrypted", true)
	}
	if h.Dirty {
		p.add("dirty", true)
	}
	if h.Corrupt {
		p.add("corrupt", true)
	}
	m, err := qcow2.Open(s.at, s.size)
	if err != nil {
		p.fail(err)
		return
	}
	if m.Size > maxUnpacked {
		p.fail(beyond(fmt.Sprintf("its disk of %d bytes is larger than what is looked into", m.Size)))
		return
	}
	o.allowed += maxOverlap * m.Size
	o.child(p, &Part{Name: "disk", source: source{at: m, size: m.Size}}, depth)
	p.check("every cluster of the disk can be read", func(ctx context.Context) error {
		_, err := io.Copy(io.Discard, &interruptible{ctx, io.NewSectionReader(m, 0, m.Size)})
		return err
	})
}

// flags are the attributes of partitions that have names here.
var flags = []struct {
	bit  uint64
	name string
}{
	{gpt.Required, "required"}, {gpt.NoBlockIO, "no-block-io"}, {gpt.LegacyBootable, "legacy-bootable"},
	{gpt.GrowFileSystem, "grow-file-system"}, {gpt.ReadOnly, "read-only"}, {gpt.NoAutoDiscovered, "no-auto"},
}

func (o *opener) gpt(p *Part, depth int) {
	t, err := gpt.Read(p.source.at, p.source.size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("disk_id", string(t.ID))
	p.add("sector_size", t.SectorSize)
	if t.Size != p.source.size {
		p.add("size_of_table", t.Size)
	}
	if len(t.BootCode) > 0 {
		p.add("boot_code", true)
	}
	numbers, err := t.Numbers(p.source.at)
	if err != nil {
		p.fail(err)
		return
	}
	for i, entry := range t.Partitions {
		o.child(p, o.partition(p, numbers[i], entry), depth)
	}
	p.check("the sums of the partition table and its copy are right, and these agree", func(context.Context) error { return nil })
	o.guarded(p)
}

// partition is a part for an entry of a table.
func (o *opener) partition(p *Part, number int, e gpt.Partition) *Part {
	q := &Part{Name: e.Name, Number: number, source: sourceAt(p.source.at, e.Start, min(e.Size, p.source.size-e.Start))}
	word := gpt.TypeName(e.Type)
	if word == "" {
		word = string(e.Type)
	}
	q.add(typeAttribute, word)
	q.add("partition_id", string(e.ID))
	q.add("start", e.Start)
	var words []string
	rest := e.Attributes
	for _, f := range flags {
		if rest&f.bit != 0 {
			words, rest = append(words, f.name), rest&^f.bit
		}
	}
	if rest != 0 {
		words = append(words, fmt.Sprintf("%#x", rest))
	}
	q.add("flags", words)
	return q
}

// mbrTypes are words for types of partitions of master boot records.
var mbrTypes = map[byte]string{
	0x05: "extended", 0x0F: "extended", 0x85: "extended", 0x07: "ntfs", 0x0B: "fat32", gpt.MBRFAT32: "fat32", 0x06: "fat16", gpt.MBRFAT16: "fat16",
	0x82: "swap", gpt.MBRLinux: "linux", 0x8E: "lvm", 0xEE: "protective", gpt.MBRESP: "esp", 0xFD: "raid",
}

func (o *opener) mbr(p *Part, depth int) {
	m, err := gpt.ReadMBR(p.source.at, p.source.size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("disk_id", fmt.Sprintf("%08x", m.Signature))
	if len(m.BootCode) > 0 {
		p.add("boot_code", true)
	}
	numbers, err := m.Numbers(p.source.at)
	if err != nil {
		p.fail(err)
		return
	}
	for i, e := range m.Partitions {
		o.record(p, numbers[i], e, depth)
	}
	for _, e := range m.Partitions {
		if !gpt.IsExtended(e.Type) {
			continue
		}
		list, err := gpt.ReadExtended(p.source.at, p.source.size, e)
		for i, inner := range list {
			o.record(p, i+5, inner, depth) // as Linux counts
		}
		if err != nil {
			p.fail(err)
		}
	}
	o.guarded(p)
}

// record opens a partition of a master boot record.
func (o *opener) record(p *Part, number int, e gpt.MBRPartition, depth int) {
	q := &Part{Number: number, Format: unknownFormat, Size: e.Size}
	word, known := mbrTypes[e.Type]
	if !known {
		word = fmt.Sprintf("%#02x", e.Type)
	}
	q.add(typeAttribute, word)
	q.add("start", e.Start)
	if e.Active {
		q.add("active", true)
	}
	switch {
	case e.Start < 0 || e.Size > p.source.size || e.Start > p.source.size-e.Size:
		q.fail(fmt.Errorf("it would end at byte %d of %d", e.Start+e.Size, p.source.size))
	case e.Start == 0 || gpt.IsExtended(e.Type):
		// The disk itself again, or the one that holds the others.
	default:
		q.source = sourceAt(p.source.at, e.Start, e.Size)
		o.child(p, q, depth)
		return
	}
	p.Parts = append(p.Parts, q)
}
