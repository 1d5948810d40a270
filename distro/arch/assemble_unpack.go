package arch

import (
	"archive/tar"
	"context"
	"crypto/md5" // by which pacman knows the contents of configuration files
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
)

// Bounds on one package. The largest of Arch Linux have some 5 GB and 100,000
// files.
const (
	maxPackageFiles = 1 << 20
	maxPackageBytes = 64 << 30
	maxPathBytes    = 4085
	maxMetadata     = 64 << 20 // bytes of one file that is about the package
	maxPadding      = 1 << 20  // bytes behind the archive
)

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
			return fmt.Errorf("read the package: %w", err)
		}
		p.members++
		if bytes += h.Size; p.members > maxPackageFiles || h.Size < 0 || bytes > maxPackageBytes {
			return errors.New("it unpacks to more than any package has")
		}
		if err := as.member(ctx, p, h, tr); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, io.LimitReader(data, maxPadding+1))
	if err == nil && n > maxPadding {
		err = errors.New("something follows the archive")
	}
	if err != nil {
		return fmt.Errorf("read the end of the package: %w", err)
	}
	return as.prepare(ctx, p)
}

// prepare runs pre_install, before the first file.
func (as *assembling) prepare(ctx context.Context, p *parcel) error {
	if p.prepared {
		return nil
	}
	p.prepared = true
	return as.script(ctx, p, "pre_install")
}

// tarTypes are the types of members that packages have.
var tarTypes = map[byte]distro.FileType{
	tar.TypeReg: distro.Regular, tar.TypeDir: distro.Directory, tar.TypeSymlink: distro.Symlink, tar.TypeLink: distro.Hard,
	tar.TypeChar: distro.CharDev, tar.TypeBlock: distro.BlockDev, tar.TypeFifo: distro.Fifo,
}

// member lays one member into the root, or takes what it says of the package.
func (as *assembling) member(ctx context.Context, p *parcel, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if strings.HasPrefix(h.Name, ".") && !strings.Contains(h.Name, "/") && h.Typeflag == tar.TypeReg {
		return as.metadata(p, h, content)
	}
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, localState+"/") {
		return fmt.Errorf("it has /%s, which is for pacman alone to write", name)
	}
	if err := as.prepare(ctx, p); err != nil {
		return err
	}
	kind, ok := tarTypes[h.Typeflag]
	if !ok || h.PAXRecords["GNU.sparse.major"] != "" {
		return fmt.Errorf("%q is of the type %q, which packages do not have", h.Name, h.Typeflag)
	}
	listed := name
	if kind == distro.Directory {
		listed += "/"
	}
	switch {
	case p.listed == nil:
		p.files = append(p.files, listed)
	case !p.listed[listed]:
		as.Events.Warning(fmt.Sprintf("%s: /%s is not in its list of files and is left out", p.entry.Path, name))
		return nil
	}
	if matches(as.noExtract, listed) {
		return nil
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
	if err := as.above(path.Dir(name)); err != nil {
		return err
	}
	if kind == distro.Directory {
		return as.directory(f)
	}
	return as.file(p, f, content)
}

// metadata takes a file about the package. pacman keeps three of them, as they
// are but for their permissions.
func (as *assembling) metadata(p *parcel, h *tar.Header, content io.Reader) error {
	kept, ok := map[string]string{".INSTALL": "install", ".CHANGELOG": "changelog", ".MTREE": "mtree"}[h.Name]
	if !ok {
		return nil // pacman takes no notice of others
	}
	if h.Size > maxMetadata {
		return fmt.Errorf("its %s has more than %d bytes", h.Name, maxMetadata)
	}
	data, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("read its %s: %w", h.Name, err)
	}
	switch h.Name {
	case ".INSTALL":
		p.script = string(data)
	case ".MTREE":
		if p.files, err = pacman.ReadMtree(strings.NewReader(string(data))); err != nil {
			return fmt.Errorf("its .MTREE: %w", err)
		}
		p.listed = make(map[string]bool, len(p.files))
		for _, name := range p.files {
			p.listed[name] = true
		}
	}
	f := distro.File{Path: p.record() + "/" + kept, Type: distro.Regular, Mode: 0o644, Size: h.Size, ModTime: h.ModTime}
	return as.Root.Put(f, strings.NewReader(string(data)))
}

// inside makes a path of the root of a member's name.
func inside(name string) (string, error) {
	clean := strings.TrimSuffix(name, "/")
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if clean == "" || path.Clean(clean) != clean || clean[0] == '.' || clean[0] == '/' || strings.ContainsFunc(clean, control) || len(clean) > maxPathBytes {
		return "", fmt.Errorf("%.200q is no path within the root", name)
	}
	return clean, nil
}

// xattrsOf are the extended attributes of a member. pacman leaves out lists of
// access rights, as it does not ask libarchive for them.
func xattrsOf(h *tar.Header) map[string]string {
	var out map[string]string
	set := func(name, value string) {
		if strings.HasPrefix(name, "system.posix_acl_") || strings.HasPrefix(name, "trusted.") {
			return
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "LIBARCHIVE.xattr."); ok {
			name, err1 := url.PathUnescape(name)
			data, err2 := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
			if err1 == nil && err2 == nil {
				set(name, string(data))
			}
		}
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			set(name, value)
		}
	}
	return out
}

// above makes sure that what a member is in is a directory, and no link: one
// package's link would decide where the files of another go.
func (as *assembling) above(dir string) error {
	if _, ok := as.dirs[dir]; ok || dir == "." {
		return nil
	}
	if err := as.above(path.Dir(dir)); err != nil {
		return err
	}
	f, err := as.Root.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return as.mkdir(dir, 0o755)
	case err != nil:
		return err
	case f.Type != distro.Directory:
		return fmt.Errorf("it has files in /%s, which %s is no directory", dir, as.from(dir))
	}
	as.dirs[dir] = f.Mode
	return nil
}

// from says whose a path is, in a sentence about it.
func (as *assembling) from(name string) string {
	if q := as.owners[name]; q != nil {
		return "as " + q.entry.Path + " has it"
	}
	return "as a script has made it"
}

// directory makes a directory. One that is there keeps its attributes.
func (as *assembling) directory(f distro.File) error {
	mode, ok := as.dirs[f.Path]
	if !ok {
		old, err := as.Root.Stat(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			as.dirs[f.Path] = f.Mode
			return as.Root.Put(f, nil)
		case err != nil:
			return err
		case old.Type != distro.Directory:
			return fmt.Errorf("/%s is a directory of the package, but %s it is none", f.Path, as.from(f.Path))
		}
		mode = old.Mode
		as.dirs[f.Path] = mode
	}
	if mode != f.Mode {
		as.Events.Warning(fmt.Sprintf("the permissions of /%s are %o, and %o in another package", f.Path, mode, f.Mode))
	}
	return nil
}

// file lays anything but a directory into the root.
func (as *assembling) file(p *parcel, f distro.File, content io.Reader) error {
	name := f.Path
	switch q := as.owners[name]; {
	case q == p:
		return fmt.Errorf("/%s is in the package twice", name)
	case q != nil:
		return fmt.Errorf("/%s is in %s too, and pacman lets no package overwrite the files of another", name, q.entry.Path)
	}
	if f.Type == distro.Hard {
		target, err := inside(f.Link)
		if err != nil {
			return err
		}
		if as.owners[target] != p {
			return fmt.Errorf("/%s is a hard link to /%s, which the package does not have before it", name, target)
		}
		f.Link = target
	}
	_, isBackup := p.backups[name]
	old, err := as.Root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case old.Type == distro.Directory:
		return fmt.Errorf("/%s is no directory in the package, but it is one already", name)
	case isBackup || matches(as.noUpgrade, name):
		f.Path += ".pacnew" // a script has made what is there
	}
	as.owners[name] = p
	hash := md5.New()
	if f.Type == distro.Regular && isBackup {
		content = io.TeeReader(content, hash)
	}
	if err := as.Root.Put(f, content); err != nil {
		return err
	}
	if isBackup {
		p.backups[name] = hex.EncodeToString(hash.Sum(nil))
		if f.Type != distro.Regular {
			p.backups[name] = as.sum(f.Path)
		}
	}
	if f.Path != name && isBackup && !matches(as.noUpgrade, name) && as.sum(name) == p.backups[name] {
		return as.swap(f, name)
	}
	return nil
}

// swap puts a new file in the place of the old one, which has the same content.
func (as *assembling) swap(f distro.File, name string) error {
	r, err := as.Root.Read(f.Path)
	if err != nil {
		return err
	}
	at := f
	at.Path = name
	err = as.Root.Put(at, r)
	return errors.Join(err, r.Close(), as.Root.Remove(f.Path))
}

// sum is the MD5 of a file in the root, "(null)" where there is none, as
// pacman spells that.
func (as *assembling) sum(name string) string {
	r, err := as.Root.Read(name)
	if err != nil {
		return "(null)"
	}
	defer r.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, io.LimitReader(r, maxPackageBytes)); err != nil {
		return "(null)"
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// listFiles is what the database says that the package has.
func (p *parcel) listFiles() []string {
	slices.Sort(p.files)
	return p.files
}
