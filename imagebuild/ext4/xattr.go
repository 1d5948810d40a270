package ext4

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	xattrMagic     = 0xEA020000
	inlineXattrs   = inodeSize - 128 - 32 - 4
	xattrHeader    = 32
	xattrEntrySize = 16
)

// attribute is an extended attribute as ext4 has it.
type attribute struct {
	index       byte // of the namespace
	name, value string
}

var namespaces = []struct {
	prefix string
	index  byte
}{{"user.", 1}, {"trusted.", 4}, {"security.", 6}}

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// attributes are those of an inode in ext4's order; what says what cannot be.
func attributes(n *tree.Inode) (list []attribute, what string) {
	for _, x := range n.Xattrs {
		a := attribute{value: x.Value}
		switch x.Name {
		case accessACL, defaultACL:
			a.index = 2
			if x.Name == defaultACL {
				a.index = 3
			}
			var ok bool
			if a.value, ok = diskACL(x.Value); !ok {
				return nil, "an attribute " + x.Name + " that is no POSIX ACL"
			}
		default:
			for _, s := range namespaces {
				if rest, found := strings.CutPrefix(x.Name, s.prefix); found && rest != "" && len(rest) <= 255 {
					a.index, a.name = s.index, rest
				}
			}
			if a.index == 0 {
				return nil, "an extended attribute of the name " + x.Name
			}
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b attribute) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	return list, ""
}

// diskACL is an ACL of the kernel's form in ext4's.
func diskACL(v string) (string, bool) {
	b := []byte(v)
	if len(b) < 4 || len(b)%8 != 4 || le.Uint32(b) != 2 {
		return "", false
	}
	out := le.AppendUint32(nil, 1)
	for b = b[4:]; len(b) > 0; b = b[8:] {
		out = append(out, b[:4]...)
		switch le.Uint16(b) {
		case 2, 8:
			out = append(out, b[4:8]...)
		case 1, 4, 16, 32:
			if le.Uint32(b[4:]) != 1<<32-1 {
				return "", false
			}
		default:
			return "", false
		}
	}
	return string(out), true
}

// kernelACL is the inverse of diskACL.
func kernelACL(b []byte) (string, bool) {
	if len(b) < 4 || le.Uint32(b) != 1 {
		return "", false
	}
	out := le.AppendUint32(nil, 2)
	for b = b[4:]; len(b) > 0; {
		if len(b) < 4 {
			return "", false
		}
		tag := le.Uint16(b)
		out = append(out, b[:4]...)
		b = b[4:]
		if tag == 2 || tag == 8 {
			if len(b) < 4 {
				return "", false
			}
			out = append(out, b[:4]...)
			b = b[4:]
		} else {
			out = le.AppendUint32(out, 1<<32-1)
		}
	}
	return string(out), true
}

func round4(n int) int { return (n + 3) &^ 3 }

func (a *attribute) size() int {
	return xattrEntrySize + round4(len(a.name)) + round4(len(a.value))
}

// splitAttributes puts what fits into the inode and the rest into a block.
func splitAttributes(list []attribute) (inode, block []attribute, fits bool) {
	room, blockRoom := inlineXattrs-4, blockSize-xattrHeader-4
	for _, a := range list {
		if n := a.size(); n <= room {
			room -= n
			inode = append(inode, a)
		} else {
			blockRoom -= n
			block = append(block, a)
		}
	}
	return inode, block, blockRoom >= 0
}

// putAttributes writes entries from a byte of b on and values at its end, whose
// places are counted from base. It returns the hash of a block.
func putAttributes(b []byte, from, base int, list []attribute) (sum uint32) {
	end := len(b)
	for _, a := range list {
		e := b[from:]
		e[0], e[1] = byte(len(a.name)), a.index
		copy(e[xattrEntrySize:], a.name)
		hash := uint32(0)
		for i := range len(a.name) {
			hash = bits.RotateLeft32(hash, 5) ^ uint32(a.name[i])
		}
		if len(a.value) > 0 {
			end -= round4(len(a.value))
			copy(b[end:], a.value)
			le.PutUint16(e[2:], uint16(end-base))
			for i := end; i < end+len(a.value); i += 4 {
				hash = bits.RotateLeft32(hash, 16) ^ le.Uint32(b[i:])
			}
		}
		le.PutUint32(e[8:], uint32(len(a.value)))
		le.PutUint32(e[12:], hash)
		sum = bits.RotateLeft32(sum, 16) ^ hash
		from += xattrEntrySize + round4(len(a.name))
	}
	return sum
}

// xattrBlock is a block without its checksum and count.
func xattrBlock(list []attribute) []byte {
	b := make([]byte, blockSize)
	le.PutUint32(b, xattrMagic)
	le.PutUint32(b[8:], 1)
	le.PutUint32(b[12:], putAttributes(b, xattrHeader, 0, list))
	return b
}
