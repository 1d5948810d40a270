package tree

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mode is a type and 12 bits of permission, as st_mode of Linux has them.
type Mode uint32

// The types, and the three bits above the permissions.
const (
	TypeMask  Mode = 0o170000
	Fifo      Mode = 0o010000
	CharDev   Mode = 0o020000
	Directory Mode = 0o040000
	BlockDev  Mode = 0o060000
	Regular   Mode = 0o100000
	Symlink   Mode = 0o120000
	Socket    Mode = 0o140000

	SetUID Mode = 0o4000
	SetGID Mode = 0o2000
	Sticky Mode = 0o1000
)

// Type is one of the seven types.
func (m Mode) Type() Mode { return m & TypeMask }

// Bits are the 12 bits below the type.
func (m Mode) Bits() Mode { return m & 0o7777 }

// IsDir reports whether the type is a directory.
func (m Mode) IsDir() bool { return m.Type() == Directory }

// IsRegular reports whether the type is a regular file.
func (m Mode) IsRegular() bool { return m.Type() == Regular }

// IsDevice reports whether the type is a character or block device.
func (m Mode) IsDevice() bool { return m.Type() == CharDev || m.Type() == BlockDev }

// typeNames are those of mtree(5).
var typeNames = map[Mode]string{
	Fifo: "fifo", CharDev: "char", Directory: "dir", BlockDev: "block",
	Regular: "file", Symlink: "link", Socket: "socket",
}

// TypeName is the word of mtree(5) for the type, "" where there is none.
func (m Mode) TypeName() string { return typeNames[m.Type()] }

// Time is a moment in seconds since 1970 in UTC, rounded down, and the
// nanoseconds after it. Times compare with ==.
type Time struct {
	Sec  int64
	Nsec uint32 // less than 1,000,000,000
}

// TimeOf is t without its zone.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// Time is t in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

// Compare is negative where t is before u, and positive where it is after.
func (t Time) Compare(u Time) int {
	return cmp.Or(cmp.Compare(t.Sec, u.Sec), cmp.Compare(t.Nsec, u.Nsec))
}

// Xattr is an extended attribute: its full name, such as security.capability,
// and its value as the kernel gives it.
type Xattr struct{ Name, Value string }

// What Linux bounds extended attributes to.
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrs     = 1024
)

// Inode is what a path stands for. Of an inode that a tree gives, Xattrs must
// not be changed: it is shared.
type Inode struct {
	Mode         Mode
	UID, GID     uint32
	ModTime      Time
	Major, Minor uint32  // of devices
	Target       string  // of symbolic links: 1 to MaxPath bytes without NUL
	Xattrs       []Xattr // in the order of the names' bytes, no name twice
	// Size, Content and Digest are those of regular files. A nil Content is
	// that of an empty file, or else one that is not at hand. A zero Digest is
	// filled in when the tree is frozen; then Size may be Unknown, too.
	Size    int64
	Content Content
	Digest  Digest
}

// Unknown is the size of a content that Freeze is to find out.
const Unknown = -1

// Xattr is the value of an extended attribute, and whether there is such a one.
func (n *Inode) Xattr(name string) (string, bool) {
	i, found := slices.BinarySearchFunc(n.Xattrs, name, func(x Xattr, name string) int { return strings.Compare(x.Name, name) })
	if !found {
		return "", false
	}
	return n.Xattrs[i].Value, true
}

// canonical is the inode in its one form: attributes sorted, what the type
// cannot have refused, links with the mode 0777.
func (n Inode) canonical() (*Inode, error) {
	if typeNames[n.Mode.Type()] == "" || n.Mode&^(TypeMask|0o7777) != 0 {
		return nil, fmt.Errorf("the mode %#o is of no type that is known", uint32(n.Mode))
	}
	if n.ModTime.Nsec > 999_999_999 {
		return nil, fmt.Errorf("a time with %d nanoseconds", n.ModTime.Nsec)
	}
	if !n.Mode.IsDevice() && (n.Major != 0 || n.Minor != 0) {
		return nil, fmt.Errorf("a %s with device numbers", n.Mode.TypeName())
	}
	if err := n.checkTarget(); err != nil {
		return nil, err
	}
	if err := n.checkContent(); err != nil {
		return nil, err
	}
	if n.Mode.Type() == Symlink {
		n.Mode = Symlink | 0o777
	}
	return &n, n.sortXattrs()
}

func (n *Inode) checkTarget() error {
	if n.Mode.Type() != Symlink {
		if n.Target != "" {
			return fmt.Errorf("a %s with the target of a symbolic link", n.Mode.TypeName())
		}
		return nil
	}
	switch {
	case n.Target == "":
		return errors.New("a symbolic link to nothing")
	case len(n.Target) > MaxPath:
		return fmt.Errorf("a symbolic link of %d bytes; at most %d are possible", len(n.Target), MaxPath)
	case strings.Contains(n.Target, "\x00"):
		return errors.New("a symbolic link with a NUL in it")
	}
	return nil
}

func (n *Inode) checkContent() error {
	known := n.Digest != Digest{}
	switch {
	case !n.Mode.IsRegular():
		if n.Size != 0 || n.Content != nil || known {
			return fmt.Errorf("a %s with a content", n.Mode.TypeName())
		}
	case n.Size < Unknown:
		return fmt.Errorf("a size of %d bytes", n.Size)
	case n.Size == Unknown && (known || n.Content == nil):
		return errors.New("a content of unknown size")
	case n.Content == nil && n.Size == 0:
		if known && n.Digest != emptyDigest {
			return errors.New("an empty file with the digest of another")
		}
		n.Digest = emptyDigest
	case n.Content == nil && !known:
		return errors.New("a file without a content and without a digest")
	}
	return nil
}

func (n *Inode) sortXattrs() error {
	if len(n.Xattrs) == 0 {
		n.Xattrs = nil
		return nil
	}
	if len(n.Xattrs) > maxXattrs {
		return fmt.Errorf("%d extended attributes; at most %d are read", len(n.Xattrs), maxXattrs)
	}
	n.Xattrs = slices.Clone(n.Xattrs)
	slices.SortFunc(n.Xattrs, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	for i, x := range n.Xattrs {
		switch {
		case x.Name == "" || len(x.Name) > maxXattrName || strings.Contains(x.Name, "\x00"):
			return fmt.Errorf("%q is not the name of an extended attribute", x.Name)
		case len(x.Value) > maxXattrValue:
			return fmt.Errorf("the extended attribute %q has %d bytes; at most %d are possible", x.Name, len(x.Value), maxXattrValue)
		case i > 0 && n.Xattrs[i-1].Name == x.Name:
			return fmt.Errorf("the extended attribute %q is there twice", x.Name)
		}
	}
	return nil
}

// Equal reports whether two inodes have the same attributes, and contents of
// the same digest. Where a content comes from is of no matter.
func (n *Inode) Equal(m *Inode) bool {
	return n.Mode == m.Mode && n.UID == m.UID && n.GID == m.GID && n.ModTime == m.ModTime &&
		n.Major == m.Major && n.Minor == m.Minor && n.Target == m.Target &&
		n.Size == m.Size && n.Digest == m.Digest && slices.Equal(n.Xattrs, m.Xattrs)
}
