package debian

import (
	"archive/tar"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/samebits/samebits/distro"
)

// Bounds on one package. The largest of Debian have some 3 GB and 100,000
// files.
const (
	maxPackageFiles = 1 << 20
	maxPackageBytes = 64 << 30
	maxPathBytes    = 4095
)

// unpack lays the files of packages into the root and enters them into dpkg's
// database. Archives are decompressed in parallel, and written one after
// another, so that the order of what is written is always the same.
func (as *assembling) unpack(ctx context.Context, parcels []*parcel) error {
	if err := as.readPeople(); err != nil {
		return err
	}
	if err := as.database.readOverrides(as); err != nil {
		return err
	}
	for _, p := range parcels {
		s := as.streams[p]
		s.begin()
		err := as.unpackOne(ctx, p, s)
		if err == nil {
			err = finish(s)
		}
		s.end()
		if err != nil {
			return fmt.Errorf("%s: %w", p.entry.Path, err)
		}
	}
	return as.database.enter(as, parcels)
}

// maxPadding bounds what is read behind an archive; tar fills up to 10 KiB.
const maxPadding = 1 << 20

// finish reads what follows the archive: padding, and what the compression has
// to say of the whole.
func finish(data io.Reader) error {
	if _, err := io.CopyN(io.Discard, data, maxPadding); err != nil && err != io.EOF {
		return fmt.Errorf("read the end of the data archive: %w", err)
	}
	return nil
}

// unpackOne lays the files of one package into the root.
func (as *assembling) unpackOne(ctx context.Context, p *parcel, data io.Reader) error {
	at := &counted{r: data}
	tr := tar.NewReader(at)
	var bytes int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the data archive: %w", err)
		}
		if bytes += h.Size; len(p.list) >= maxPackageFiles || bytes > maxPackageBytes || h.Size < 0 {
			return errors.New("it unpacks to more than any package has")
		}
		var origin distro.Origin
		if as.Unpacked != nil && !sparse(h) {
			origin = distro.Origin{Package: p.entry.Digest, Offset: at.n}
		}
		if err := as.member(p, h, tr, origin); err != nil {
			return err
		}
	}
}

// counted counts the bytes that were read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// sparse reports whether a member's content is not in the archive as it is.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// tarTypes are the types of members that packages have.
var tarTypes = map[byte]distro.FileType{
	tar.TypeReg: distro.Regular, tar.TypeDir: distro.Directory, tar.TypeSymlink: distro.Symlink, tar.TypeLink: distro.Hard,
	tar.TypeChar: distro.CharDev, tar.TypeBlock: distro.BlockDev, tar.TypeFifo: distro.Fifo,
}

// member lays one member into the root.
func (as *assembling) member(p *parcel, h *tar.Header, content io.Reader, origin distro.Origin) error {
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	kind, ok := tarTypes[h.Typeflag]
	if !ok || h.PAXRecords["GNU.sparse.major"] != "" {
		return fmt.Errorf("%q is of the type %q, which packages do not have", h.Name, h.Typeflag)
	}
	if name == "" {
		if kind != distro.Directory {
			return errors.New("the root is no directory")
		}
		p.list = append(p.list, "/.")
		return nil
	}
	p.list = append(p.list, "/"+name)
	f := distro.File{
		Path: name, Type: kind, Mode: uint32(h.Mode) & 0o7777, UID: as.person(as.people.users, h.Uname, h.Uid), GID: as.person(as.people.groups, h.Gname, h.Gid),
		Size: h.Size, ModTime: h.ModTime, Link: h.Linkname, Major: uint32(h.Devmajor), Minor: uint32(h.Devminor),
	}
	if kind == distro.Regular {
		f.Origin = origin
	}
	if kind == distro.Directory {
		return as.directory(f)
	}
	if kind == distro.Hard {
		if f.Link, err = inside(h.Linkname); err != nil {
			return err
		}
		f.Link = as.database.diverted(p, f.Link)
	}
	as.database.override(&f)
	f.Path = as.database.diverted(p, name)
	return as.file(p, name, f, content)
}

// person is the number of a name in the root, else the one in the archive.
func (as *assembling) person(known map[string]uint32, name string, number int) uint32 {
	if n, ok := known[name]; ok && name != "" {
		return n
	}
	return uint32(number)
}

// inside makes a path of the root of a member's name. "" is the root itself.
func inside(name string) (string, error) {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "." {
		clean = ""
	}
	if clean != "" && (path.Clean(clean) != clean || clean == ".." || strings.HasPrefix(clean, "../") || clean[0] == '/' || strings.ContainsRune(clean, 0)) || len(clean) > maxPathBytes {
		return "", fmt.Errorf("%.200q is no path within the root", name)
	}
	return clean, nil
}

// directory makes a directory that no earlier package has made; one that is
// there keeps its attributes, and so does a link to one.
func (as *assembling) directory(f distro.File) error {
	at := as.real(f.Path)
	if as.dirs[at] || as.moved[f.Path] != "" && as.dirs[as.moved[f.Path]] {
		return nil
	}
	if old, err := as.Root.Stat(f.Path); err == nil && old.Type == distro.Symlink {
		if _, err := as.Root.ReadDir(f.Path); err == nil {
			return nil
		}
	}
	as.database.override(&f)
	if err := as.Root.Put(f, nil); err != nil {
		return err
	}
	as.dirs[at] = true
	return nil
}

// file puts anything but a directory, if the package may.
func (as *assembling) file(p *parcel, name string, f distro.File, content io.Reader) error {
	at := as.real(f.Path)
	if f.Type == distro.Symlink && as.dirs[at] {
		return nil // dpkg leaves a directory where a package has a link
	}
	if q := as.owners[at]; q != nil && q != p {
		switch {
		case p.overwrites(q):
		case q.overwrites(p):
			return nil
		case p.Package == q.Package && p.Paragraph.Get("Multi-Arch") == "same":
			return nil // the same file of another architecture
		default:
			return fmt.Errorf("/%s is in %s too, which it does not replace", name, q.entry.Path)
		}
	}
	as.owners[at] = p
	sum := p.summing(name, f)
	if sum != nil {
		content = io.TeeReader(content, sum)
	}
	if err := as.Root.Put(f, content); err != nil {
		return err
	}
	if sum != nil {
		p.summed(name, hex.EncodeToString(sum.Sum(nil)))
	}
	if f.Type == distro.Symlink && as.moved[f.Path] != "" {
		as.dirs[f.Path] = true
	}
	return nil
}

// summing returns what takes the MD5 of a file that dpkg keeps one of: of
// configuration files, and of all where the package brings no list. It is a
// check against decay and not against people.
func (p *parcel) summing(name string, f distro.File) hash.Hash {
	_, isConf := p.conffiles[name]
	_, hasList := p.Files["md5sums"]
	if f.Type != distro.Regular || !isConf && hasList {
		return nil
	}
	return md5.New()
}

func (p *parcel) summed(name, sum string) {
	if _, isConf := p.conffiles[name]; isConf {
		p.conffiles[name] = sum
	} else {
		p.sums = append(p.sums, sum+"  "+name+"\n")
	}
}

// confList is the Conffiles field of a package, in the order of its file.
func (p *parcel) confList() string {
	var b strings.Builder
	for line := range strings.Lines(string(p.Files["conffiles"].Content)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		name := strings.TrimPrefix(fields[len(fields)-1], "/")
		sum, ok := p.conffiles[name]
		switch {
		case !ok:
		case sum == "":
			fmt.Fprintf(&b, "\n /%s newconffile", name)
		default:
			fmt.Fprintf(&b, "\n /%s %s", name, sum)
		}
	}
	return b.String()
}
