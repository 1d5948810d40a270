package fat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	maxUnits    = 255 // UTF-16 units of a long name
	unitsInSlot = 13
)

// short is a name of 8 and 3 bytes, filled up with spaces.
type short [11]byte

// isShort reports whether a short name may have a byte.
func isShort(c byte) bool {
	return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("$%'-_@~`!(){}^#&", c) >= 0
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// toShort is the short name that a name is but for the letters' case, if it is.
func toShort(name string) (s short, ok bool) {
	base, extension, dotted := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(extension) > 3 || dotted && extension == "" {
		return s, false
	}
	s = pack(base, extension)
	for i, c := range s {
		if part := i < len(base) || i >= 8 && i < 8+len(extension); part && !isShort(c) {
			return s, false
		}
	}
	return s, true
}

// pack makes a short name of its two parts, in capital letters.
func pack(base, extension string) (s short) {
	for i := range s {
		s[i] = ' '
	}
	for i := range len(base) {
		s[i] = upper(base[i])
	}
	for i := range len(extension) {
		s[8+i] = upper(extension[i])
	}
	return s
}

// String is the short name as people write it.
func (s short) String() string {
	base, extension := strings.TrimRight(string(s[:8]), " "), strings.TrimRight(string(s[8:]), " ")
	if extension == "" {
		return base
	}
	return base + "." + extension
}

// checksum is what slots of a long name have to be known to belong to it.
func (s short) checksum() (sum byte) {
	for _, c := range s {
		sum = sum<<7 | sum>>1
		sum += c
	}
	return sum
}

// isPlain reports whether a name is its own short one, and needs no long one.
func isPlain(name string) bool {
	s, ok := toShort(name)
	return ok && s.String() == name
}

// units are the UTF-16 units of a name, or what keeps FAT from having it.
func units(name string) ([]uint16, string) {
	if !utf8.ValidString(name) {
		return nil, "a name that is not UTF-8"
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`"*/:<>?\|`, r) {
			return nil, fmt.Sprintf("a name with %q in it", r)
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return nil, fmt.Sprintf("a name that ends in %q", last)
	}
	u := utf16.Encode([]rune(name))
	if len(u) > maxUnits {
		return nil, fmt.Sprintf("a name of %d UTF-16 units; at most %d are possible", len(u), maxUnits)
	}
	return u, ""
}

// slots is the number of entries that a valid name takes.
func slots(name string, u []uint16) int {
	if isPlain(name) {
		return 1
	}
	return 1 + (len(u)+unitsInSlot-1)/unitsInSlot
}

// fold is one for all names that differ in case only.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// countEntries is the number of entries that what is in a directory takes.
// Names that FAT cannot hold are errors.
func countEntries(dir tree.Node) (int64, error) {
	var count int64
	met := map[string]string{}
	for child := range dir.Children() {
		name := child.Name()
		u, trouble := units(name)
		if trouble != "" {
			return 0, unsupported(child, trouble)
		}
		folded := fold(name)
		if other, found := met[folded]; found {
			return 0, unsupported(child, fmt.Sprintf("a name that differs from %q in case only", other))
		}
		met[folded] = name
		count += int64(slots(name, u))
	}
	return count, nil
}

func unsupported(n tree.Node, what string) error { return tree.Unsupported("FAT", n.Path(), what) }

// aliases gives the names of a directory their short ones.
type aliases struct {
	taken map[short]bool
	next  map[short]int // the number to try, after what is before it
}

// newAliases takes those that names of the directory are.
func newAliases(dir tree.Node) *aliases {
	a := &aliases{map[short]bool{}, map[short]int{}}
	for child := range dir.Children() {
		if s, ok := toShort(child.Name()); ok {
			a.taken[s] = true
		}
	}
	return a
}

// of is the alias of a name. It is asked for once for each, in their order.
func (a *aliases) of(name string) short {
	if s, ok := toShort(name); ok {
		return s
	}
	base, extension := cut(name)
	for digits, first := 1, 1; ; digits, first = digits+1, first*10 {
		stem := base[:min(len(base), 7-digits)] + "~"
		key := pack(stem, extension)
		for n := max(first, a.next[key]); n < first*10; n++ {
			if s := pack(stem+strconv.Itoa(n), extension); !a.taken[s] {
				a.taken[s] = true
				a.next[key] = n + 1
				return s
			}
		}
		a.next[key] = first * 10
	}
}

// cut makes of a name what a short one may have: 8 and 3 bytes at most.
func cut(name string) (base, extension string) {
	name = strings.TrimLeft(name, ". ")
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name, extension = name[:dot], name[dot+1:]
	}
	keep := func(s string, most int) string {
		var b []byte
		for _, r := range s {
			switch c := upper(byte(min(r, 0x7f))); {
			case r == '.' || r == ' ':
			case len(b) == most:
				return string(b)
			case isShort(c):
				b = append(b, c)
			default:
				b = append(b, '_')
			}
		}
		return string(b)
	}
	if base = keep(name, 8); base == "" {
		base = "_"
	}
	return base, keep(extension, 3)
}
