package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/lockfile"
)

// A Release is what a Release file says of a suite. It is described in the
// Debian wiki's DebianRepository/Format.
type Release struct {
	Origin, Label, Suite, Codename, Version string
	// Date is when the suite was published, in UTC.
	Date time.Time
	// ValidUntil is when the file is no more to be relied on; zero for never.
	ValidUntil time.Time
	// Components and Architectures are those that the suite has.
	Components, Architectures []string
	// ByHash says that indexes are also served by their digest.
	ByHash bool
	// NoAllIndex says that the indexes of each architecture have the packages
	// for all of them too, though the suite lists "all" as an architecture.
	NoAllIndex bool
	// NotAutomatic and ButAutomaticUpgrades lower the pin priority.
	NotAutomatic, ButAutomaticUpgrades bool
	// Files are the indexes by their path below the directory of the Release.
	Files map[string]File
}

// A File is what a Release says of one index.
type File struct {
	Size   int64 // in bytes
	Digest lockfile.Digest
}

// Archive names the archive of the suite as locks do.
func (r *Release) Archive() string { return lockfile.ArchiveName(r.Origin, r.Label) }

// Limits on a Release file. Debian's have some 5,000 indexes in 300 KiB.
const (
	MaxRelease = 8 << 20 // bytes
	maxFiles   = 100_000
	maxIndex   = 4 << 30 // bytes of one uncompressed index
)

const (
	releaseOrigin = iota
	releaseLabel
	releaseSuite
	releaseCodename
	releaseVersion
	releaseDate
	releaseValidUntil
	releaseComponents
	releaseArchitectures
	releaseByHash
	releaseNotAutomatic
	releaseButAutomatic
	releaseNoAllIndex
	releaseSHA256
)

var releaseFields = []string{
	releaseOrigin: "Origin", releaseLabel: "Label", releaseSuite: "Suite", releaseCodename: "Codename",
	releaseVersion: "Version", releaseDate: "Date", releaseValidUntil: "Valid-Until",
	releaseComponents: "Components", releaseArchitectures: "Architectures", releaseByHash: "Acquire-By-Hash",
	releaseNotAutomatic: "NotAutomatic", releaseButAutomatic: "ButAutomaticUpgrades", releaseNoAllIndex: "No-Support-for-Architecture-all",
	releaseSHA256: "SHA256",
}

// ParseRelease reads the text of a Release file, which must have been verified
// before. A file that lists its indexes by nothing better than SHA-1 is an
// error: its signature would vouch for nothing.
func ParseRelease(text []byte) (*Release, error) {
	if len(text) > MaxRelease {
		return nil, fmt.Errorf("the Release file is longer than %d bytes", MaxRelease)
	}
	var rel *Release
	err := deb822.Scan(bytes.NewReader(text), releaseFields, func(values [][]byte) error {
		if rel != nil {
			return errors.New("the Release file has more than one paragraph")
		}
		var err error
		rel, err = newRelease(values)
		return err
	})
	if err == nil && rel == nil {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read the Release file: %w", err)
	}
	return rel, nil
}

func newRelease(values [][]byte) (*Release, error) {
	text := func(i int) string { return string(values[i]) }
	yes := func(i int) bool { return text(i) == "yes" }
	r := &Release{
		Origin: text(releaseOrigin), Label: text(releaseLabel), Suite: text(releaseSuite),
		Codename: text(releaseCodename), Version: text(releaseVersion),
		Components: strings.Fields(text(releaseComponents)), Architectures: strings.Fields(text(releaseArchitectures)),
		ByHash: yes(releaseByHash), NotAutomatic: yes(releaseNotAutomatic), ButAutomaticUpgrades: yes(releaseButAutomatic),
		NoAllIndex: slices.Contains(strings.Fields(text(releaseNoAllIndex)), "Packages"),
	}
	var err error
	if r.Date, err = parseDate(text(releaseDate)); err != nil {
		return nil, fmt.Errorf("its Date: %w", err)
	}
	if r.ValidUntil, err = parseDate(text(releaseValidUntil)); err != nil {
		return nil, fmt.Errorf("its Valid-Until: %w", err)
	}
	if values[releaseSHA256] == nil {
		return nil, errors.New("it lists no SHA-256 of the indexes, and weaker digests are not relied on")
	}
	r.Files, err = parseFiles(values[releaseSHA256])
	return r, err
}

// parseDate reads the date form of RFC 5322 in UTC; an absent one is zero.
func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		t, err := time.Parse(layout, s)
		if name, offset := t.Zone(); err == nil && offset == 0 && (name == "UTC" || name == "GMT" || name == "") {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date in UTC such as \"Sat, 11 Jul 2026 10:16:37 UTC\"", s)
}

// parseFiles reads lines of digest, size and path.
func parseFiles(value []byte) (map[string]File, error) {
	files := map[string]File{}
	for line := range bytes.Lines(value) {
		words := bytes.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("a line %q among the SHA256, where a digest, a size and a path are due", clip(line))
		}
		var f File
		if err := f.Digest.UnmarshalText(words[0]); err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(string(words[1]), 10, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("%q is not a size", clip(words[1]))
		}
		f.Size = size
		path := string(words[2])
		if old, ok := files[path]; ok && old != f {
			return nil, fmt.Errorf("two digests for %s", path)
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("more than %d indexes", maxFiles)
		}
		files[path] = f
	}
	return files, nil
}
