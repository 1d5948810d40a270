package distro

import (
	"context"
	"io"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// An Assembler is a [Distro] that makes roots out of nothing but packages.
type Assembler interface {
	Distro
	// Assemble lays the packages of the lock into an empty root, writes the
	// package database as the family's package manager has it, and has that
	// package manager, which is among the packages, configure them by
	// a.Run. The root is then what the package manager itself would have
	// made, whatever the order of the lock. Where a.Run is nil no script
	// runs, and the database says "installed" all the same.
	//
	// Packages may come from anyone: one that breaks its format, leaves the
	// root or takes the files of another where the package manager would
	// refuse it is an error that names it.
	Assemble(ctx context.Context, a Assembly) error
	// Rules tell what differs in roots of this family from one assembly to
	// the next, and how that is made good.
	Rules() []Rule
}

// An Assembly is one making of a root.
type Assembly struct {
	Lock  *lockfile.Lock
	Blobs Blobs
	Root  Target
	// Run runs a command in the root, apart from the host, and waits for it.
	// The environment is fixed; a step's own variables come on top. Nil means
	// that no scripts are wanted.
	Run func(ctx context.Context, s Step) error
	// Epoch is the time of all that has no time of its own.
	Epoch time.Time
	// Parallel is how many packages to unpack at once, at least 1. What comes
	// out does not depend on it.
	Parallel int
	// Unpacked keeps what packages decompress to; nil for none. What comes
	// out does not depend on it.
	Unpacked Unpacked
	Events   *Events
}

// Unpacked keeps what is costly to decompress, by the digest of the package that
// it is in. It may be used concurrently.
type Unpacked interface {
	// Open opens what Keep was given for the package, its bytes hashed just
	// now. What is not there is an error that wraps fs.ErrNotExist. What can
	// be read at random, too, is an [io.ReaderAt].
	Open(ctx context.Context, d lockfile.Digest) (io.ReadCloser, error)
	// Keep takes what r has, if r ends without an error.
	Keep(ctx context.Context, d lockfile.Digest, r io.Reader) error
}

// A Step is a command to run in a root that is being made.
type Step struct {
	Args  []string // the program by its path in the root, and its arguments
	Env   []string // besides the fixed environment, "NAME=value"
	Stdin io.Reader
}

// A Target is a root that is being made. Paths are relative to it, without a
// slash at either end, and looked up within it: links to directories on the
// way are followed, as package managers do (bin may be a link to usr/bin), and
// none leads out. It may be used concurrently, for different paths.
type Target interface {
	// Put makes one entry; directories on the way to it must be there. What
	// is there already under its name is replaced in one step, but a
	// directory, which takes on the new attributes where the entry is a
	// directory too, and is an error where not. A hard link's target must be
	// there. content is read for regular files alone, and must have f.Size
	// bytes.
	Put(f File, content io.Reader) error
	// Stat tells what is at a path itself, without following a last link. An
	// error wraps fs.ErrNotExist where nothing is.
	Stat(path string) (File, error)
	// Read opens a regular file for reading, links followed.
	Read(path string) (io.ReadCloser, error)
	// ReadDir returns the sorted names in a directory, links followed.
	ReadDir(path string) ([]string, error)
	// Remove removes an entry; a directory must be empty.
	Remove(path string) error
}

// A FileType is the kind of a file, by its letter in "ls -l".
type FileType byte

// The types of files that packages hold. Hard is another name of a file that
// is there already.
const (
	Regular   FileType = '-'
	Directory FileType = 'd'
	Symlink   FileType = 'l'
	Hard      FileType = 'h'
	CharDev   FileType = 'c'
	BlockDev  FileType = 'b'
	Fifo      FileType = 'p'
)

// A File is an entry of a root. Its strings are bytes, not text.
type File struct {
	Path         string
	Type         FileType
	Mode         uint32 // the lower twelve bits: permissions, set-id, sticky
	UID, GID     uint32
	Size         int64 // of a regular file
	ModTime      time.Time
	Link         string            // what a Symlink says, or the path that a Hard link is another name of
	Major, Minor uint32            // of devices
	Xattrs       map[string]string // such as "security.capability", as stored
	Origin       Origin            // of a regular file
}

// An Origin is where in what an [Unpacked] keeps of a package the content of a
// file is, byte for byte. The zero Origin is nowhere.
type Origin struct {
	Package lockfile.Digest
	Offset  int64
}

// A Rule is a known cause of difference between two roots of the same
// packages, and its cure. Patterns are those of path.Match for paths relative
// to the root; "/**" at the end stands for all that is below a directory.
type Rule struct {
	// Name is unique in its family, such as "dpkg-logs".
	Name string
	// Reason says what differs and why nothing is lost, in a sentence.
	Reason string
	// Remove are patterns of what is left out, but for what Keep has patterns
	// of.
	Remove, Keep []string
	// Empty are patterns of files that lose their content.
	Empty []string
	// Edit are patterns of files whose content Rewrite gives anew.
	Edit    []string
	Rewrite func(path string, content []byte, epoch time.Time) ([]byte, error)
}
