package grub

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// The kinds of what is behind the program.
const (
	kindModule   = 0
	kindCommands = 2
	kindPrefix   = 3
)

// loadModules is what is behind the program: a header, then modules, commands
// and prefix, each with a header of its own.
func loadModules(t *tree.Tree, needs []byte, o Options) ([]byte, error) {
	for _, text := range []string{o.Prefix, o.Commands} {
		if strings.ContainsRune(text, 0) {
			return nil, fmt.Errorf("%q has a NUL in it", text)
		}
	}
	names, err := closure(needs, o.Modules)
	if err != nil {
		return nil, err
	}
	const header = 12
	out := make([]byte, header)
	for _, name := range names {
		b, err := content(t, name+".mod")
		if err != nil {
			return nil, err
		}
		out = appendObject(out, kindModule, b)
	}
	out = appendObject(out, kindCommands, append([]byte(o.Commands), 0))
	out = appendObject(out, kindPrefix, append([]byte(o.Prefix), 0))
	copy(out, "mimg")
	binary.LittleEndian.PutUint32(out[4:], header)
	binary.LittleEndian.PutUint32(out[8:], uint32(len(out)))
	return out, nil
}

func appendObject(to []byte, kind uint32, b []byte) []byte {
	const header = 8
	padding := -len(b) & 3
	to = binary.LittleEndian.AppendUint32(to, kind)
	to = binary.LittleEndian.AppendUint32(to, uint32(header+len(b)+padding))
	return append(append(to, b...), make([]byte, padding)...)
}

// closure is the names of modules and of what they need, which comes first,
// by lines such as "linux: boot mmap".
func closure(list []byte, names []string) ([]string, error) {
	needs := map[string][]string{}
	for line := range bytes.Lines(list) {
		if name, more, ok := strings.Cut(string(line), ":"); ok {
			needs[strings.TrimSpace(name)] = strings.Fields(more)
		}
	}
	var order []string
	seen := map[string]bool{}
	var visit func(string) error
	visit = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		more, ok := needs[name]
		if !ok || strings.Contains(name, "/") {
			return fmt.Errorf("/%s/moddep.lst tells of no module %q", Dir, name)
		}
		for _, other := range more {
			if err := visit(other); err != nil {
				return err
			}
		}
		order = append(order, name)
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}
