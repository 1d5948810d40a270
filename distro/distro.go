package distro

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// A Package names one package at one version, in the distribution's own
// spelling of all three.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"` // whole, with epoch and revision
	Arch    string `json:"arch"`
}

// String returns name, version and architecture with spaces between.
func (p Package) String() string { return p.Name + " " + p.Version + " " + p.Arch }

// Compare orders by name, architecture, version, each by its bytes.
func (p Package) Compare(q Package) int {
	return cmp.Or(strings.Compare(p.Name, q.Name), strings.Compare(p.Arch, q.Arch), strings.Compare(p.Version, q.Version))
}

// Missing returns the lock's note that p could not be located.
func (p Package) Missing() lockfile.Missing {
	return lockfile.Missing{Name: p.Name, Version: p.Version, Arch: p.Arch}
}

// Traits is what a family of distributions is known by. It is data: a
// derivative that behaves as its parent needs no code.
type Traits struct {
	// Family is the name of the implementation, such as "debian".
	Family string
	// IDs are the os-release IDs (and ID_LIKE words) that belong to it.
	IDs []string
	// State are paths below a root of which any tells that packages of this
	// family are installed there.
	State []string
	// Suffixes are the endings of its package files, such as ".deb".
	Suffixes []string
	// Mirrors are the places of its well-known archives, in the order in
	// which to ask them.
	Mirrors []Mirror
}

// A Mirror is a place that serves an archive.
type Mirror struct {
	// Archive is the name that locks use. It is empty when it is not known
	// which archive the place serves; it is then worth a try for any.
	Archive string
	// URL is the base to which a locked path is appended, or, where it holds
	// "{{", a template as the user may write one.
	URL string
	// Keeper says that the place keeps what an archive has dropped. Such
	// places are slow and shared by many: they are asked last and gently.
	Keeper bool
}

// A Distro is a family of distributions. Its methods may be called
// concurrently and do not change any state.
type Distro interface {
	// Traits returns what the family is known by.
	Traits() Traits
	// Describe reads a package out of a file's name alone. What the name does
	// not carry (Debian's epochs) is absent from the version. ok is false
	// where the name does not have the family's form.
	Describe(path string) (p Package, ok bool)
	// Open reads the identity and the configuration of the system below
	// root, an absolute path. It fails with an error that wraps
	// fs.ErrNotExist where there is no such system.
	Open(root string, events *Events) (System, error)
}

// A Creator is a [Distro] that can begin a system in an empty directory.
type Creator interface {
	Distro
	// Create makes of an empty directory a system of no packages into which
	// locks of the given system can be installed. A directory that has
	// anything in it is an error, and left as it is.
	Create(root string, system lockfile.System, events *Events) (System, error)
}

// A System is one root with a system of a known family in it. Its parts may
// not be used concurrently with an installation into the same root.
type System interface {
	Inventory
	Locator
	Installer
}

// Inventory tells what is there. Nothing in it runs a subprocess or reaches
// the network.
type Inventory interface {
	// ID names the system as its locks do.
	ID() lockfile.System
	// Installed lists the packages that are installed, sorted by Compare.
	// Packages that are known but not installed are not in it; what is half
	// installed is an error that names it.
	Installed(ctx context.Context) ([]Package, error)
	// Select returns the installed packages that names (with or without
	// ":arch") stand for and, if deps is set, all installed ones that these
	// depend on. A name that is not installed is an error.
	Select(ctx context.Context, names []string, deps bool) ([]Package, error)
}

// Locator finds the files of packages.
type Locator interface {
	// Locate finds for each package the file of exactly that version. What
	// cannot be found is in the result as Missing and not an error; errors are
	// for a root whose configuration cannot be read.
	Locate(ctx context.Context, req LocateRequest) (*Located, error)
	// Update finds for each package of the lock what the indexes offer now,
	// by the distribution's own rules, with what the newer versions need
	// besides.
	Update(ctx context.Context, lock *lockfile.Lock, req LocateRequest) (*Located, error)
	// Access tells what the root's configuration says of the network.
	Access() Access
}

// Installer brings a root to a locked state.
type Installer interface {
	// Pending returns the entries of the lock whose packages are not
	// installed at the locked version. Where the name of a file does not say
	// what is in it, blobs are asked; a blob that is not at hand makes its
	// entry pending.
	Pending(ctx context.Context, lock *lockfile.Lock, blobs Blobs) ([]lockfile.Entry, error)
	// Install installs the entries in one transaction of the distribution's
	// own package manager, offline and without a question, reads the state
	// back and compares. A state that differs is a [*StateError].
	Install(ctx context.Context, tx Transaction) error
}

// A LocateRequest says what to locate and how far to go for it.
type LocateRequest struct {
	// Packages to locate; not used by Update.
	Packages []Package
	// Fetcher reaches the network; nil means offline.
	Fetcher Fetcher
	// Identifier finds out the digests of files that no index tells. It also
	// serves offline, with what the cache and this machine have; nil means
	// that there is none.
	Identifier Identifier
	// Fresh asks for indexes from the network in place of those in the root.
	// The root is not changed.
	Fresh bool
	// Snapshots allows asking archives that keep old versions.
	Snapshots bool
	// Keepers are the archives of that kind to ask, as templates. Where there
	// are none, those of the family's traits are asked.
	Keepers []Mirror
	// Directories are paths of directories with packages in them, at any
	// depth, besides the root's own package cache. What is found there counts
	// as much as what signs it.
	Directories []string
}

// Located is what a Locator found.
type Located struct {
	// Lock has System, Date, Entries and Missing set, and is sorted.
	Lock *lockfile.Lock
	// Reasons says for each missing package why it could not be located.
	Reasons map[lockfile.Missing]Reason
	// Hints are sentences that say what would help to find what is missing.
	Hints []string
}

// A Reason says why a package could not be located.
type Reason struct {
	// Kind is a clause that holds for all packages of the kind, such as "the
	// archives offer other versions now".
	Kind string
	// Detail is what is particular to the package; it may be empty.
	Detail string
}

// String returns the kind and the detail.
func (r Reason) String() string {
	if r.Detail == "" {
		return r.Kind
	}
	return r.Kind + ": " + r.Detail
}

// A Fetcher is all that distributions ask of the network and of the cache.
// It may be used concurrently.
type Fetcher interface {
	// Get opens what the URL has now. A URL that answers "not found" is an
	// error that wraps fs.ErrNotExist.
	Get(ctx context.Context, url string) (io.ReadCloser, error)
	// Blob opens the file of the given digest, from the cache or from one of
	// the URLs, and keeps it in the cache. Its bytes are checked before the
	// first of them is returned. size is its length in bytes, or -1.
	Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error)
}

// An Identifier finds out digests. It may be used concurrently.
type Identifier interface {
	// Identify returns the digest of a file that no index tells. It takes the
	// file that the cache keeps under the same identity, else the first of
	// the URLs whose bytes pass the check, and keeps it in the cache under
	// that identity. An error wraps fs.ErrNotExist where nothing is kept and
	// every URL answered "not found".
	Identify(ctx context.Context, want Unhashed) (lockfile.Digest, error)
}

// An Unhashed is a file that is known by something other than its SHA-256.
type Unhashed struct {
	// Identity stands for the file: the same for the same file on every
	// machine and another for every other file, such as "apk:Q1Vd…". It has
	// the form of a lock's path.
	Identity string
	// Size is the file's length in bytes, or -1. A file of another size is
	// refused.
	Size int64
	// URLs are where it may be had, the best first. A "file:" URL names a
	// file of this machine.
	URLs []string
	// Check reads a candidate to its end and returns nil only if it is the
	// file that is wanted, whoever it came from. It is called for each
	// candidate, also for one that the cache keeps, never concurrently.
	Check func(r io.Reader) error
}

// Blobs gives the files of a cache.
type Blobs interface {
	// Path returns the path of the file with this digest, whose bytes have
	// been hashed again just now. A file that is not at hand, or was damaged,
	// is an error that wraps fs.ErrNotExist.
	Path(ctx context.Context, d lockfile.Digest) (string, error)
}

// A Transaction is one installation.
type Transaction struct {
	// Lock is the whole lock, Entries those to install.
	Lock    *lockfile.Lock
	Entries []lockfile.Entry
	Blobs   Blobs
	// Output receives what the package manager prints.
	Output io.Writer
	// DryRun has the package manager say what it would do and do nothing.
	DryRun bool
}

// Access is what a root's configuration says of the network.
type Access struct {
	// Mirrors are the places that the configuration names, in its order.
	Mirrors []Mirror
	// Proxy returns the proxy for a request, nil for none. ok is false where
	// the configuration says nothing about it. Proxy itself may be nil.
	Proxy func(u *url.URL) (proxy *url.URL, ok bool)
	// Login returns the user and password for a request. ok is false where
	// there are none. Login itself may be nil.
	Login func(u *url.URL) (login *url.Userinfo, ok bool)
}

// Events tells what goes on. Any callback may be nil, and so may be the
// Events; the others must be safe for concurrent use.
type Events struct {
	// Warn is told what a person should know and can often mend: an index
	// whose signature does not verify, a source that could not be read.
	Warn func(message string)
	// Step is told what takes long, when it begins.
	Step func(message string)
}

// Warning calls Warn, if there is one.
func (e *Events) Warning(message string) {
	if e != nil && e.Warn != nil {
		e.Warn(message)
	}
}

// Stepping calls Step, if there is one.
func (e *Events) Stepping(message string) {
	if e != nil && e.Step != nil {
		e.Step(message)
	}
}

// CountPackages is "1 package" or "2 packages", for what is told of them.
func CountPackages(n int) string {
	if n == 1 {
		return "1 package"
	}
	return fmt.Sprintf("%d packages", n)
}
