package iso

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	maxIdentifier = 30
	maxRockName   = 253
)

// identifier is a name of ISO 9660's own, of a file in its two parts.
type identifier struct {
	base, extension string
	isDir           bool
}

// bytes is the identifier as a directory has it.
func (i identifier) String() string {
	if i.isDir {
		return i.base
	}
	return i.base + "." + i.extension + ";1"
}

func compareIdentifiers(a, b identifier) int {
	return cmp.Or(cmp.Compare(a.base, b.base), cmp.Compare(a.extension, b.extension))
}

// plain makes of a name what ISO 9660 lets one have.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// identify is the identifier of a name, which may be another's, too.
func identify(name string, isDir bool) identifier {
	id := identifier{isDir: isDir}
	dot := strings.LastIndexByte(name, '.')
	if isDir || dot <= 0 {
		id.base = plain(name)
	} else {
		id.base, id.extension = plain(name[:dot]), plain(name[dot+1:])
	}
	if room := max(3, maxIdentifier-len(id.base)); len(id.extension) > room {
		id.extension = id.extension[:room]
	}
	id.base = id.base[:min(len(id.base), maxIdentifier-len(id.extension))]
	return id
}

// entry is what is in a directory.
type entry struct {
	node tree.Node
	id   identifier
}

// entries are those of a directory in the order of ISO 9660.
func entries(dir tree.Node) []entry {
	var list []entry
	taken, next := map[string]bool{}, map[identifier]int{}
	for child := range dir.Children() {
		id := identify(child.Name(), child.Mode().IsDir())
		if taken[key(id)] {
			id = number(id, taken, next)
		}
		taken[key(id)] = true
		list = append(list, entry{child, id})
	}
	slices.SortFunc(list, func(a, b entry) int { return compareIdentifiers(a.id, b.id) })
	return list
}

// key is one for all that must not be there twice.
func key(id identifier) string { return id.base + "." + id.extension }

// number makes an identifier another one.
func number(id identifier, taken map[string]bool, next map[identifier]int) identifier {
	for digits, first := 1, 1; ; digits, first = digits+1, first*10 {
		stem := id
		stem.base = id.base[:min(len(id.base), maxIdentifier-len(id.extension)-1-digits)] + "_"
		for n := max(first, next[stem]); n < first*10; n++ {
			numbered := stem
			numbered.base += strconv.Itoa(n)
			if !taken[key(numbered)] {
				next[stem] = n + 1
				return numbered
			}
		}
		next[stem] = first * 10
	}
}
