package mirror

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/lockfile"
)

// RPM is the Format of the archives of dnf, yum and zypper: any number of
// repositories, each a directory with repodata/repomd.xml and what that names.
//
// Fedora signs its packages and not its repomd.xml. A package is held to the
// checksum in primary.xml, and its own signature must not be bad.
type RPM struct {
	// Keys may sign repomd.xml and packages; nil for none that are known.
	Keys *rpm.Keyring
	// Required refuses packages that none of Keys has signed, neither by
	// themselves nor through repomd.xml. Otherwise what is signed by a key that
	// is not known is held to primary.xml alone: those of other releases are,
	// as a rule.
	Required bool
	// Archive is what locks call the archive; it may be empty.
	Archive string

	verified verified
}

const (
	repodata  = "repodata/"
	repomd    = "repomd.xml"
	ascEnding = ".asc"
	// smallData is up to which size files of metadata are taken with the set
	// that nobody has asked for yet, in bytes.
	smallData = 16 << 20
)

// Roots finds the repomd.xml of the repository that a path belongs to.
func (f *RPM) Roots(name string) (roots []string, begins bool) {
	dir, base := path.Split(name)
	switch {
	case strings.HasSuffix("/"+dir, "/"+repodata):
		return []string{dir + repomd}, base == repomd || base == repomd+ascEnding
	case !strings.HasSuffix(base, ".rpm"):
		return nil, false
	}
	if i := strings.LastIndex("/"+dir, "/Packages/"); i >= 0 {
		return []string{dir[:i] + repodata + repomd}, false
	}
	roots = []string{dir + repodata + repomd}
	if parent, _ := path.Split(strings.TrimSuffix(dir, "/")); dir != "" {
		roots = append(roots, parent+repodata+repomd)
	}
	return roots, false
}

// Read gets repomd.xml and, where there is one, its signature.
func (f *RPM) Read(root string, get Getter, stored bool) (*Set, error) {
	data, signature, err := getSigned(get, root, root+ascEnding, func(data, signature []byte) error {
		if f.Keys == nil || stored {
			return nil
		}
		return f.verified.once(func() error {
			_, err := rpm.VerifyDetached(bytes.NewReader(data), bytes.NewReader(signature), f.Keys, time.Time{})
			return err
		}, data, signature)
	})
	if err != nil {
		return nil, err
	}
	md, err := yum.ParseRepomd(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	set := &Set{Archive: f.Archive, Date: md.Newest(), Signed: f.Keys != nil && signature != nil}
	base := strings.TrimSuffix(root, repodata+repomd)
	for _, d := range md.Data {
		file, err := describeData(base, d, get)
		if err != nil {
			return nil, fmt.Errorf("%s names %s: %w", repomd, d.Location, err)
		}
		if file != nil {
			set.Files = append(set.Files, *file)
		}
	}
	if !slices.ContainsFunc(set.Files, func(f File) bool { return f.Index }) {
		return nil, fmt.Errorf("%s names no primary.xml that can be read", repomd)
	}
	return set, nil
}

// describeData describes a file that repomd.xml names; nil for one that cannot
// be asked for. Of one with a checksum that is not a SHA-256 that follows from
// its bytes, so that it is gotten with the root.
func describeData(base string, d yum.DataFile, get Getter) (*File, error) {
	at := base + d.Location
	if d.Base != "" || lockfile.CheckPath(at) != nil || !strings.HasPrefix(d.Location, repodata) {
		return nil, nil
	}
	digest, ok := d.Checksum.Digest()
	if !ok {
		if _, err := d.Checksum.New(); err != nil {
			return nil, fmt.Errorf("it cannot be checked: %w", err)
		}
		data, err := get(at)
		if err != nil {
			return nil, err
		}
		if !d.Checksum.Matches(data) {
			return nil, fmt.Errorf("it is not the file of the checksum %s", d.Checksum)
		}
		digest, d.Size = lockfile.DigestOf(data), int64(len(data))
	}
	file := &File{Path: at, Digest: digest, Size: cmp.Or(d.Size, -1), Arch: baseArch(base)}
	// A name that begins with the checksum is never another file's. The path
	// without it is how the mirror knows the file from set to set.
	if rest, ok := strings.CutPrefix(path.Base(at), d.Checksum.Hex+"-"); ok && rest != "" {
		file.Others, file.First = []string{at}, at
		file.Path = path.Dir(at) + "/" + rest
	}
	file.Index = d.Type == "primary" && slices.Contains(decompress.Endings, endingOf(at))
	derived := strings.HasSuffix(d.Type, "_zck") || strings.HasSuffix(d.Type, "_db")
	file.Eager = file.Index || !derived && file.Size >= 0 && file.Size <= smallData
	return file, nil
}

// endingOf is how a file is compressed by its name: "" for .xml.
func endingOf(name string) string {
	if e := path.Ext(name); e != ".xml" {
		return e
	}
	return ""
}

// baseArch finds the architecture in a repository's path, or nothing.
func baseArch(base string) string {
	elements := strings.Split(base, "/")
	for _, e := range slices.Backward(elements) {
		if slices.Contains(rpmArches, e) {
			return e
		}
	}
	return ""
}

var rpmArches = []string{"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "i386", "i586", "i686", "armhfp", "noarch", "source", "src"}

// Packages reads a primary.xml.
func (f *RPM) Packages(index File, r io.Reader, yield func(Package) error) error {
	i := strings.LastIndex("/"+index.Path, "/"+repodata)
	if i < 0 {
		return fmt.Errorf("%s does not lie in a repository", index.Path)
	}
	base := index.Path[:i]
	return yum.EachRecord(r, func(rec yum.Record) error {
		p := Package{Path: base + rec.Location, Size: rec.Size, Name: rec.Name, Version: rec.EVR(), Arch: rec.Arch}
		if rec.Base != "" || lockfile.CheckPath(p.Path) != nil {
			return nil // it lies elsewhere
		}
		p.Digest, _ = rec.Checksum.Digest()
		if p.Digest.IsZero() {
			if p.Identity = checksumIdentity(rec.Checksum); p.Identity == nil {
				return nil
			}
		}
		return yield(p)
	})
}

// Checks is true of packages.
func (f *RPM) Checks(name string) bool { return strings.HasSuffix(name, ".rpm") }

// Check verifies what signs a package, and its checksum where that is not a
// SHA-256.
func (f *RPM) Check(p Package, _ Getter, r io.ReadSeeker) (Package, error) {
	weak := false
	if p.Identity != nil {
		var err error
		if weak, err = checkIdentity(p.Identity, r); err != nil {
			return p, err
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return p, err
		}
	}
	pkg, _, err := rpm.Check(r, f.Keys)
	switch {
	case err == nil:
		p.Signed = true
		p.Name, p.Version, p.Arch = pkg.Name, pkg.EVR(), pkg.Arch
		return p, nil
	case isBadPackage(err):
		return p, err
	case weak:
		return p, fmt.Errorf("the index has only a checksum of it that can be forged, so a key that is known must have signed it: %w", err)
	case f.Required && !p.Signed:
		return p, fmt.Errorf("no key that may sign it vouches for it: %w", err)
	}
	if n, ok := rpm.ParseFilename(path.Base(p.Path)); ok {
		p.Name, p.Version, p.Arch = n.Name, n.EVR(), n.Arch
	}
	return p, nil
}

// isBadPackage tells packages with something wrong from those that cannot be
// judged.
func isBadPackage(err error) bool {
	for _, bad := range []error{rpm.ErrBadSignature, rpm.ErrDamaged, rpm.ErrKeyRevoked} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}
