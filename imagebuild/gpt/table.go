package gpt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// Rest is the size of a partition that is to take what the others leave.
	Rest = -1
	// Alignment is where Layout lets partitions begin, in bytes.
	Alignment = 1 << 20

	numEntries = 128
	entrySize  = 128
	nameUnits  = 36
	maxCode    = 440
	maxSize    = math.MaxInt64 - 2*Alignment
)

// Partition is a part of a disk.
type Partition struct {
	Type, ID    GUID
	Name        string // up to 36 UTF-16 units
	Attributes  uint64
	Start, Size int64 // bytes; [Table.Layout] sets a Start of 0
}

// Table is a disk's GUID partition table.
type Table struct {
	ID         GUID
	Size       int64 // of the disk, in bytes; Layout sets it if it is 0
	SectorSize int   // bytes: 512, which 0 stands for, or 4096
	Partitions []Partition
	// Signature is in the protective master boot record, where Linux does not
	// look for it. BootCode, of at most 440 bytes, is run by BIOSes.
	Signature uint32
	BootCode  []byte
}

func (t *Table) sector() int64 {
	if t.SectorSize == 0 {
		return 512
	}
	return int64(t.SectorSize)
}

// entrySectors is the number of sectors that the entries take.
func (t *Table) entrySectors() int64 { return numEntries * entrySize / t.sector() }

// first and last are the bytes between which partitions are.
func (t *Table) first() int64 { return (2 + t.entrySectors()) * t.sector() }
func (t *Table) last() int64  { return t.Size - (1+t.entrySectors())*t.sector() }

// Layout is the table with a place for each partition: those that have none
// come after the one before, from a multiple of 1 MiB on, and their sizes are
// rounded up to one; those of others are to whole sectors. A disk that has no size gets the least one that
// is of whole MiB; one that has it may have one partition, the last, that takes
// the rest of it.
func (t Table) Layout() (*Table, error) {
	t.Partitions = slices.Clone(t.Partitions)
	if err := t.checkSector(); err != nil {
		return nil, fmt.Errorf("laying out a disk: %w", err)
	}
	if t.Size%t.sector() != 0 || t.Size < 0 || t.Size > maxSize {
		return nil, fmt.Errorf("laying out a disk: a size of %d bytes: it must be a multiple of %d", t.Size, t.sector())
	}
	end := t.first()
	for i := range t.Partitions {
		p := &t.Partitions[i]
		border := t.sector()
		if p.Start == 0 {
			p.Start, border = up(end, Alignment), Alignment
		}
		if p.Size == Rest {
			if t.Size == 0 || i != len(t.Partitions)-1 {
				return nil, fmt.Errorf("laying out a disk: %s is to take the rest of the disk, which has no size, or is not the last", p.describe(i))
			}
			p.Size = t.last()/border*border - p.Start
		}
		if p.Size > maxSize-p.Start {
			return nil, fmt.Errorf("laying out a disk: %s has %d bytes, which is too many", p.describe(i), p.Size)
		}
		p.Size = up(p.Size, border)
		end = max(end, p.Start+p.Size)
	}
	if t.Size == 0 {
		t.Size = up(end+(1+t.entrySectors())*t.sector(), Alignment)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("laying out a disk: %w", err)
	}
	return &t, nil
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }

func (p *Partition) describe(index int) string {
	return fmt.Sprintf("partition %d (%q)", index+1, p.Name)
}

func (t *Table) checkSector() error {
	if s := t.sector(); s != 512 && s != 4096 {
		return fmt.Errorf("sectors of %d bytes: 512 and 4096 are possible", s)
	}
	return nil
}

// check reports what a table cannot be.
func (t *Table) check() error {
	if err := t.checkSector(); err != nil {
		return err
	}
	switch {
	case t.Size%t.sector() != 0 || t.Size > maxSize || t.last() < t.first():
		return fmt.Errorf("a disk of %d bytes: it must be a multiple of %d with room for the tables", t.Size, t.sector())
	case len(t.Partitions) > numEntries:
		return fmt.Errorf("%d partitions: at most %d are possible", len(t.Partitions), numEntries)
	case len(t.BootCode) > maxCode:
		return fmt.Errorf("boot code of %d bytes: at most %d are possible", len(t.BootCode), maxCode)
	}
	if _, err := t.ID.disk(); err != nil {
		return fmt.Errorf("the disk's identifier: %w", err)
	}
	ids := map[GUID]bool{zeroGUID: true, t.ID: true}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		if err := t.checkPartition(p); err != nil {
			return fmt.Errorf("%s: %w", p.describe(i), err)
		}
		if ids[p.ID] {
			return fmt.Errorf("%s: the identifier %s is there twice, or is none", p.describe(i), p.ID)
		}
		ids[p.ID] = true
	}
	return overlap(t.Partitions)
}

func (t *Table) checkPartition(p *Partition) error {
	for _, id := range []GUID{p.Type, p.ID} {
		if _, err := id.disk(); err != nil {
			return err
		}
	}
	switch {
	case p.Type == zeroGUID:
		return errors.New("it has no type")
	case p.Start%t.sector() != 0 || p.Size%t.sector() != 0:
		return fmt.Errorf("its start, %d, and size, %d, must be multiples of %d", p.Start, p.Size, t.sector())
	case p.Size <= 0:
		return fmt.Errorf("it has %d bytes", p.Size)
	case p.Start < t.first() || p.Start > t.last() || p.Size > t.last()-p.Start:
		return fmt.Errorf("it has the bytes from %d to %d, and partitions are between %d and %d", p.Start, p.Start+p.Size, t.first(), t.last())
	case !utf8.ValidString(p.Name):
		return errors.New("its name is not UTF-8")
	case len(utf16.Encode([]rune(p.Name))) > nameUnits:
		return fmt.Errorf("its name has more than %d UTF-16 units", nameUnits)
	case slices.Contains([]byte(p.Name), 0):
		return errors.New("its name has a NUL in it")
	}
	return nil
}

// overlap reports partitions that do.
func overlap(partitions []Partition) error {
	order := make([]int, len(partitions))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return int(min(max(partitions[a].Start-partitions[b].Start, -1), 1))
	})
	for i := 1; i < len(order); i++ {
		p, q := &partitions[order[i-1]], &partitions[order[i]]
		if p.Start+p.Size > q.Start {
			return fmt.Errorf("%s and %s overlap", p.describe(order[i-1]), q.describe(order[i]))
		}
	}
	return nil
}
