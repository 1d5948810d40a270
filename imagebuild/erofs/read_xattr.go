package erofs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

var errManyXattrs = errors.New("too many attributes")

// attributes are those of an inode: first the numbers of what it shares with
// others, then its own.
func (p *reader) attributes(b []byte) ([]tree.Xattr, error) {
	count := int(b[4])
	if p.xattrBytes += len(b); p.xattrBytes > maxXattrBytes {
		return nil, errManyXattrs
	}
	b = b[xattrHead:]
	if 4*count > len(b) {
		return nil, fmt.Errorf("%d shared attributes in %d bytes", count, len(b))
	}
	var list []tree.Xattr
	for range count {
		x, err := p.sharedAttribute(little.Uint32(b))
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		b = b[4:]
	}
	for len(b) >= 4 {
		x, size, err := attributeOf(b)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		b = b[size:]
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// sharedAttribute is the one at a number of 4 bytes.
func (p *reader) sharedAttribute(number uint32) (tree.Xattr, error) {
	head, at := make([]byte, 4), p.shared+4*int64(number)
	if err := p.readAt(head, at); err != nil {
		return tree.Xattr{}, err
	}
	b := make([]byte, sizeOfAttribute(head))
	if p.xattrBytes += len(b); p.xattrBytes > maxXattrBytes {
		return tree.Xattr{}, errManyXattrs
	}
	if err := p.readAt(b, at); err != nil {
		return tree.Xattr{}, err
	}
	x, _, err := attributeOf(b)
	return x, err
}

func sizeOfAttribute(b []byte) int {
	return int(roundUp(4+int64(b[0])+int64(little.Uint16(b[2:])), 4))
}

// attributeOf is the first attribute of some bytes, of which it has so many.
func attributeOf(b []byte) (x tree.Xattr, size int, err error) {
	name, value := int(b[0]), int(little.Uint16(b[2:]))
	prefix := ""
	for _, p := range prefixes {
		if p.index == b[1] && p.whole == (name == 0) {
			prefix = p.name
		}
	}
	size = sizeOfAttribute(b)
	if prefix == "" || size > len(b) {
		return x, 0, fmt.Errorf("an attribute of kind %d and %d bytes", b[1], size)
	}
	return tree.Xattr{Name: prefix + string(b[4:4+name]), Value: string(b[4+name : 4+name+value])}, size, nil
}
