package lockfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Lock is the content of one lock file: the system that it was taken from
// and the package files that are installed there.
//
// A Lock that came out of [Parse] or went through [Lock.Sort] has its entries
// in canonical order, each path once.
type Lock struct {
	// System is what the lock was taken from; zero where the file does not
	// say, as with the bare output of sha256sum.
	System System
	// Date is the newest Date of the signed indexes that the lock rests on,
	// in UTC and whole seconds; zero where there was none.
	Date time.Time
	// Entries are the locked files.
	Entries []Entry
	// Missing are the installed packages that could not be located. A lock
	// that has any does not describe the whole system.
	Missing []Missing
	// CIDs holds the IPFS address of files for which it does not follow from
	// the digest.
	CIDs map[Digest]string
	// Header and Trailer are the user's comment lines at the head of the file
	// and after the last entry, each with its leading "#".
	Header, Trailer []string
}

// System names an installed system: the ID and VERSION_ID of its os-release
// and its native architecture in the distribution's own spelling ("amd64",
// "x86_64"). Version is "-" for a rolling release that has none.
type System struct {
	Distro  string `json:"distro"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
}

// IsZero reports whether the system is not known.
func (s System) IsZero() bool { return s == System{} }

// String returns the three fields with spaces between, as in the lock.
func (s System) String() string { return s.Distro + " " + s.Version + " " + s.Arch }

// An Archive is the collection of packages that an index describes: what its
// Release file calls Origin and Label. Locks name archives and not mirrors, so
// that two people with different mirrors get the same lock.
type Archive struct {
	// Name is as [ArchiveName] makes it: free of white space. It is empty
	// for entries of files that name no archive.
	Name string `json:"name"`
	// URL is the base URL of an archive that is not generally known; empty
	// for one that is.
	URL string `json:"url,omitempty"`
}

// String returns the archive as the lock's directive has it.
func (a Archive) String() string {
	if a.URL == "" {
		return a.Name
	}
	return a.Name + " " + a.URL
}

// Compare orders archives by name, then by URL.
func (a Archive) Compare(b Archive) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.URL, b.URL))
}

// ArchiveName makes an archive's name of what its signed index says of itself:
// "Origin" where the label is the same or absent, else "Origin/Label". Within
// them "/" and "%" and what is not printable (white space, control characters,
// bytes that are not UTF-8) are percent-encoded. An archive that says neither
// is named "-"; one that says "-" is named "%2D".
func ArchiveName(origin, label string) string {
	o, l := escapeName(origin), escapeName(label)
	switch {
	case o == "" && l == "":
		return "-"
	case o == "":
		return l
	case l == "" || l == o:
		return o
	}
	return o + "/" + l
}

func escapeName(s string) string {
	if s == "-" {
		return "%2D"
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		invalid := r == utf8.RuneError && size == 1
		if invalid || r == '/' || r == '%' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(s[i : i+size])
		}
	}
	return b.String()
}

// An Entry is one locked file.
type Entry struct {
	Digest Digest `json:"sha256"`
	// Path is where the file lies below its archive's root: relative, clean,
	// separated by "/", not percent-encoded.
	Path    string  `json:"path"`
	Archive Archive `json:"archive"`
	// Unsigned says that no trusted signature stands behind Digest.
	Unsigned bool `json:"unsigned,omitempty"`
	// Comments are the user's comment lines directly above the entry, each
	// with its leading "#".
	Comments []string `json:"-"`
}

// Base returns the last element of the entry's path.
func (e Entry) Base() string { return e.Path[strings.LastIndexByte(e.Path, '/')+1:] }

// Compare is the canonical order: by archive, signed before unsigned, then by
// the bytes of the path.
func (e Entry) Compare(f Entry) int {
	return cmp.Or(e.Archive.Compare(f.Archive), compareBool(e.Unsigned, f.Unsigned), strings.Compare(e.Path, f.Path))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Missing names an installed package for which no file could be located.
type Missing struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
}

// String returns the three fields with spaces between, as in the lock.
func (m Missing) String() string { return m.Name + " " + m.Version + " " + m.Arch }

// Compare orders by name, architecture, version.
func (m Missing) Compare(n Missing) int {
	return cmp.Or(strings.Compare(m.Name, n.Name), strings.Compare(m.Arch, n.Arch), strings.Compare(m.Version, n.Version))
}

// A ConflictError says that one path was given two digests.
type ConflictError struct {
	Path string
	A, B Digest
}

// Error names the path and both digests.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("two digests for %s: %s and %s", e.Path, e.A, e.B)
}

// Sort brings the lock into canonical order and drops what is said twice: of
// two entries for one file, the signed one stays, and after that the first in
// canonical order whose archive is named. Comments stay with their entry;
// those that would stand where the head's do become the head's. Sort returns a
// [*ConflictError] where one path has two digests.
func (l *Lock) Sort() error {
	byPath := make(map[string]int, len(l.Entries))
	kept := make([]Entry, 0, len(l.Entries))
	for _, e := range l.Entries {
		i, seen := byPath[e.Path]
		if !seen {
			byPath[e.Path] = len(kept)
			kept = append(kept, e)
			continue
		}
		if kept[i].Digest != e.Digest {
			return &ConflictError{Path: e.Path, A: kept[i].Digest, B: e.Digest}
		}
		kept[i] = better(kept[i], e)
	}
	slices.SortFunc(kept, Entry.Compare)
	l.Entries = kept
	slices.SortFunc(l.Missing, Missing.Compare)
	l.Missing = slices.Compact(l.Missing)
	l.settleComments()
	return nil
}

// settleComments gives the head what a reader of the formatted lock could not
// tell from the head's comments: those above the first entry where no
// directive comes between, and those of a lock without entries.
func (l *Lock) settleComments() {
	if len(l.Entries) == 0 {
		l.Header, l.Trailer = append(slices.Clip(l.Header), l.Trailer...), nil
		return
	}
	first := &l.Entries[0]
	headless := l.System.IsZero() && l.Date.IsZero() && len(l.Missing) == 0 && len(l.CIDs) == 0
	if headless && first.Archive == (Archive{}) && !first.Unsigned {
		l.Header, first.Comments = append(slices.Clip(l.Header), first.Comments...), nil
	}
}

// addCID notes an IPFS address of a file. Of several any will do, since the
// bytes are checked by their digest; the first in order stays.
func (l *Lock) addCID(d Digest, cid string) {
	if l.CIDs == nil {
		l.CIDs = map[Digest]string{}
	}
	if old, ok := l.CIDs[d]; !ok || cid < old {
		l.CIDs[d] = cid
	}
}

// better merges two entries of one file; comments are kept.
func better(a, b Entry) Entry {
	comments := append(slices.Clip(a.Comments), b.Comments...)
	if cmp.Or(compareBool(a.Unsigned, b.Unsigned), compareBool(a.Archive.Name == "", b.Archive.Name == ""), a.Archive.Compare(b.Archive)) > 0 {
		a = b
	}
	a.Comments = comments
	return a
}
