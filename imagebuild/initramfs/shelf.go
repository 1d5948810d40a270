package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Bounds on modules, packed and unpacked, and on a kernel's lists of them.
const (
	maxModule = 64 << 20
	maxList   = 16 << 20
)

// A module is one of a kernel's, unpacked.
type module struct {
	name   string // with _ for -
	object []byte
	info   info
}

// A shelf is all modules of a kernel by name.
type shelf struct {
	files map[string]tree.Node
	// builtin are those that the kernel itself has, if known.
	builtin map[string]bool
	known   bool
	// aliases are the modules by other names without wildcards.
	aliases map[string][]string
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// moduleName is the name of the module in a file, "" for another file.
func moduleName(file string) string {
	base, ending, ok := strings.Cut(path.Base(file), ".ko")
	if !ok || ending != "" && ending != ".xz" && ending != ".zst" && ending != ".gz" {
		return ""
	}
	return canonical(base)
}

// newShelf finds the modules below a directory. Those in its directory updates
// come before others of the same name, as they do for modprobe.
func newShelf(t *tree.Tree, dir string) (*shelf, error) {
	top, err := t.Resolve(dir)
	if err != nil {
		return nil, err
	}
	s := &shelf{files: map[string]tree.Node{}, builtin: map[string]bool{}, aliases: map[string][]string{}}
	if n, ok := top.Child("updates"); ok {
		s.walk(n)
	}
	s.walk(top)
	s.known, err = list(top, "modules.builtin", func(line string) { s.builtin[moduleName(line)] = true })
	if err != nil {
		return nil, err
	}
	_, err = list(top, "modules.alias", func(line string) {
		// alias NAME MODULE
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" && !strings.ContainsAny(f[1], "*?[") {
			s.aliases[canonical(f[1])] = append(s.aliases[canonical(f[1])], canonical(f[2]))
		}
	})
	return s, err
}

func (s *shelf) walk(n tree.Node) {
	for c := range n.Children() {
		if c.Mode().IsDir() {
			s.walk(c)
		} else if name := moduleName(c.Name()); name != "" && c.Mode().IsRegular() && !s.has(name) {
			s.files[name] = c
		}
	}
}

// list calls line for each line of a file of a directory, and reports whether
// there is that file.
func list(dir tree.Node, name string, line func(string)) (bool, error) {
	n, ok := dir.Child(name)
	if !ok || !n.Mode().IsRegular() {
		return false, nil
	}
	text, err := read(n, maxList)
	if err != nil {
		return false, err
	}
	for l := range strings.Lines(string(text)) {
		line(strings.TrimSpace(l))
	}
	return true, nil
}

func (s *shelf) has(name string) bool {
	_, ok := s.files[name]
	return ok
}

// load reads a module.
func (s *shelf) load(name string) (*module, error) {
	n := s.files[name]
	packed, err := read(n, maxModule)
	if err != nil {
		return nil, err
	}
	m := &module{name: name}
	if m.object, err = unpack(packed); err != nil {
		return nil, &tree.PathError{Path: n.Path(), Err: err}
	}
	if m.info, err = readInfo(bytes.NewReader(m.object)); err != nil {
		return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("it is no module: %w", err)}
	}
	return m, nil
}

// unpack is a module as it is or as its first bytes say that it is compressed.
func unpack(packed []byte) ([]byte, error) {
	if decompress.Detect(packed) == "" {
		return packed, nil
	}
	r, err := decompress.Sniff(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	object, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(object) > maxModule {
		err = errors.New("it unpacks to more than 64 MiB")
	}
	return object, err
}
