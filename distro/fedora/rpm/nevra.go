package rpm

import (
	"fmt"
	"strconv"
	"strings"
)

// NoEpoch is the Epoch of a package or version that has none. Where versions
// are compared it is as good as 0.
const NoEpoch = -1

// A NEVRA names a package: name, epoch, version, release, architecture.
type NEVRA struct {
	Name string
	// Epoch is NoEpoch where the package has none.
	Epoch            int
	Version, Release string
	// Arch is the architecture that the package is for, such as x86_64 or
	// noarch; "src" for a source package.
	Arch string
}

// String returns name-[epoch:]version-release.arch, as dnf and modules.yaml
// write it. An epoch of 0 is written where there is one.
func (n NEVRA) String() string { return n.Name + "-" + n.EVR() + "." + n.Arch }

// EVR returns [epoch:]version-release.
func (n NEVRA) EVR() string { return EVR{n.Epoch, n.Version, n.Release}.String() }

// Filename returns name-version-release.arch.rpm, which is the name that
// rpmbuild gives the file.
func (n NEVRA) Filename() string {
	return n.Name + "-" + n.Version + "-" + n.Release + "." + n.Arch + ".rpm"
}

// Same reports whether two names are of the same package: an epoch of 0 and
// none are the same, and all else is equal.
func (n NEVRA) Same(o NEVRA) bool {
	n.Epoch, o.Epoch = max(n.Epoch, 0), max(o.Epoch, 0)
	return n == o
}

// ParseNEVRA reads what String returns. It also takes an epoch in front of all
// (epoch:name-version-release.arch), as older tools write it.
func ParseNEVRA(s string) (NEVRA, error) {
	n := NEVRA{Epoch: NoEpoch}
	rest, arch, ok := cutLast(s, '.')
	if !ok || arch == "" || strings.ContainsAny(arch, "-:") {
		return NEVRA{}, fmt.Errorf("%q has no architecture at its end", s)
	}
	rest, release, ok1 := cutLast(rest, '-')
	name, version, ok2 := cutLast(rest, '-')
	if !ok1 || !ok2 {
		return NEVRA{}, fmt.Errorf("%q is not name-version-release.arch", s)
	}
	if epoch, v, has := strings.Cut(version, ":"); has {
		e, err := parseEpoch(epoch)
		if err != nil {
			return NEVRA{}, fmt.Errorf("%q: %w", s, err)
		}
		n.Epoch, version = e, v
	} else if epoch, v, has := strings.Cut(name, ":"); has {
		e, err := parseEpoch(epoch)
		if err != nil {
			return NEVRA{}, fmt.Errorf("%q: %w", s, err)
		}
		n.Epoch, name = e, v
	}
	n.Name, n.Version, n.Release, n.Arch = name, version, release, arch
	if err := n.check(); err != nil {
		return NEVRA{}, fmt.Errorf("%q: %w", s, err)
	}
	return n, nil
}

// ParseFilename reads the name of a package file, without directories:
// name-version-release.arch.rpm. A file name tells no epoch.
func ParseFilename(base string) (NEVRA, bool) {
	s, ok := strings.CutSuffix(base, ".rpm")
	if !ok || strings.Contains(s, ":") {
		return NEVRA{}, false
	}
	n, err := ParseNEVRA(s)
	return n, err == nil
}

// check refuses parts that would make the whole ambiguous or lead out of a
// directory once they are in a file's name.
func (n NEVRA) check() error {
	for _, part := range []struct{ what, s, not string }{
		{"name", n.Name, ":"}, {"version", n.Version, "-:"}, {"release", n.Release, "-:"}, {"architecture", n.Arch, "-:."},
	} {
		if err := checkPart(part.s, part.not); err != nil {
			return fmt.Errorf("its %s %w", part.what, err)
		}
	}
	if strings.HasPrefix(n.Name, ".") {
		return fmt.Errorf("its name begins with a dot")
	}
	return nil
}

const maxPart = 1024 // bytes of a name or a version

func checkPart(s, not string) error {
	switch {
	case s == "":
		return fmt.Errorf("is empty")
	case len(s) > maxPart:
		return fmt.Errorf("is longer than %d bytes", maxPart)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '/' || strings.IndexByte(not, c) >= 0 {
			return fmt.Errorf("has the character %q", c)
		}
	}
	return nil
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parseEpoch(s string) (int, error) {
	e, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("the epoch %q is not a number below 2³¹", s)
	}
	return int(e), nil
}

// Valid reports whether all parts are there and can be those of a package:
// names from elsewhere may hold anything.
func (n NEVRA) Valid() bool { return n.check() == nil }
