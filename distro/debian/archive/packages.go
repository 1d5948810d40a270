package archive

import (
	"io"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/lockfile"
)

// A Record is what an index says of one package file.
type Record struct {
	distro.Package
	// Path is where the file lies below the archive's root, clean.
	Path   string
	Size   int64 // in bytes
	Digest lockfile.Digest
	// Source is the field as it stands: a name and perhaps a version in
	// parentheses; empty where both are as the package's own.
	Source string
	// Relations to other packages, as the fields stand.
	Depends, PreDepends, Provides, Conflicts, Breaks, Replaces string
	MultiArch                                                  string
	Essential                                                  bool
}

// Wanted says by a package's name whether its record is of interest. It is
// called for each record and must be quick; the bytes are valid only during
// the call.
type Wanted func(name []byte) bool

const (
	packageName = iota
	packageVersion
	packageArch
	packageFilename
	packageSize
	packageSHA256
	packageSource
	packageDepends
	packagePreDepends
	packageProvides
	packageConflicts
	packageBreaks
	packageReplaces
	packageMultiArch
	packageEssential
)

var packageFields = []string{
	packageName: "Package", packageVersion: "Version", packageArch: "Architecture",
	packageFilename: "Filename", packageSize: "Size", packageSHA256: "SHA256", packageSource: "Source",
	packageDepends: "Depends", packagePreDepends: "Pre-Depends", packageProvides: "Provides",
	packageConflicts: "Conflicts", packageBreaks: "Breaks", packageReplaces: "Replaces",
	packageMultiArch: "Multi-Arch", packageEssential: "Essential",
}

// scanPackages returns the wanted records of a Packages file. Records without
// a name, a version, a SHA-256 or a proper path are passed over: nothing can
// be located by them.
func scanPackages(r io.Reader, want Wanted) ([]Record, error) {
	var out []Record
	err := deb822.Scan(r, packageFields, func(values [][]byte) error {
		if !want(values[packageName]) {
			return nil
		}
		if rec, ok := newRecord(values); ok {
			out = append(out, rec)
		}
		return nil
	})
	return out, err
}

func newRecord(values [][]byte) (Record, bool) {
	text := func(i int) string { return string(values[i]) }
	r := Record{
		Package: distro.Package{Name: text(packageName), Version: text(packageVersion), Arch: text(packageArch)},
		Path:    cleanPath(text(packageFilename)), Source: text(packageSource),
		Depends: text(packageDepends), PreDepends: text(packagePreDepends), Provides: text(packageProvides),
		Conflicts: text(packageConflicts), Breaks: text(packageBreaks), Replaces: text(packageReplaces),
		MultiArch: text(packageMultiArch), Essential: text(packageEssential) == "yes",
	}
	if r.Name == "" || r.Version == "" || r.Arch == "" || lockfile.CheckPath(r.Path) != nil {
		return Record{}, false
	}
	if err := r.Digest.UnmarshalText(values[packageSHA256]); err != nil {
		return Record{}, false
	}
	size, err := strconv.ParseInt(text(packageSize), 10, 64)
	r.Size = size
	return r, err == nil && size >= 0
}

// cleanPath undoes what flat repositories write: "./x.deb".
func cleanPath(p string) string {
	for strings.HasPrefix(p, "./") {
		p = strings.TrimLeft(p[1:], "/")
	}
	return p
}
