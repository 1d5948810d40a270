package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/rootfs"
)

// maxParts is the most files that a directory of configuration may have.
const maxParts = 10_000

// parts lists the files of a directory that apt reads, in its order: regular
// files whose names have one of the extensions ("" allows names without any)
// and otherwise only letters, digits, "_", "-", ":" and ".". An absent
// directory has none.
func parts(root *rootfs.Root, dir string, extensions ...string) ([]string, error) {
	entries, err := root.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read apt's configuration: %w", err)
	}
	if len(entries) > maxParts {
		return nil, fmt.Errorf("%s has more than %d files", root.Join(dir), maxParts)
	}
	var out []string
	for _, e := range entries {
		if !isPart(e.Name(), extensions) {
			continue
		}
		name := path.Join(dir, e.Name())
		if info, err := root.Stat(name); err == nil && info.Mode().IsRegular() {
			out = append(out, name)
		}
	}
	return out, nil
}

func isPart(name string, extensions []string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-:.", c) >= 0) {
			return false
		}
	}
	_, ext, _ := cutLast(name, ".")
	return slices.Contains(extensions, ext)
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// cleanPath makes a path relative to the root, free of "..".
func cleanPath(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func splitComma(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}
