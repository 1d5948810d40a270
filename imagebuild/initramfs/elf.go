package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Bounds on programs and libraries: bytes of each, how many one is linked with,
// and how many there are in all.
const (
	maxProgram = 256 << 20
	maxNeeded  = 1000
)

// libraryDirs are searched for libraries after those that a program asks for
// itself. A * stands for the directories of the multiarch layout.
var libraryDirs = []string{"lib", "usr/lib", "lib64", "usr/lib64", "lib/*", "usr/lib/*", "usr/local/lib"}

// An object is what the loader has to know of a program or library.
type object struct {
	machine elf.Machine
	class   elf.Class
	loader  string   // a path without a leading slash, "" for none
	needed  []string // names of libraries
	dirs    []string // where it wants them to be looked for: $ORIGIN is "/" and origin
}

// readObject reads a program or a library that is in the directory origin.
func readObject(r io.ReaderAt, origin string) (object, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return object{}, fmt.Errorf("it is no program of Linux: %w", err)
	}
	o := object{machine: f.Machine, class: f.Class}
	for _, s := range f.Sections {
		// Loaders do not unpack sections either.
		if s.Flags&elf.SHF_COMPRESSED != 0 && s.Flags&elf.SHF_ALLOC != 0 || s.Type == elf.SHT_DYNAMIC && s.Flags&elf.SHF_COMPRESSED != 0 {
			return object{}, errors.New("it has a compressed section that is to be loaded")
		}
	}
	if o.loader, err = loader(f); err != nil {
		return object{}, err
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return object{}, fmt.Errorf("what it is linked with: %w", err)
	}
	if len(o.needed) > maxNeeded {
		return object{}, fmt.Errorf("it is linked with %d libraries, more than %d", len(o.needed), maxNeeded)
	}
	for _, name := range o.needed {
		if err := tree.CheckPath(strings.TrimPrefix(name, "/")); err != nil {
			return object{}, fmt.Errorf("what it is linked with: %q: %w", name, err)
		}
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, err := f.DynString(tag)
		if err != nil {
			return object{}, fmt.Errorf("where its libraries are: %w", err)
		}
		for _, v := range values {
			for dir := range strings.SplitSeq(v, ":") {
				dir = strings.NewReplacer("$ORIGIN", "/"+origin, "${ORIGIN}", "/"+origin).Replace(dir)
				if dir = path.Clean(dir); path.IsAbs(dir) && tree.CheckPath(dir[1:]) == nil {
					o.dirs = append(o.dirs, dir[1:])
				}
			}
		}
	}
	return o, nil
}

// loader is the path of the dynamic loader that an object names.
func loader(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if p.Filesz > tree.MaxPath {
			return "", fmt.Errorf("the name of its loader has %d bytes", p.Filesz)
		}
		b := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), b); err != nil {
			return "", fmt.Errorf("the name of its loader: %w", err)
		}
		name, ok := strings.CutPrefix(path.Clean(strings.TrimRight(string(b), "\x00")), "/")
		if err := tree.CheckPath(name); err != nil || !ok || name == "" {
			return "", fmt.Errorf("its loader is %q, which is no absolute path", b)
		}
		return name, nil
	}
	return "", nil
}

// A linker finds what programs of an image are linked with.
type linker struct {
	image *tree.Tree
	// read are the objects that were read, by the smallest paths of their files.
	read map[string]object
}

func (l *linker) object(n tree.Node, at string) (object, error) {
	key := n.First().Path()
	if o, ok := l.read[key]; ok {
		return o, nil
	}
	data, err := read(n, maxProgram)
	if err != nil {
		return object{}, err
	}
	o, err := readObject(bytes.NewReader(data), path.Dir(at))
	if err != nil {
		return object{}, &tree.PathError{Path: n.Path(), Err: err}
	}
	l.read[key] = o
	return o, nil
}

// closure returns a program and all that it is linked with, by the paths under
// which the loader looks for them.
func (l *linker) closure(program string) (map[string]tree.Node, error) {
	out := map[string]tree.Node{}
	todo := []string{program}
	// wanted is what a path is needed by, for messages.
	wanted := map[string]string{}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if _, ok := out[name]; ok {
			continue
		}
		n, ok := l.image.File(name)
		if !ok {
			return nil, fmt.Errorf("%s, which %s needs, is not in the image", tree.Display(name), tree.Display(wanted[name]))
		}
		out[name] = n
		o, err := l.object(n, name)
		if err != nil {
			return nil, err
		}
		more, err := l.needs(o, n)
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if _, ok := wanted[m]; !ok {
				wanted[m] = name
			}
		}
		todo = append(todo, more...)
	}
	return out, nil
}

// needs returns the paths of the loader and the libraries of an object.
func (l *linker) needs(o object, n tree.Node) ([]string, error) {
	var out []string
	if o.loader != "" {
		out = append(out, o.loader)
	}
	for _, name := range o.needed {
		found, ok := l.library(name, o)
		if !ok {
			return nil, fmt.Errorf("%s is linked with %s, which is not in the image for %s", tree.Display(n.Path()), name, o.machine)
		}
		out = append(out, found)
	}
	return out, nil
}

// library finds a library that an object names.
func (l *linker) library(name string, of object) (string, bool) {
	if at, ok := strings.CutPrefix(path.Clean(name), "/"); ok {
		return at, l.isFor(at, of)
	}
	for _, dir := range slices.Concat(of.dirs, libraryDirs) {
		for _, d := range expand(l.image, dir) {
			if at := path.Join(d, name); l.isFor(at, of) {
				return at, true
			}
		}
	}
	return "", false
}

// isFor reports whether there is an object for the machine of another at a
// path. What is no object is passed over, as loaders and linkers do with the
// scripts that are called libc.so.
func (l *linker) isFor(at string, other object) bool {
	n, ok := l.image.File(at)
	if !ok {
		return false
	}
	o, err := l.object(n, at)
	return err == nil && o.machine == other.machine && o.class == other.class
}

// expand replaces a last element of * by the directories of the multiarch
// layout there.
func expand(t *tree.Tree, dir string) []string {
	parent, ok := strings.CutSuffix(dir, "/*")
	if !ok {
		return []string{dir}
	}
	n, err := t.Resolve(parent)
	if err != nil {
		return nil
	}
	var out []string
	for c := range n.Children() {
		if c.Mode().IsDir() && strings.Contains(c.Name(), "-linux-") {
			out = append(out, parent+"/"+c.Name())
		}
	}
	return out
}
