package distro

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Detect finds which of the families the system below root belongs to: by the
// package state that is there and, where several or none have any, by
// os-release.
func Detect(root string, families []Distro) (Distro, error) {
	files, err := rootfs.Open(root)
	if err != nil {
		return nil, fmt.Errorf("no system to look at: %w", err)
	}
	defer files.Close()
	release, err := ReadOSRelease(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var byState, byID, both []Distro
	for _, d := range families {
		t := d.Traits()
		hasState := slices.ContainsFunc(t.State, func(p string) bool { return exists(files, p) })
		isLike := slices.ContainsFunc(release.Like(), func(id string) bool { return slices.Contains(t.IDs, id) })
		if hasState {
			byState = append(byState, d)
		}
		if isLike {
			byID = append(byID, d)
		}
		if hasState && isLike {
			both = append(both, d)
		}
	}
	switch {
	case len(both) == 1:
		return both[0], nil
	case len(byState) == 1:
		return byState[0], nil
	case len(byState) > 1:
		return nil, fmt.Errorf("%s has packages of more than one family of distributions (%s), and its os-release does not decide between them", root, familyNames(byState))
	case len(byID) > 0:
		t := byID[0].Traits()
		return nil, fmt.Errorf("%s calls itself %s but has no package state: none of %s is there", root, release.ID, strings.Join(t.State, ", "))
	}
	return nil, fmt.Errorf("%s has no packages of a known distribution (%s)", root, familyNames(families))
}

// exists reports whether name is there and, if it is a directory, has anything
// in it.
func exists(files *rootfs.Root, name string) bool {
	info, err := files.Stat(name)
	if err != nil || !info.IsDir() {
		return err == nil
	}
	entries, err := files.ReadDir(name)
	return err == nil && len(entries) > 0
}

func familyNames(ds []Distro) string {
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = d.Traits().Family
	}
	return strings.Join(names, ", ")
}

// ByLock finds the family of a lock: by the system that it names and, where
// that is absent or a derivative that is not known by name, by the endings of
// its files. It returns nil where nothing fits.
func ByLock(l *lockfile.Lock, families []Distro) Distro {
	for _, d := range families {
		if slices.Contains(d.Traits().IDs, l.System.Distro) {
			return d
		}
	}
	for _, e := range l.Entries {
		if d := ByPath(e.Path, families); d != nil {
			return d
		}
	}
	return nil
}

// ByPath finds the family whose package files end as path does, or nil.
func ByPath(path string, families []Distro) Distro {
	for _, d := range families {
		if slices.ContainsFunc(d.Traits().Suffixes, func(s string) bool { return strings.HasSuffix(path, s) }) {
			return d
		}
	}
	return nil
}

// OSRelease is what os-release(5) says of a system.
type OSRelease struct {
	ID        string
	IDLike    []string
	VersionID string
	Codename  string
}

// Like returns the system's ID and those that it is like, nearest first.
func (r OSRelease) Like() []string {
	if r.ID == "" {
		return r.IDLike
	}
	return append([]string{r.ID}, r.IDLike...)
}

// Version returns what a lock calls the version: VERSION_ID, else the code
// name, else "-".
func (r OSRelease) Version() string {
	for _, v := range []string{r.VersionID, r.Codename} {
		if v != "" {
			return v
		}
	}
	return "-"
}

// ReadOSRelease reads etc/os-release below root, or usr/lib/os-release where
// that is absent. Symbolic links are followed within the root. It wraps
// fs.ErrNotExist where the root has neither.
func ReadOSRelease(root string) (OSRelease, error) {
	r, err := rootfs.Open(root)
	if err != nil {
		return OSRelease{}, err
	}
	defer r.Close()
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		data, err := r.ReadFile(name, maxOSRelease)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return OSRelease{}, fmt.Errorf("read the name of the system: %w", err)
		}
		return parseOSRelease(string(data)), nil
	}
	return OSRelease{}, fmt.Errorf("%s has no os-release: %w", root, fs.ErrNotExist)
}

// maxOSRelease is the most bytes that an os-release file may have.
const maxOSRelease = 1 << 20

func parseOSRelease(data string) OSRelease {
	var out OSRelease
	for line := range strings.Lines(data) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = unquote(value)
		switch key {
		case "ID":
			out.ID = value
		case "ID_LIKE":
			out.IDLike = strings.Fields(value)
		case "VERSION_ID":
			out.VersionID = value
		case "VERSION_CODENAME":
			out.Codename = value
		}
	}
	return out
}

// unquote undoes the shell quoting that os-release allows: single or double
// quotes around the value, backslashes before special characters.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote := s[0]
		s = s[1 : len(s)-1]
		if quote == '\'' {
			return s
		}
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
