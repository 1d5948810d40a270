package pacman

import (
	"fmt"
	"strings"
)

// Compressions are the endings that follow ".pkg.tar" in the names of package
// files; "" stands for one that is not compressed.
var Compressions = []string{".zst", ".xz", ".gz", ".bz2", ".lzo", ".lrz", ".lz4", ".lz", ".Z", ""}

// ParseFilename reads a package's identity out of the last element of its
// path: name-[epoch:]version-release-arch.pkg.tar with one of [Compressions].
// The version has its epoch and its release. A signature's ".sig" is for the
// caller to strip.
func ParseFilename(base string) (name, version, arch string, ok bool) {
	stem, found := trimPackageSuffix(base)
	if !found || strings.ContainsRune(base, '/') {
		return "", "", "", false
	}
	i := strings.LastIndexByte(stem, '-')
	if i < 0 {
		return "", "", "", false
	}
	arch = stem[i+1:]
	name, version, ok = SplitName(stem[:i])
	if !ok || arch == "" || !plain(arch) {
		return "", "", "", false
	}
	return name, version, arch, true
}

func trimPackageSuffix(base string) (string, bool) {
	for _, c := range Compressions {
		if stem, ok := strings.CutSuffix(base, ".pkg.tar"+c); ok {
			return stem, true
		}
	}
	return "", false
}

// SplitName cuts name-version-release, the form of the folders of databases,
// into name and version-release.
func SplitName(s string) (name, version string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return "", "", false
	}
	j := strings.LastIndexByte(s[:i], '-')
	if j < 0 {
		return "", "", false
	}
	name, version = s[:j], s[j+1:]
	return name, version, checkName(name) == nil && checkVersion(version) == nil
}

// checkName refuses names that could lead out of a folder or be taken for
// something other than a name.
func checkName(s string) error {
	if s == "" || s[0] == '-' || s[0] == '.' || !plain(s) {
		return fmt.Errorf("%q is no package name", s)
	}
	return nil
}

// checkVersion wants version-release with something in both.
func checkVersion(s string) error {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 || i == len(s)-1 || strings.HasSuffix(s[:i], ":") || !plain(s) {
		return fmt.Errorf("%q is no version with a release", s)
	}
	return nil
}

// checkFilename refuses what is not the name of a file of the same folder.
func checkFilename(s string) error {
	if s == "" || s[0] == '.' || !plain(s) {
		return fmt.Errorf("%q is no file name", s)
	}
	return nil
}

// plain reports whether s is free of blanks, slashes and control characters.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '/' || c == 0x7f {
			return false
		}
	}
	return true
}
