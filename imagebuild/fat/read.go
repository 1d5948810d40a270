package fat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Volume is a file system that was read.
type Volume struct {
	Type        Type
	Size        int64 // bytes that the file system says to have
	ClusterSize int   // bytes
	Clusters    int64
	VolumeID    uint32
	Label       string // "" without one
	// Tree is what is in it, with 0755 for directories and 0644 for files, all
	// of root's. The contents are read from the volume when they are opened.
	Tree *tree.Tree
}

const (
	maxNodes   = 2_000_000 // in a file system that is read
	leastFAT16 = 4085      // with fewer clusters it is FAT12
	// pageSize is how much of the table is read at once: entries of 16 and 32 bits
	// lie in one page, and the whole table of FAT12 does.
	pageSize = 12 << 10
)

var errTruncated = errors.New("it is cut off")

// Read reads the FAT12, FAT16 or FAT32 file system of at most size bytes that begins
// at byte 0 of r, which has to stay open while the tree is used. Clusters
// that two files share are an error, and so are chains that do not end where the
// file does, and names that a tree cannot have. Long names whose checksum does not
// fit are passed over, as the kernel does.
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Volume, error) {
	v, err := read(ctx, r, size)
	if err != nil {
		return nil, fmt.Errorf("reading a FAT file system: %w", err)
	}
	return v, nil
}

func read(ctx context.Context, r io.ReaderAt, size int64) (*Volume, error) {
	p := &reader{ctx: ctx, r: r}
	v, err := p.boot(size)
	if err != nil {
		return nil, err
	}
	p.used = make([]uint64, (v.Clusters+2+63)/64)
	root := []tree.Extent{{Offset: p.rootStart(), Length: p.rootSize()}}
	if p.fat == FAT32 {
		if root, err = p.chain(p.rootCluster, -1); err != nil {
			return nil, &tree.PathError{Err: err}
		}
	}
	rootTime := firstTime
	for dirs := []pending{{"", root}}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		found, err := p.directory(dir)
		if err != nil {
			return nil, &tree.PathError{Path: dir.path, Err: err}
		}
		if dir.path == "" && found.labelled {
			v.Label, rootTime = found.label, found.labelTime
		}
		dirs = append(dirs, found.dirs...)
	}
	if err := p.tree.Set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: rootTime}); err != nil {
		return nil, err
	}
	v.Tree, err = p.tree.Freeze(ctx)
	return v, err
}

// reader has what the boot sector tells.
type reader struct {
	geometry
	ctx         context.Context
	r           io.ReaderAt
	sector      int64
	fats        int64
	rootCluster uint32
	tree        tree.Builder
	used        []uint64 // a bit for each cluster that was met
	page        [pageSize]byte
	pageAt      int64 // of the table's bytes in page, plus 1
	pageFilled  int
}

func (p *reader) rootStart() int64 { return (p.reserved + p.fats*p.table) * p.sector }
func (p *reader) dataStart() int64 {
	return p.rootStart() + (p.rootSize()+p.sector-1)/p.sector*p.sector
}

// boot reads the first sector.
func (p *reader) boot(size int64) (*Volume, error) {
	var b [sectorSize]byte
	if _, err := io.ReadFull(io.NewSectionReader(p.r, 0, size), b[:]); err != nil {
		return nil, fmt.Errorf("the first sector: %w", err)
	}
	le := binary.LittleEndian
	p.sector = int64(le.Uint16(b[11:]))
	perCluster := int64(b[13])
	p.cluster = p.sector * perCluster
	p.reserved, p.fats = int64(le.Uint16(b[14:])), int64(b[16])
	p.rootEntries = int64(le.Uint16(b[17:]))
	p.sectors, p.table = int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if p.sectors == 0 {
		p.sectors = int64(le.Uint32(b[32:]))
	}
	extended := 36
	if p.table == 0 {
		p.table, extended = int64(le.Uint32(b[36:])), 64
	}
	p.rootCluster = le.Uint32(b[44:])
	switch {
	case b[510] != 0x55 || b[511] != 0xAA:
		return nil, errors.New("the first sector has no boot signature")
	case p.sector < 512 || p.sector > 4096 || p.sector&(p.sector-1) != 0 || perCluster == 0 || perCluster&(perCluster-1) != 0:
		return nil, fmt.Errorf("sectors of %d bytes, and %d in a cluster", p.sector, perCluster)
	case p.reserved == 0 || p.fats == 0 || p.table == 0:
		return nil, fmt.Errorf("%d reserved sectors and %d tables of %d sectors", p.reserved, p.fats, p.table)
	case p.sectors*p.sector > size:
		return nil, fmt.Errorf("it has %d bytes, and says to have %d: %w", size, p.sectors*p.sector, errTruncated)
	}
	if err := p.classify(extended == 64); err != nil {
		return nil, err
	}
	v := &Volume{Type: p.fat, Size: p.sectors * p.sector, ClusterSize: int(p.cluster), Clusters: p.clusters}
	if b[extended+2] == 0x29 {
		v.VolumeID = le.Uint32(b[extended+3:])
		if label := string(b[extended+7 : extended+18]); label != noLabel {
			v.Label = strings.TrimRight(label, " ")
		}
	}
	return v, nil
}

// classify finds out the type, which the number of clusters tells.
func (p *reader) classify(is32 bool) error {
	data := p.sectors*p.sector - p.dataStart()
	if data < 0 {
		return errors.New("there is no room for clusters")
	}
	p.clusters = data / p.cluster
	p.fat = FAT16
	switch {
	case is32:
		p.fat = FAT32
	case p.clusters < leastFAT16:
		p.fat = FAT12
	}
	if p.clusters > 0x0FFFFFF5 || (p.clusters+2)*int64(p.fat) > p.table*p.sector*8 {
		return fmt.Errorf("the table has no entries for all %d clusters", p.clusters)
	}
	return nil
}

// next is the table's entry of a cluster.
func (p *reader) next(cluster uint32) (uint32, error) {
	at := int64(cluster) * int64(p.fat) / 8
	page := at / pageSize * pageSize
	if p.pageAt != page+1 {
		n, err := p.r.ReadAt(p.page[:min(pageSize, p.table*p.sector-page)], p.reserved*p.sector+page)
		if err != nil && err != io.EOF {
			return 0, err
		}
		p.pageAt, p.pageFilled = page+1, n
	}
	b := p.page[at-page:]
	if int(at-page+max(2, int64(p.fat)/8)) > p.pageFilled {
		return 0, errTruncated
	}
	switch p.fat {
	case FAT12: // two entries in three bytes
		return uint32(binary.LittleEndian.Uint16(b)) >> (cluster % 2 * 4) & 0xFFF, nil
	case FAT16:
		return uint32(binary.LittleEndian.Uint16(b)), nil
	}
	return binary.LittleEndian.Uint32(b) & 0x0FFFFFFF, nil
}

// chain is where the clusters are that begin with one, for so many bytes, or if
// that is negative up to maxDirSize.
func (p *reader) chain(cluster uint32, size int64) ([]tree.Extent, error) {
	var parts []tree.Extent
	end := p.endOfChain() &^ 7
	for done := int64(0); ; done += p.cluster {
		switch ended := cluster >= end; {
		case ended && (size < 0 || done >= size):
			return parts, nil
		case size >= 0 && (ended || done >= size):
			return nil, fmt.Errorf("its clusters are not of the %d bytes it has", size)
		case done >= maxDirSize && size < 0:
			return nil, fmt.Errorf("it has more than %d bytes", maxDirSize)
		case cluster < 2 || int64(cluster) >= p.clusters+2:
			return nil, fmt.Errorf("it has the cluster %d, which is none", cluster)
		case p.used[cluster/64]>>(cluster%64)&1 == 1:
			return nil, fmt.Errorf("the cluster %d is there twice", cluster)
		}
		p.used[cluster/64] |= 1 << (cluster % 64)
		at := p.dataStart() + int64(cluster-2)*p.cluster
		if last := len(parts) - 1; last >= 0 && parts[last].Offset+parts[last].Length == at {
			parts[last].Length += p.cluster
		} else {
			parts = append(parts, tree.Extent{Offset: at, Length: p.cluster})
		}
		var err error
		if cluster, err = p.next(cluster); err != nil {
			return nil, err
		}
	}
}
