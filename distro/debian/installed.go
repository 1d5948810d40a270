package debian

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/distro/rootfs"
)

const (
	statusFile = "var/lib/dpkg/status"
	statusDir  = "var/lib/dpkg/status.d"
)

// Limits on dpkg's database, far above any real one: the largest known
// systems have some 20,000 packages in 40 MB.
const (
	maxStatuses   = 1 << 18
	maxStatusFile = 1 << 30
)

// A Status is the record of one package in dpkg's database.
type Status struct {
	Package, Version, Arch string
	Source                 string // as recorded: "name" or "name (version)", "" for Package
	Want                   string // install, hold, deinstall, purge or unknown
	State                  string // such as installed, config-files or unpacked
	NeedsReinstall         bool   // dpkg's flag "reinstreq"
	MultiArch              string // same, foreign, allowed, no or ""
	Depends, PreDepends    string
	Provides               string
	Essential              bool
}

// ID returns the package that the record is of.
func (s Status) ID() distro.Package {
	return distro.Package{Name: s.Package, Version: s.Version, Arch: s.Arch}
}

// Held reports whether a person asked that the package be left as it is.
func (s Status) Held() bool { return s.Want == "hold" }

// Installed reports whether the package is installed. One that only waits for
// the triggers of others is.
func (s Status) Installed() bool {
	return !s.NeedsReinstall && (s.State == "installed" || s.State == "triggers-awaited" || s.State == "triggers-pending")
}

// Absent reports whether nothing but perhaps configuration is left of the
// package.
func (s Status) Absent() bool {
	return !s.NeedsReinstall && (s.State == "not-installed" || s.State == "config-files")
}

// A BrokenError says that packages are neither installed nor absent.
type BrokenError struct {
	Root     string
	Packages []string // "name:arch (state)", sorted
}

// Error names the packages and the remedy.
func (e *BrokenError) Error() string {
	remedy := "dpkg --configure -a"
	if e.Root != "/" {
		remedy = "dpkg --root=" + e.Root + " --configure -a"
	}
	return fmt.Sprintf("%s has packages that are only half installed: %s; mend it with %q (and reinstall what stays broken)", e.Root, strings.Join(e.Packages, ", "), remedy)
}

// Statuses returns all records of dpkg's database, sorted by name,
// architecture and version, those of packages that are not installed among
// them. It reads the files anew each time.
func (s *System) Statuses(ctx context.Context) ([]Status, error) {
	var out []Status
	found := false
	add := func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := s.Files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		found = true
		if out, err = readStatus(f, out); err != nil {
			return fmt.Errorf("%s: %w", s.Files.Join(name), err)
		}
		return nil
	}
	if err := add(statusFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names, err := statusParts(s.Files)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, fmt.Errorf("%s has no package database of dpkg (%s): %w", s.Root, statusFile, fs.ErrNotExist)
	}
	slices.SortFunc(out, func(a, b Status) int { return a.ID().Compare(b.ID()) })
	return out, checkUnique(out)
}

// statusParts lists the files of status.d, where images without dpkg keep a
// file for each package. Beside them lie lists of checksums.
func statusParts(root *rootfs.Root) ([]string, error) {
	entries, err := root.ReadDir(statusDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".md5sums") {
			continue
		}
		names = append(names, statusDir+"/"+e.Name())
	}
	return names, nil
}

// checkUnique refuses a database that has one package twice as installed, of
// which one record must be wrong.
func checkUnique(sorted []Status) error {
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if a.Package == b.Package && a.Arch == b.Arch && !a.Absent() && !b.Absent() {
			return fmt.Errorf("the package database has %s:%s twice, as %s and %s", a.Package, a.Arch, a.Version, b.Version)
		}
	}
	return nil
}

var statusFields = []string{
	"Package", "Version", "Architecture", "Status", "Source", "Multi-Arch",
	"Depends", "Pre-Depends", "Provides", "Essential",
}

// readStatus appends the records of one file to out. A record without a
// Status field, as in status.d, is of an installed package.
func readStatus(r io.Reader, out []Status) ([]Status, error) {
	n := 0
	limited := &io.LimitedReader{R: r, N: maxStatusFile}
	err := deb822.Scan(limited, statusFields, func(v [][]byte) error {
		n++
		if len(out) >= maxStatuses {
			return fmt.Errorf("more than %d packages", maxStatuses)
		}
		s := Status{
			Package: string(v[0]), Version: string(v[1]), Arch: intern(v[2]),
			Source: string(v[4]), MultiArch: intern(v[5]),
			Depends: string(v[6]), PreDepends: string(v[7]), Provides: string(v[8]),
			Essential: bytes.EqualFold(v[9], []byte("yes")),
		}
		if err := s.setStatus(v[3]); err != nil {
			return fmt.Errorf("paragraph %d (%s): %w", n, s.Package, err)
		}
		if s.State == "not-installed" && s.Version == "" {
			return nil
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("paragraph %d: %w", n, err)
		}
		out = append(out, s)
		return nil
	})
	if err == nil && limited.N == 0 {
		err = fmt.Errorf("longer than %d bytes", maxStatusFile)
	}
	return out, err
}

// intern spares an allocation for the few words that most records have.
func intern(b []byte) string {
	switch string(b) {
	case "all":
		return "all"
	case "amd64":
		return "amd64"
	case "arm64":
		return "arm64"
	case "same":
		return "same"
	case "foreign":
		return "foreign"
	}
	return string(b)
}

// setStatus reads the three words of a Status field: what is wanted, whether
// the package is in order, and its state.
func (s *Status) setStatus(field []byte) error {
	if field == nil {
		s.Want, s.State = "install", "installed"
		return nil
	}
	words := strings.Fields(string(field))
	if len(words) != 3 {
		return fmt.Errorf("the status %q has not three words", field)
	}
	switch words[1] {
	case "ok":
	case "reinstreq", "hold-reinstreq":
		s.NeedsReinstall = true
	case "hold":
	default:
		return fmt.Errorf("unknown flag %q in the status", words[1])
	}
	switch words[2] {
	case "not-installed", "config-files", "half-installed", "unpacked", "half-configured",
		"triggers-awaited", "triggers-pending", "installed":
	default:
		return fmt.Errorf("unknown state %q", words[2])
	}
	s.Want, s.State = words[0], words[2]
	return nil
}

// check refuses records whose identity could be mistaken in a lock.
func (s *Status) check() error {
	for _, f := range []struct{ name, value, extra string }{
		{"package", s.Package, "+-._"},
		{"version", s.Version, "+-.~:"},
		{"architecture", s.Arch, "-"},
	} {
		if f.value == "" {
			if f.name == "architecture" && s.Absent() {
				continue // what very old versions of dpkg left behind
			}
			return fmt.Errorf("the package %q has no %s", s.Package, f.name)
		}
		bad := func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(f.extra, r))
		}
		if strings.ContainsFunc(f.value, bad) || len(f.value) > 255 {
			return fmt.Errorf("the package %q has the impossible %s %q", s.Package, f.name, f.value)
		}
	}
	return nil
}

// installed returns the records of the installed packages, sorted as
// Statuses. What is half installed is a [*BrokenError].
func (s *System) installed(ctx context.Context) ([]Status, error) {
	all, err := s.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	var broken []string
	out := slices.DeleteFunc(all, func(st Status) bool {
		if !st.Installed() && !st.Absent() {
			state := st.State
			if st.NeedsReinstall {
				state += ", must be reinstalled"
			}
			broken = append(broken, fmt.Sprintf("%s:%s (%s)", st.Package, st.Arch, state))
		}
		return !st.Installed()
	})
	if len(broken) > 0 {
		return nil, &BrokenError{Root: s.Root, Packages: broken}
	}
	return out, nil
}

// Installed lists the packages that are installed, sorted.
func (s *System) Installed(ctx context.Context) ([]distro.Package, error) {
	all, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	return packages(all), nil
}

func packages(all []Status) []distro.Package {
	out := make([]distro.Package, len(all))
	for i, st := range all {
		out[i] = st.ID()
	}
	return out
}

// SourceName returns the name and the version of the source package that the
// record's package was built from.
func (s Status) SourceName() (name, version string) {
	name, rest, _ := strings.Cut(s.Source, " ")
	version = strings.Trim(strings.TrimSpace(rest), "()")
	return cmp.Or(name, s.Package), cmp.Or(version, s.Version)
}
