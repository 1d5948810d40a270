package erofs

import (
	"fmt"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// prefixes are the beginnings of attributes' names that have numbers.
var prefixes = []struct {
	name  string
	index byte
	whole bool // nothing follows
}{
	{"user.", 1, false},
	{"system.posix_acl_access", 2, true},
	{"system.posix_acl_default", 3, true},
	{"trusted.", 4, false},
	{"security.", 6, false},
}

func splitName(name string) (index byte, rest string, known bool) {
	for _, p := range prefixes {
		if rest, found := strings.CutPrefix(name, p.name); found && p.whole == (rest == "") {
			return p.index, rest, true
		}
	}
	return 0, "", false
}

// checkXattrs returns the bytes that the attributes take beside the inode.
func checkXattrs(path string, list []tree.Xattr) (int64, error) {
	if len(list) == 0 {
		return 0, nil
	}
	size := int64(xattrHead)
	for _, x := range list {
		_, rest, known := splitName(x.Name)
		switch {
		case !known:
			return 0, tree.Unsupported("EROFS", path, fmt.Sprintf("the extended attribute %q", x.Name))
		case len(rest) > 255 || len(x.Value) > 1<<16-1:
			return 0, tree.Unsupported("EROFS", path, fmt.Sprintf("the extended attribute %q of %d bytes; at most 65535 are possible, and 255 in a name", x.Name, len(x.Value)))
		}
		size += roundUp(int64(4+len(rest)+len(x.Value)), 4)
	}
	if size > maxXattrs {
		return 0, tree.Unsupported("EROFS", path, fmt.Sprintf("extended attributes of %d bytes; at most %d are possible", size, maxXattrs))
	}
	return size, nil
}

func appendXattrs(b []byte, list []tree.Xattr) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, zeros[:xattrHead]...)
	for _, x := range list {
		index, rest, _ := splitName(x.Name)
		b = append(b, byte(len(rest)), index)
		b = little.AppendUint16(b, uint16(len(x.Value)))
		b = append(append(b, rest...), x.Value...)
		b = append(b, zeros[:-len(b)&3]...)
	}
	return b
}
