package distro

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Resolver is a [Distro] that finds out, from names alone, which packages a
// system would be made of.
type Resolver interface {
	Distro
	// Resolve has the distribution's own package manager choose the packages
	// for an empty system from what signed indexes offer, and locates them as
	// a [Locator] does. The package manager comes from the same indexes, for
	// the architecture that programs can run on here, whatever the
	// architecture that is resolved for.
	//
	// Arguments that make no sense are a [*RequestError], names that the
	// indexes do not have an [*UnknownPackageError]. What the package manager
	// refuses is an error that has its own words.
	Resolve(ctx context.Context, req ResolveRequest) (*Located, error)
}

// A ResolveRequest says what to resolve.
type ResolveRequest struct {
	// Distro is the os-release ID of the distribution, one of the family's.
	Distro string
	// Suites are what the distribution calls its states: "trixie", "v3.20".
	// They are empty for one that has only one.
	Suites []string
	// OnlySuites keeps from the suites that belong to the named ones, such as
	// security updates.
	OnlySuites bool
	// Arch is the architecture in any usual spelling; empty for Host's.
	Arch string
	// Host is the architecture whose programs run here, as Go spells it.
	Host string
	// Packages are names, as the package manager takes them.
	Packages []string
	// Base says what a system has besides: one of the family's words for it;
	// empty for its default, "none" for nothing.
	Base string
	// Recommends has what packages recommend installed too, where there is
	// such a thing.
	Recommends bool
	// Components are the parts of the archive; none for the default.
	Components []string
	// Mirrors are the only places to ask, where there are any. "{{.Timestamp}}"
	// in them stands for Snapshot.
	Mirrors []string
	// Near are places to ask before the well-known ones of the same archive.
	Near []Mirror
	// Snapshot is the time as of which to resolve; zero for now.
	Snapshot time.Time
	// Keyrings, by file name, replace the keys that are built in.
	Keyrings map[string][]byte
	// Dir is an empty directory to work in.
	Dir string
	// Now is the time that expiry is judged by; where it is zero, nothing has
	// expired that was good when it was signed.
	Now        time.Time
	Fetcher    Fetcher
	Identifier Identifier
	Workshop   Workshop
	Events     *Events
}

// Asked says what a package manager is asked for, given all its arguments:
// the packages that were named, and beside them those of the base, which no
// person typed.
func (r *ResolveRequest) Asked(arguments []string) string {
	switch base := len(arguments) > len(r.Packages); {
	case !base:
		return CountPackages(len(r.Packages))
	case len(r.Packages) == 0:
		return "the base"
	}
	return CountPackages(len(r.Packages)) + " and the base"
}

// A Workshop makes roots to run programs in.
type Workshop interface {
	// Lay brings the files of a lock and lays them into an empty root without
	// running anything. sys tells where the files may be had.
	Lay(ctx context.Context, sys Locator, lock *lockfile.Lock) (Bench, error)
}

// A Bench is a root in which programs can be run, apart from the host and
// without a network.
type Bench interface {
	Target
	// Run runs a command and returns what it printed on both streams, cut
	// where that is more than [MaxPrinted]. A command that fails is an error
	// of its own kind; what it printed is returned with it. One that is of an
	// architecture that cannot run here is ENOEXEC to errors.Is, and says what
	// would help.
	Run(ctx context.Context, s Step) ([]byte, error)
	// Close removes the root.
	Close() error
}

// MaxPrinted bounds what is kept of what a command prints, in bytes. A list of
// all packages of Debian has some 8 MB.
const MaxPrinted = 32 << 20

// A RequestError says what is wrong with what was asked for.
type RequestError struct{ Reason string }

// Error is the reason.
func (e *RequestError) Error() string { return e.Reason }

// BadRequest makes a [*RequestError].
func BadRequest(format string, args ...any) error {
	return &RequestError{fmt.Sprintf(format, args...)}
}

// An UnknownPackageError says that no index has names that were asked for.
type UnknownPackageError struct {
	Names []string
	// Where is where they were looked for, such as "trixie for arm64".
	Where string
	// Hint is a sentence that says what would help; it may be empty.
	Hint string
}

// Error names the packages and where they were looked for.
func (e *UnknownPackageError) Error() string {
	text := fmt.Sprintf("%s has no package %s", e.Where, strings.Join(e.Names, ", "))
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Stamp is how archives of snapshots write a time in their URLs.
const Stamp = "20060102T150405Z"

// timestamp stands in a mirror's URL for the time of a snapshot.
const timestamp = "{{.Timestamp}}"

// AtSnapshot puts the time of the snapshot into the mirrors, in the given form.
// A snapshot of a mirror that has no place for a time is refused.
func (r *ResolveRequest) AtSnapshot(form string) ([]string, error) {
	out := make([]string, len(r.Mirrors))
	for i, m := range r.Mirrors {
		switch dated := strings.Contains(m, timestamp); {
		case dated && r.Snapshot.IsZero():
			return nil, BadRequest("%s wants a time, which --snapshot gives", m)
		case !dated && !r.Snapshot.IsZero():
			return nil, BadRequest("%s is the same at all times; a mirror that keeps snapshots has {{.Timestamp}} where the time belongs", m)
		}
		out[i] = strings.TrimRight(strings.ReplaceAll(m, timestamp, r.Snapshot.UTC().Format(form)), "/")
	}
	return out, nil
}

// CopyInto copies the directories and regular files below dir to below the
// path under of a root, as root's own. It refuses links and devices.
func CopyInto(t Target, dir, under string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		to := path.Join(under, filepath.ToSlash(rel))
		switch {
		case to == ".":
			return nil
		case e.IsDir():
			return MakeDir(t, to)
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", name)
		}
		return copyFile(t, name, to)
	})
}

func copyFile(t Target, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return t.Put(File{Path: to, Type: Regular, Mode: 0o644, Size: info.Size(), ModTime: info.ModTime()}, io.LimitReader(f, info.Size()))
}

// MakeDir makes a directory in a root, and those above it. What is there stays
// as it is.
func MakeDir(t Target, name string) error {
	if name == "." || name == "" {
		return nil
	}
	if f, err := t.Stat(name); err == nil && (f.Type == Directory || f.Type == Symlink) {
		return nil
	}
	if err := MakeDir(t, path.Dir(name)); err != nil {
		return err
	}
	return t.Put(File{Path: name, Type: Directory, Mode: 0o755, ModTime: time.Unix(0, 0)}, nil)
}
