package mirror

import (
	"io"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Format knows how a family of archives is laid out below its root. Its
// methods may be called concurrently. All paths are relative to the archive's
// root, clean and not percent-encoded.
type Format interface {
	// Roots returns the roots of the sets that may name the path, likeliest
	// first, such as dists/sid/InRelease for dists/sid/main/source/Sources.xz.
	// begins is true where the path belongs to a root itself: its freshness is
	// then seen to before it is served. A path of which nothing can be told,
	// such as that of a package in a pool, has no roots.
	Roots(path string) (roots []string, begins bool)
	// Read gets the files that a root consists of, checks their signatures
	// unless stored says that this was done when they came in, and returns
	// what they name. get fails with fs.ErrNotExist where the archive does
	// not have the file, and Read then does so where it cannot do without.
	Read(root string, get Getter, stored bool) (*Set, error)
	// Packages reads a file of a set that has Index set, decompressed or not
	// as it lies in the archive, and calls yield for each file that it names.
	// It returns an error of yield as it is.
	Packages(index File, r io.Reader, yield func(Package) error) error
}

// A Getter returns the bytes of a file of an archive.
type Getter func(path string) ([]byte, error)

// A Set is all that one root names.
type Set struct {
	// Archive is the archive's name as locks have it.
	Archive string
	// Date is when the set was published; zero where it does not say. A set
	// is never replaced by one with an older date.
	Date time.Time
	// Signed says that a trusted key signed the root.
	Signed bool
	// Files are what the root names, and the root's own files where they are
	// indexes of packages.
	Files []File
}

// A File is one file of metadata that a root names.
type File struct {
	Path   string
	Digest lockfile.Digest
	Size   int64 // in bytes
	// Others are other paths by which clients ask for the same bytes: such as
	// name the digest, and so never lead to another file.
	Others []string
	// First is what to ask upstream for before Path; empty for Path itself.
	First string
	// Index says that the file names packages, those of Component for Arch
	// where the format knows such words.
	Index           bool
	Component, Arch string
	// Eager asks for the file to be there before the set is seen.
	Eager bool
	// Raw has Packages read an index as it lies in the archive, whatever its
	// name says of how it is compressed.
	Raw bool
}

// A Package is a file that an index names.
type Package struct {
	Path string
	// Size is in bytes, or -1 where the index does not tell.
	Size   int64
	Digest lockfile.Digest
	// Identity stands in for Digest in archives that tell none: up to 32
	// bytes that the format's Check can hold the file to.
	Identity []byte
	// Name, Version and Arch are for the history; empty for files that are
	// no packages, such as the parts of a source package.
	Name, Version, Arch string
	// Optional says that the archive may do without the file, as without the
	// signature beside a package.
	Optional bool
	// Signed says that a trusted key vouches for the package: through the
	// index, or as Check finds out, by itself.
	Signed bool
}

// A Checker is a Format that looks into packages: since its indexes tell no
// digest of them, or since they are signed themselves.
type Checker interface {
	// Checks reports whether Check has anything to say of files at a path.
	Checks(path string) bool
	// Check reads a whole file that came from the archive. One with an
	// Identity must be the one that this is of. One with a Digest is held to
	// that by the mirror, and refused here only for what more is wrong with
	// it. beside gets small files that lie in the archive too. It returns p
	// with Name, Version and Arch as the package has them, for the history,
	// and with Signed set where a trusted key signed it.
	Check(p Package, beside Getter, r io.ReadSeeker) (Package, error)
}
