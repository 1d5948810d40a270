package tree

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxName is the largest number of bytes in one name, as Linux has it.
	MaxName = 255
	// MaxPath is the largest number of bytes in a path, and in the target of a
	// symbolic link: PATH_MAX without the NUL.
	MaxPath = 4095
)

// PathError says at which path of a tree something is wrong.
type PathError struct {
	Path string // as in the tree: without a leading slash, "" for the root
	Err  error
}

func (e *PathError) Error() string { return fmt.Sprintf("%s: %v", Display(e.Path), e.Err) }

func (e *PathError) Unwrap() error { return e.Err }

// Unsupported is the error of a writer that meets what its format cannot hold,
// such as Unsupported("cpio", path, "a file of more than 4 GiB"). It is an
// [errors.ErrUnsupported] and a [*PathError].
func Unsupported(format, path, what string) error {
	return &PathError{path, fmt.Errorf("%s cannot hold %s: %w", format, what, errors.ErrUnsupported)}
}

// noID is the user or group that chown(2) takes for "as before", and Linux for
// none: no file has it.
const noID = 1<<32 - 1

// CheckOwner reports, as [Unsupported] does, an owner or group that no file of a
// running system can have.
func (n Node) CheckOwner(format string) error {
	if i := n.inode(); i.UID == noID || i.GID == noID {
		return Unsupported(format, n.Path(), fmt.Sprintf("the owner %d:%d; Linux knows none above %d", i.UID, i.GID, uint32(noID-1)))
	}
	return nil
}

// Display is a path as messages for people show it: with a leading slash, and
// quoted where it has bytes that would not print.
func Display(path string) string {
	quoted := fmt.Sprintf("%q", "/"+path)
	if plain := quoted[1 : len(quoted)-1]; plain == "/"+path {
		return plain
	}
	return quoted
}

// CheckPath reports what keeps a path from being a node's. The root's "" is one.
func CheckPath(path string) error {
	if path == "" {
		return nil
	}
	if len(path) > MaxPath {
		return &PathError{path[:64] + "…", fmt.Errorf("a path of %d bytes; at most %d are possible", len(path), MaxPath)}
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return &PathError{path, err}
		}
	}
	return nil
}

// CheckName reports what keeps a name from being that of a directory's entry.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("an empty name, or a slash too many")
	case name == ".", name == "..":
		return fmt.Errorf("%q is not a name", name)
	case len(name) > MaxName:
		return fmt.Errorf("a name of %d bytes; at most %d are possible", len(name), MaxName)
	case strings.ContainsAny(name, "\x00/"):
		return errors.New("a name with a NUL or a slash in it")
	}
	return nil
}

// parentOf is the path of the directory that path is in; the root is in itself.
func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}

// below reports whether path is dir or something in it.
func below(path, dir string) bool {
	return dir == "" || path == dir || len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}
