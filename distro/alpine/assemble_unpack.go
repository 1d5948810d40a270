package alpine

import (
	"archive/tar"
	"context"
	"crypto/sha1" // by which apk knows the contents of files
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// Bounds on one package. The largest of Alpine have some 3 GB and 100,000
// files.
const (
	maxPackageFiles = 1 << 20
	maxPackageBytes = 64 << 30
	maxPathBytes    = 4085
)

// An owned is a file of a package. What a file is said to be is the package's
// word; where it lies may differ by a suffix.
type owned struct {
	parcel *parcel
	name   string // in its directory
	at     string // where it lies
	acl    acl
	sum    []byte // SHA-1, nil for what has no content
	gone   bool   // another package has taken it over
}

// unpack lays the files of a package into the root.
func (as *assembling) unpack(ctx context.Context, p *parcel, data io.Reader) error {
	tr := tar.NewReader(data)
	var bytes int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the data segment: %w", err)
		}
		p.files++
		if bytes += h.Size; p.files > maxPackageFiles || h.Size < 0 || bytes > maxPackageBytes {
			return errors.New("it unpacks to more than any package has")
		}
		if err := as.member(p, h, tr); err != nil {
			return err
		}
	}
	// What follows the archive is padding, but the end of the file must be
	// there, and fit what came before.
	n, err := io.Copy(io.Discard, io.LimitReader(data, maxPadding+1))
	if err == nil && n > maxPadding {
		err = errors.New("something follows the archive")
	}
	if err != nil {
		return fmt.Errorf("read the end of the data segment: %w", err)
	}
	return nil
}

// maxPadding bounds the zeros behind an archive; tar fills up to 10 KiB.
const maxPadding = 1 << 20

// tarTypes are the types of members that packages have.
var tarTypes = map[byte]distro.FileType{
	tar.TypeReg: distro.Regular, tar.TypeDir: distro.Directory, tar.TypeSymlink: distro.Symlink, tar.TypeLink: distro.Hard,
	tar.TypeChar: distro.CharDev, tar.TypeBlock: distro.BlockDev, tar.TypeFifo: distro.Fifo,
}

// member lays one member into the root. Those whose path begins with a dot are
// not for the root.
func (as *assembling) member(p *parcel, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if name == "" || h.Name[0] == '.' {
		return nil
	}
	kind, ok := tarTypes[h.Typeflag]
	if !ok || h.PAXRecords["GNU.sparse.major"] != "" {
		return fmt.Errorf("%q is of the type %q, which packages do not have", h.Name, h.Typeflag)
	}
	f := distro.File{
		Path: name, Type: kind, Mode: uint32(h.Mode) & 0o7777, Size: h.Size, ModTime: h.ModTime, Link: h.Linkname,
		Major: uint32(h.Devmajor), Minor: uint32(h.Devminor), Xattrs: xattrsOf(h),
	}
	if f.UID, err = as.users.find(as.Root, h.Uname, h.Uid); err != nil {
		return err
	}
	if f.GID, err = as.groups.find(as.Root, h.Gname, h.Gid); err != nil {
		return err
	}
	if kind == distro.Directory {
		return as.directory(p, f)
	}
	return as.file(p, f, h.PAXRecords["APK-TOOLS.checksum.SHA1"], content)
}

// xattrsOf are the extended attributes of a member.
func xattrsOf(h *tar.Header) map[string]string {
	var out map[string]string
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = value
		}
	}
	return out
}

// inside makes a path of the root of a member's name. "" is the root itself.
func inside(name string) (string, error) {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "." || clean == "" && name != "" && name[0] != '/' {
		return "", nil
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if path.Clean(clean) != clean || clean == ".." || strings.HasPrefix(clean, "../") || clean[0] == '/' ||
		strings.ContainsFunc(clean, control) || len(clean) > maxPathBytes {
		return "", fmt.Errorf("%.200q is no path within the root", name)
	}
	return clean, nil
}

// file lays anything but a directory into the root, if the package may, and
// notes it for the database. sum is the SHA-1 that the package gives for it.
func (as *assembling) file(p *parcel, f distro.File, sum string, content io.Reader) error {
	in, base := splitPath(f.Path)
	if strings.HasPrefix(base, ".keep_") && len(base) > len(".keep_") {
		return nil
	}
	d := p.byDir[in]
	if d == nil {
		if in != "" {
			return fmt.Errorf("/%s is in a directory that the package does not have", f.Path)
		}
		d = as.own(p, "")
	}
	o := &owned{parcel: p, name: base, at: f.Path, acl: aclOf(f), sum: parseSum(sum)}
	if f.Type == distro.Hard {
		target, err := as.target(p, f)
		if err != nil {
			return err
		}
		f.Link, o.sum = target.at, target.sum
	}
	if skip, err := as.contest(p, f.Path); skip || err != nil {
		return err
	}
	if err := as.put(o, f, content); err != nil {
		return err
	}
	if old := as.owners[f.Path]; old != nil {
		old.gone = true
	}
	as.owners[f.Path] = o
	d.files = append(d.files, o)
	return nil
}

// splitPath parts the directory of a path from its name.
func splitPath(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

// parseSum reads the SHA-1 that a package gives for a file; nil where there is
// none.
func parseSum(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != sha1.Size {
		return nil
	}
	return b
}

// target finds the file that a hard link is another name of. It must be of the
// same package, and come before.
func (as *assembling) target(p *parcel, f distro.File) (*owned, error) {
	name, err := inside(f.Link)
	if err != nil {
		return nil, err
	}
	if o := as.owners[name]; o != nil && o.parcel == p {
		return o, nil
	}
	return nil, fmt.Errorf("/%s is a hard link to /%s, which the package does not have before it", f.Path, name)
}

// contest decides about a file that an earlier package has too: skip says that
// it stays with that one.
func (as *assembling) contest(p *parcel, name string) (skip bool, err error) {
	old := as.owners[name]
	if old == nil {
		return false, nil
	}
	q := old.parcel
	if q == p {
		return false, fmt.Errorf("/%s is in the package twice", name)
	}
	if p.Origin != "" && p.Origin == q.Origin {
		return false, nil
	}
	theirs, ours := priority(q, p), priority(p, q)
	switch {
	case theirs > ours:
		return true, nil
	case ours >= 0:
		return false, nil
	}
	return false, fmt.Errorf("/%s is in %s too, and neither package replaces the other", name, q.entry.Path)
}

// priority is with what right p replaces files of q: -1 for none.
func priority(p, q *parcel) int {
	for _, d := range dependencies(p.Replaces) {
		if !d.Conflict && d.Matches(apk.Record{Name: q.Name, Version: q.Version, Identity: q.Identity}) {
			return p.ReplacesPriority
		}
	}
	return -1
}

// put lays a file down. In /etc, what a script has made or changed stays, and
// the package's file goes beside it, unless they are equal.
func (as *assembling) put(o *owned, f distro.File, content io.Reader) error {
	if f.Type == distro.Symlink {
		f.ModTime, f.Xattrs = as.Epoch, nil // apk sets neither
		if o.sum == nil {
			sum := sha1.Sum([]byte(f.Link))
			o.sum = sum[:]
		}
	}
	if strings.HasPrefix(f.Path, "etc/") {
		kept, err := as.isKept(f.Path)
		if err != nil {
			return err
		}
		if kept != nil {
			if string(kept) == string(o.sum) {
				return nil
			}
			f.Path += ".apk-new"
			o.at = f.Path
		}
	}
	hash := sha1.New()
	if o.sum == nil && f.Type == distro.Regular {
		content = io.TeeReader(content, hash)
	}
	if err := as.Root.Put(f, content); err != nil {
		return err
	}
	if o.sum == nil && f.Type == distro.Regular {
		o.sum = hash.Sum(nil)
	}
	return nil
}

// isKept reports whether a file is there that is not as a package has left it,
// and returns the SHA-1 of what it has; else nil.
func (as *assembling) isKept(name string) ([]byte, error) {
	there, err := as.Root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	hash := sha1.New()
	switch there.Type {
	case distro.Symlink:
		hash.Write([]byte(there.Link))
	case distro.Regular:
		r, err := as.Root.Read(name)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(hash, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	sum := hash.Sum(nil)
	if old := as.owners[name]; old != nil && string(old.sum) == string(sum) {
		return nil, nil
	}
	return sum, nil
}
