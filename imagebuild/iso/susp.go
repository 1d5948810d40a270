package iso

import (
	"encoding/binary"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Rock Ridge's entries, and what they are continued by.
const (
	maxRecord  = 254 // a record's length is even and fits in a byte
	ceSize     = 28
	maxEntry   = 255
	nameHeader = 5
	continues  = 1
	current    = 2
	parent     = 4
	fromRoot   = 8

	timesModified, timesAccessed, timesAttributes = 2, 4, 8
)

// The texts by which Rock Ridge says that it is used.
const (
	extensionID     = "IEEE_1282"
	extensionText   = "THE IEEE 1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	extensionSource = "PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE 1282 SPECIFICATION"
)

// both appends a number in both orders of bytes.
func both(b []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, n), n)
}

func both16(b []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, n), n)
}

// susp makes an entry of the two letters and what follows its header.
func susp(letters string, version byte, data []byte) []byte {
	return append([]byte{letters[0], letters[1], byte(4 + len(data)), version}, data...)
}

// posix are the entries of an inode's attributes.
func posix(n tree.Node) [][]byte {
	inode := n.Inode()
	var px []byte
	for _, number := range []uint32{uint32(inode.Mode), uint32(n.LinkCount()), inode.UID, inode.GID, uint32(n.InodeIndex()) + 1} {
		px = both(px, number)
	}
	tf := []byte{timesModified | timesAccessed | timesAttributes}
	for range 3 {
		at := stamp(inode.ModTime)
		tf = append(tf, at[:]...)
	}
	list := [][]byte{susp("PX", 1, px), susp("TF", 1, tf)}
	switch {
	case inode.Mode.IsDevice():
		list = append(list, susp("PN", 1, device(inode.Major, inode.Minor)))
	case inode.Mode.Type() == tree.Symlink:
		list = append(list, symlink(inode.Target)...)
	}
	return list
}

// device are the two numbers of a device. Linux takes them for the major and the
// minor one, unless the first is 0: then the minor one is the second's lowest
// byte. Others, who take both for one dev_t, understand this form alone.
func device(major, minor uint32) []byte {
	if minor <= 0xFF && major <= 0xFFF {
		return both(both(nil, 0), major<<8|minor)
	}
	return both(both(nil, major), minor)
}

// alternate are the entries of a name.
func alternate(name string) (list [][]byte) {
	for {
		part := name[:min(len(name), maxEntry-nameHeader)]
		name = name[len(part):]
		if name == "" {
			return append(list, susp("NM", 1, append([]byte{0}, part...)))
		}
		list = append(list, susp("NM", 1, append([]byte{continues}, part...)))
	}
}

// component is a part of a symbolic link's target.
type component struct {
	flags byte
	text  string
}

func components(target string) (list []component) {
	if strings.HasPrefix(target, "/") {
		list = append(list, component{fromRoot, ""})
		if target = target[1:]; target == "" {
			return list
		}
	}
	for name := range strings.SplitSeq(target, "/") {
		switch name {
		case ".":
			list = append(list, component{current, ""})
		case "..":
			list = append(list, component{parent, ""})
		default:
			list = append(list, component{0, name})
		}
	}
	return list
}

// symlink are the entries of a target. A component that does not fit into one
// goes on in the next.
func symlink(target string) (list [][]byte) {
	const room = maxEntry - nameHeader
	data := []byte{0}
	for _, c := range components(target) {
		for {
			free := room - (len(data) - 1) - 2
			if free < 0 || free == 0 && c.text != "" {
				data[0] = continues
				list = append(list, susp("SL", 1, data))
				data = []byte{0}
				continue
			}
			part := c.text[:min(len(c.text), free)]
			if part == c.text {
				data = append(append(data, c.flags, byte(len(part))), part...)
				break
			}
			data = append(append(data, c.flags|continues, byte(len(part))), part...)
			c.text = c.text[len(part):]
		}
	}
	return append(list, susp("SL", 1, data))
}

// extensions is the entry that says which extensions there are.
func extensions() []byte {
	data := []byte{byte(len(extensionID)), byte(len(extensionText)), byte(len(extensionSource)), 1}
	return susp("ER", 1, append(data, extensionID+extensionText+extensionSource...))
}

// overflow is where entries go that do not fit into their directory.
type overflow struct {
	start int64  // sector
	size  int64  // bytes that are taken
	data  []byte // what is there, if it is kept
	keep  bool
}

// fit is as many of the entries as a number of bytes has room for; the others
// are put to where the last of them points.
func (o *overflow) fit(list [][]byte, room int) []byte {
	total := 0
	for _, e := range list {
		total += len(e)
	}
	var out []byte
	if total <= room {
		for _, e := range list {
			out = append(out, e...)
		}
		return out
	}
	for len(out)+len(list[0])+ceSize <= room {
		out = append(out, list[0]...)
		list = list[1:]
	}
	rest := o.fit(list, sectorSize)
	at := o.put(rest)
	ce := both(both(both(nil, uint32(o.start+at/sectorSize)), uint32(at%sectorSize)), uint32(len(rest)))
	return append(out, susp("CE", 1, ce)...)
}

// put takes a place that is in one sector.
func (o *overflow) put(b []byte) int64 {
	if within := o.size % sectorSize; within+int64(len(b)) > sectorSize {
		o.size += sectorSize - within
	}
	at := o.size
	o.size += int64(len(b))
	if o.keep {
		o.data = append(append(o.data, make([]byte, at-int64(len(o.data)))...), b...)
	}
	return at
}
