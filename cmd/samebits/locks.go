package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// readLock reads a lock from a file, or from standard input where name is "-".
func (s *session) readLock(name string) (*lockfile.Lock, error) {
	if name == "-" {
		return lockfile.Parse("standard input", s.stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("read the lock: %s is a directory; name the lock in it", name)
	}
	return lockfile.Parse(name, f)
}

// readLocks reads several locks.
func (s *session) readLocks(names []string) ([]*lockfile.Lock, error) {
	locks := make([]*lockfile.Lock, len(names))
	for i, name := range names {
		l, err := s.readLock(name)
		if err != nil {
			return nil, err
		}
		locks[i] = l
	}
	return locks, nil
}

// noteMissing says that a lock does not describe its whole system.
func (s *session) noteMissing(name string, l *lockfile.Lock) {
	if n := len(l.Missing); n > 0 {
		s.warn("%s does not have %s that could not be located when it was made: %s", lockName(name), count(n, "package"), s.some(missingNames(l.Missing)))
	}
}

func lockName(name string) string {
	if name == "-" {
		return "the lock on standard input"
	}
	return name
}

func missingNames(missing []lockfile.Missing) []string {
	names := make([]string, len(missing))
	for i, m := range missing {
		names[i] = m.Name + " " + m.Version
	}
	return names
}

// some is the first few of the names, and how many more there are; with
// --verbose all of them.
func (s *session) some(names []string) string {
	const few = 5
	if s.verbose || len(names) <= few+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// requests asks for entries of a lock.
func requests(l *lockfile.Lock, entries []lockfile.Entry) []fetch.Request {
	reqs := make([]fetch.Request, len(entries))
	for i, e := range entries {
		reqs[i] = fetch.Request{Entry: e, Time: l.Date, CID: l.CIDs[e.Digest]}
	}
	return reqs
}

// describe reads the package out of an entry's path; a name that no family
// understands is the whole base name.
func describe(e lockfile.Entry) distro.Package {
	if d := distro.ByPath(e.Path, families); d != nil {
		if p, ok := d.Describe(e.Path); ok {
			return p
		}
	}
	return distro.Package{Name: e.Base()}
}

// packageKey is what stays the same of a package from version to version.
func packageKey(e lockfile.Entry) string {
	p := describe(e)
	if p.Arch == "" {
		return p.Name
	}
	return p.Name + ":" + p.Arch
}
