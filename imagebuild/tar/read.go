package tar

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Limits bound what a hostile archive can cost. A zero field is the default.
type Limits struct {
	Entries int   // paths, those of parents that the archive leaves out with them: 2,000,000
	Bytes   int64 // of all contents, holes with them: 64 GiB
}

const (
	defaultEntries = 2_000_000
	defaultBytes   = 64 << 30
)

// ErrTooLarge says that an archive is over its [Limits].
var ErrTooLarge = errors.New("the archive is larger than what is allowed")

// Read reads an archive, not compressed, of pax, GNU tar or ustar, into a tree,
// whose contents store keeps. Owners are the numbers, times have all their
// digits, extended attributes are those of SCHILY.xattr records.
//
// Of several members of one path the last is taken, as when they are unpacked
// one after the other, and hard links are to what was at their target at that
// time. Directories that are not there but have something in them are
// [tree.Root]'s like. Leading and inner "./" are of no meaning; absolute paths
// and ".." are errors, as are ACLs written as text alone, which a tree cannot
// have: GNU tar writes all with --xattrs --xattrs-include='*'.
func Read(ctx context.Context, r io.Reader, store tree.Store, l Limits) (*tree.Tree, error) {
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	p := reader{in: tar.NewReader(r), store: store, limits: l}
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading a tar archive: %w", err)
		}
		h, err := p.in.Next()
		if err == io.EOF {
			break
		}
		// Of what Go thinks insecure we have our own, stricter idea.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, fmt.Errorf("reading a tar archive: %w", err)
		}
		if err := p.member(h); err != nil {
			return nil, fmt.Errorf("reading a tar archive: %w", err)
		}
	}
	t, err := p.tree.Freeze(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a tar archive: %w", err)
	}
	return t, nil
}

type reader struct {
	in     *tar.Reader
	store  tree.Store
	limits Limits
	tree   tree.Builder
	bytes  int64
}

// types are those of type flags; hard links and global headers aside.
var types = map[byte]tree.Mode{
	tar.TypeReg: tree.Regular, '\x00': tree.Regular, tar.TypeCont: tree.Regular, tar.TypeGNUSparse: tree.Regular,
	tar.TypeSymlink: tree.Symlink, tar.TypeChar: tree.CharDev, tar.TypeBlock: tree.BlockDev,
	tar.TypeDir: tree.Directory, tar.TypeFifo: tree.Fifo,
}

func (p *reader) member(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return checkGlobal(h)
	}
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	if err := p.parents(name); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		target, err := clean(h.Linkname)
		if err != nil {
			return fmt.Errorf("%s: a hard link: %w", tree.Display(name), err)
		}
		return p.tree.SetLink(name, target)
	}
	inode, err := inodeOf(h)
	if err != nil {
		return &tree.PathError{Path: name, Err: err}
	}
	if inode.Mode.IsRegular() {
		if err := p.keep(h, &inode); err != nil {
			return &tree.PathError{Path: name, Err: err}
		}
	}
	return p.tree.Set(name, inode)
}

// keep has the member's content stored.
func (p *reader) keep(h *tar.Header, inode *tree.Inode) (err error) {
	if h.Size < 0 || h.Size > p.limits.Bytes-p.bytes {
		return fmt.Errorf("%w: contents of more than %d bytes", ErrTooLarge, p.limits.Bytes)
	}
	p.bytes += h.Size
	if inode.Content, inode.Size, inode.Digest, err = p.store.Keep(p.in); err != nil {
		return err
	}
	if inode.Size != h.Size {
		return fmt.Errorf("%d bytes instead of %d", inode.Size, h.Size)
	}
	return nil
}

// parents makes the directories of a path that are not there yet.
func (p *reader) parents(name string) error {
	for dir := name; dir != ""; {
		if dir, _ = path.Split(dir); dir == "" {
			break
		}
		dir = dir[:len(dir)-1]
		if _, found := p.tree.Lookup(dir); found {
			break
		}
		if err := p.tree.Set(dir, tree.Root); err != nil {
			return err
		}
	}
	if p.tree.Len() >= p.limits.Entries {
		return fmt.Errorf("%w: more than %d paths", ErrTooLarge, p.limits.Entries)
	}
	return nil
}

// clean is a member's name as a path of a tree.
func clean(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("the member %q has an absolute path; pack it without", name)
	}
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, part := range parts {
		switch part {
		case "", ".":
		case "..":
			return "", fmt.Errorf("the member %q leads out of the archive", name)
		default:
			kept = append(kept, part)
		}
	}
	if name == "" {
		return "", errors.New("a member without a name")
	}
	return strings.Join(kept, "/"), nil
}

// checkGlobal accepts a global header that says nothing of the members.
func checkGlobal(h *tar.Header) error {
	for key := range h.PAXRecords {
		if key != "comment" {
			return fmt.Errorf("a global header with %q, which is not read", key)
		}
	}
	return nil
}

// owner is an owner's number of a header that may have it in a record, too. Go
// puts it into an int, which on 32-bit machines is negative from 1<<31 on.
func owner(id int, record string) (uint32, error) {
	n := int64(id)
	if strconv.IntSize == 32 {
		n = int64(uint32(id))
	}
	if record != "" {
		var err error
		if n, err = strconv.ParseInt(record, 10, 64); err != nil {
			return 0, fmt.Errorf("an owner: %w", err)
		}
	}
	if n < 0 || n > math.MaxUint32 {
		return 0, fmt.Errorf("an owner of the number %d", n)
	}
	return uint32(n), nil
}

// inodeOf is what a header says, without the content.
func inodeOf(h *tar.Header) (tree.Inode, error) {
	kind, known := types[h.Typeflag]
	if !known {
		return tree.Inode{}, fmt.Errorf("a member of the type %q, which is not known", h.Typeflag)
	}
	uid, err := owner(h.Uid, h.PAXRecords["uid"])
	if err != nil {
		return tree.Inode{}, err
	}
	gid, err := owner(h.Gid, h.PAXRecords["gid"])
	if err != nil {
		return tree.Inode{}, err
	}
	n := tree.Inode{Mode: kind | tree.Mode(h.Mode)&0o7777, UID: uid, GID: gid, ModTime: tree.TimeOf(h.ModTime)}
	switch {
	case kind == tree.Symlink:
		n.Target = h.Linkname
	case n.Mode.IsDevice():
		if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor > math.MaxUint32 || h.Devminor > math.MaxUint32 {
			return tree.Inode{}, fmt.Errorf("the device numbers %d,%d", h.Devmajor, h.Devminor)
		}
		n.Major, n.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	for key, value := range h.PAXRecords {
		if name, is := strings.CutPrefix(key, "SCHILY.xattr."); is {
			n.Xattrs = append(n.Xattrs, tree.Xattr{Name: name, Value: value})
		}
	}
	for _, acl := range []string{"access", "default"} {
		_, text := h.PAXRecords["SCHILY.acl."+acl]
		if _, binary := h.PAXRecords["SCHILY.xattr.system.posix_acl_"+acl]; text && !binary {
			return tree.Inode{}, errors.New("an ACL as text, which is not read; pack it as an extended attribute (GNU tar: --xattrs --xattrs-include='*')")
		}
	}
	return n, nil
}
