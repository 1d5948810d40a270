package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/samebits/samebits/imagebuild/tree"
)

// pending is a directory that is still to be read.
type pending struct {
	path  string
	parts []tree.Extent
}

// found is what a directory had that is no file.
type found struct {
	dirs      []pending
	labelled  bool
	label     string
	labelTime tree.Time
}

// directory adds the files and directories that are in one.
func (p *reader) directory(dir pending) (*found, error) {
	result := &found{}
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	r := io.MultiReader(p.sections(dir.parts)...)
	var long longName
	var e [entrySize]byte
	for {
		if _, err := io.ReadFull(r, e[:]); err == io.EOF {
			return result, nil
		} else if err != nil {
			return nil, err
		}
		switch attr := e[11] & attrMask; {
		case e[0] == 0:
			return result, nil
		case e[0] == deleted:
			long = longName{}
			continue
		case attr == attrLong:
			long.add(e[:])
			continue
		case attr&attrLabel != 0:
			result.labelled, result.labelTime = true, timeOf(e[:])
			result.label = strings.TrimRight(string(e[:11]), " ")
		default:
			name := long.of(e[:])
			if name == "." || name == ".." {
				break
			}
			if err := tree.CheckName(name); err != nil {
				return nil, err
			}
			if dir.path != "" {
				name = dir.path + "/" + name
			}
			if err := p.entry(name, e[:], result); err != nil {
				return nil, err
			}
		}
		long = longName{}
	}
}

// entry adds a file or directory to the tree.
func (p *reader) entry(at string, e []byte, result *found) error {
	if p.tree.Len() > maxNodes {
		return fmt.Errorf("more than %d files", maxNodes)
	}
	le := binary.LittleEndian
	first := uint32(le.Uint16(e[26:]))
	if p.fat == FAT32 {
		first |= uint32(le.Uint16(e[20:])) << 16
	}
	n := tree.Inode{Mode: tree.Regular | 0o644, ModTime: timeOf(e)}
	size := int64(le.Uint32(e[28:]))
	if e[11]&attrDirectory != 0 {
		n.Mode, size = tree.Directory|0o755, -1
	}
	var parts []tree.Extent
	var err error
	if size != 0 || first != 0 {
		if parts, err = p.chain(first, size); err != nil {
			return fmt.Errorf("%q: %w", at, err)
		}
	}
	if n.Mode.IsDir() {
		result.dirs = append(result.dirs, pending{at, parts})
	} else {
		n.Size, n.Content = size, &content{p, parts, size}
	}
	return p.tree.Add(at, n)
}

func timeOf(e []byte) tree.Time {
	return parseStamp(binary.LittleEndian.Uint16(e[24:]), binary.LittleEndian.Uint16(e[22:]))
}

// content is that of a file whose clusters are in several places.
type content struct {
	p     *reader
	parts []tree.Extent
	size  int64
}

func (c *content) Open() (io.ReadCloser, error) {
	if len(c.parts) == 1 {
		return tree.Section(c.p.r, c.parts[0].Offset, c.size).Open()
	}
	return io.NopCloser(io.LimitReader(io.MultiReader(c.p.sections(c.parts)...), c.size)), nil
}

func (p *reader) sections(parts []tree.Extent) []io.Reader {
	readers := make([]io.Reader, len(parts))
	for i, part := range parts {
		readers[i] = io.NewSectionReader(p.r, part.Offset, part.Length)
	}
	return readers
}

// longName collects the slots of a long name.
type longName struct {
	units []uint16
	next  byte // the number of the slot that has to come, 0 if none has
	sum   byte
	whole bool
}

func (l *longName) add(e []byte) {
	number := e[0] &^ lastSlot
	if e[0]&lastSlot != 0 {
		*l = longName{next: number, sum: e[13]}
	}
	if number == 0 || number != l.next || e[13] != l.sum || number > 20 {
		*l = longName{}
		return
	}
	var part [unitsInSlot]uint16
	for i, offset := range unitOffsets {
		part[i] = binary.LittleEndian.Uint16(e[offset:])
	}
	l.units = append(part[:], l.units...)
	l.next--
	l.whole = l.next == 0
}

// of is the name of an entry: the long one, if it belongs to it.
func (l *longName) of(e []byte) string {
	s := short(e[:11])
	if l.whole && l.sum == s.checksum() {
		u := l.units
		for i, unit := range u {
			if unit == 0 {
				u = u[:i]
				break
			}
		}
		if name := string(utf16.Decode(u)); !strings.ContainsRune(name, utf8.RuneError) && name != "" {
			return name
		}
	}
	return shortName(s, e[12])
}

// codePage437 is what bytes from 128 on are in short names, as Linux takes them
// where it is not told another code page.
var codePage437 = []rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
	"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0")

// shortName is a short name as it is shown: parts may be in small letters.
func shortName(s short, flags byte) string {
	if s[0] == escapedE5 {
		s[0] = deleted
	}
	part := func(b []byte, isLower bool) string {
		var runes []rune
		for _, c := range b {
			r := rune(c)
			if c >= 128 {
				r = codePage437[c-128]
			}
			if isLower {
				r = unicode.ToLower(r)
			}
			runes = append(runes, r)
		}
		return strings.TrimRight(string(runes), " ")
	}
	base, extension := part(s[:8], flags&lowerBase != 0), part(s[8:], flags&lowerExten != 0)
	if extension == "" {
		return base
	}
	return base + "." + extension
}
