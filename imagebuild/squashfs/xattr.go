package squashfs

import (
	"fmt"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// prefixes of attributes' names, by their numbers.
var prefixes = []string{"user.", "trusted.", "security."}

func splitName(name string) (index int, rest string, known bool) {
	for i, p := range prefixes {
		if rest, found := strings.CutPrefix(name, p); found && rest != "" {
			return i, rest, true
		}
	}
	return 0, "", false
}

func isACL(name string) bool { return strings.HasPrefix(name, "system.posix_acl_") }

// kept is the attributes that are written.
func (o *Options) kept(list []tree.Xattr) []tree.Xattr {
	if !o.DropACLs {
		return list
	}
	var out []tree.Xattr
	for _, x := range list {
		if !isACL(x.Name) {
			out = append(out, x)
		}
	}
	return out
}

func (o *Options) checkXattrs(path string, list []tree.Xattr) error {
	for _, x := range o.kept(list) {
		_, rest, known := splitName(x.Name)
		switch {
		case isACL(x.Name):
			return tree.Unsupported("squashfs", path, fmt.Sprintf("the POSIX ACL %q", x.Name))
		case !known:
			return tree.Unsupported("squashfs", path, fmt.Sprintf("the extended attribute %q", x.Name))
		case len(rest) > 255 || len(x.Value) > 1<<16:
			return tree.Unsupported("squashfs", path, fmt.Sprintf("the extended attribute %q of %d bytes", x.Name, len(x.Value)))
		}
	}
	return nil
}

// xattrs is the table of lists of attributes, each kept once.
type xattrs struct {
	pairs *meta
	lists []byte // 16 bytes each
	known map[string]uint32
}

func newXattrs(c compressor) *xattrs { return &xattrs{newMeta(c), nil, map[string]uint32{}} }

// id is the number of a list, none32 for an empty one.
func (x *xattrs) id(list []tree.Xattr) uint32 {
	if len(list) == 0 {
		return none32
	}
	var b []byte
	for _, a := range list {
		index, rest, _ := splitName(a.Name)
		b = little.AppendUint16(b, uint16(index))
		b = little.AppendUint16(b, uint16(len(rest)))
		b = append(b, rest...)
		b = little.AppendUint32(b, uint32(len(a.Value)))
		b = append(b, a.Value...)
	}
	id, found := x.known[string(b)]
	if !found {
		id = uint32(len(x.known))
		x.known[string(b)] = id
		x.lists = little.AppendUint64(x.lists, x.pairs.reference())
		x.lists = little.AppendUint32(x.lists, uint32(len(list)))
		x.lists = little.AppendUint32(x.lists, uint32(len(b)))
		x.pairs.write(b)
	}
	return id
}
