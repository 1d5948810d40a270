package tar

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/samebits/samebits/imagebuild/tree"
)

// The type flags of ustar that are written.
const (
	kindRegular  = '0'
	kindHardLink = '1'
	kindExtended = 'x'
)

// kinds has those of the types; a socket has none.
var kinds = map[tree.Mode]byte{
	tree.Regular: kindRegular, tree.Symlink: '2', tree.CharDev: '3',
	tree.BlockDev: '4', tree.Directory: '5', tree.Fifo: '6',
}

// What fits the fields of a ustar header: octal digits and a NUL.
const (
	maxName   = 100
	maxID     = 1<<21 - 1
	maxDevice = 1<<21 - 1
	maxSize   = 1<<33 - 1
	maxTime   = 1<<33 - 1
	// maxRecords is the most that readers take of extended headers.
	maxRecords = 1 << 20
)

// header is what a member's header blocks say.
type header struct {
	name, link   string
	kind         byte
	mode         uint32
	uid, gid     uint32
	size         int64
	time         tree.Time
	major, minor uint32
	xattrs       []tree.Xattr
}

// block is the ustar header. What does not fit is cut off (names) or 0
// (numbers), and stands in the records of the extended header before it.
func (h *header) block() []byte {
	b := make([]byte, blockSize)
	copy(b[0:100], h.name)
	octal(b[100:108], int64(h.mode))
	octal(b[108:116], fitting(int64(h.uid), maxID))
	octal(b[116:124], fitting(int64(h.gid), maxID))
	octal(b[124:136], fitting(h.size, maxSize))
	octal(b[136:148], fitting(h.time.Sec, maxTime))
	b[156] = h.kind
	copy(b[157:257], h.link)
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], int64(h.major))
	octal(b[337:345], int64(h.minor))
	// The checksum counts itself as spaces, and has six digits.
	copy(b[148:156], "        ")
	sum := int64(0)
	for _, c := range b {
		sum += int64(c)
	}
	octal(b[148:155], sum)
	return b
}

func fitting(n, most int64) int64 {
	if n < 0 || n > most {
		return 0
	}
	return n
}

// octal fills a field with digits, zeros before them and a NUL after them.
func octal(field []byte, n int64) {
	field[len(field)-1] = 0
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

// records is the content of the extended header, empty if none is needed.
func (h *header) records(path string) ([]byte, error) {
	type record struct{ key, value string }
	var all []record
	add := func(key, value string) { all = append(all, record{key, value}) }
	if len(h.name) > maxName {
		add("path", h.name)
	}
	if len(h.link) > maxName {
		add("linkpath", h.link)
	}
	if slices.ContainsFunc(all, func(r record) bool { return !utf8.ValidString(r.value) }) {
		add("hdrcharset", "BINARY")
	}
	if h.uid > maxID {
		add("uid", strconv.FormatUint(uint64(h.uid), 10))
	}
	if h.gid > maxID {
		add("gid", strconv.FormatUint(uint64(h.gid), 10))
	}
	if h.size > maxSize {
		add("size", strconv.FormatInt(h.size, 10))
	}
	if h.time.Nsec != 0 || h.time.Sec < 0 || h.time.Sec > maxTime {
		add("mtime", decimal(h.time))
	}
	for _, x := range h.xattrs {
		if strings.Contains(x.Name, "=") {
			return nil, tree.Unsupported("tar", path, fmt.Sprintf("the extended attribute %q, which has a = in its name", x.Name))
		}
		if !dropped(x.Name) {
			add("SCHILY.xattr."+x.Name, x.Value)
		}
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.key, b.key) })
	var b []byte
	for _, r := range all {
		b = appendRecord(b, r.key, r.value)
	}
	if len(b) > maxRecords {
		return nil, tree.Unsupported("tar", path, fmt.Sprintf("%d bytes of extended attributes", len(b)))
	}
	return b, nil
}

// appendRecord appends "<length> <key>=<value>\n", whose length counts its own
// digits.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(" ") + len(key) + len("=") + len(value) + len("\n")
	length := rest + len(strconv.Itoa(rest))
	if grown := rest + len(strconv.Itoa(length)); grown != length {
		length = grown
	}
	return fmt.Appendf(b, "%d %s=%s\n", length, key, value)
}

// decimal is a time as pax writes it: a number of seconds, with as many digits
// of its fraction as it has.
func decimal(t tree.Time) string {
	sec, nsec, sign := t.Sec, t.Nsec, ""
	if sec < 0 && nsec > 0 { // -1 and half a second is -0.5
		sec, nsec = sec+1, 1_000_000_000-nsec
		if sec == 0 {
			sign = "-"
		}
	}
	s := sign + strconv.FormatInt(sec, 10)
	if nsec > 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%09d", nsec), "0")
	}
	return s
}
