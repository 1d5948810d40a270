package inspect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Part is something whose format is known, or is told to be "data": a file, or
// what is inside of one. It is for one goroutine.
type Part struct {
	// Name is what the part is called within the one that it is in: the name of a
	// partition, a section, a path. It is "" for a whole file, and need not be the
	// only one of its name.
	Name string
	// Number is that of a partition, from 1 on, or 0.
	Number int
	// Format is a word for it, such as "gpt", "ext4", "docker archive".
	Format string
	// Size is in bytes, -1 for what is no row of bytes, such as a directory, or
	// would have to be decompressed to know it.
	Size int64
	// Attributes are what its headers say, in an order for people.
	Attributes []Attribute
	// Parts are what is in it, in their order there.
	Parts []*Part
	// Problem is why it cannot be read any further, or nil. It is an
	// [errors.ErrUnsupported] where that is no fault of it: it is encrypted, say.
	Problem error

	source   source
	load     func(ctx context.Context) (*tree.Tree, []Attribute, error)
	loaded   bool
	tree     *tree.Tree
	treeErr  error
	digest   *tree.Digest
	checks   []check
	holds    holds
	expected *tree.Digest // by what names it, such as a manifest
}

// Attribute is something that a header says. Names are of small letters and
// underscores. Value is a string, an int64, a bool or a []string.
type Attribute struct {
	Name  string
	Value any
}

// ErrNoTree says that a part is nothing that has files.
var ErrNoTree = errors.New("there are no files in it")

// add adds an attribute, unless it is of no value.
func (p *Part) add(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case int:
		value = int64(v)
	case tree.Time:
		if v == (tree.Time{}) {
			return
		}
		value = v.Time().Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	p.Attributes = append(p.Attributes, Attribute{name, value})
}

// Attribute is the value of an attribute, nil where there is none.
func (p *Part) Attribute(name string) any {
	for _, a := range p.Attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// fail notes why a part cannot be read, but for the first reason no other.
func (p *Part) fail(err error) {
	if p.Problem == nil {
		p.Problem = err
	}
}

// beyond is why something whole is not looked into.
type beyond string

func (b beyond) Error() string { return string(b) }

// Is implements what [errors.Is] asks for.
func (b beyond) Is(target error) bool { return target == errors.ErrUnsupported }

// cutOff says in plain words what an unexpected end is.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is cut off", err)
	}
	return err
}

// Open opens the bytes of the part; it is an error where it has none.
func (p *Part) Open() (io.ReadCloser, error) {
	if !p.source.valid() {
		return nil, fmt.Errorf("%s is no row of bytes", p.Format)
	}
	return p.source.Open()
}

// HasBytes reports whether the part is a row of bytes.
func (p *Part) HasBytes() bool { return p.source.valid() }

// Digest is the SHA-256 of the part's bytes.
func (p *Part) Digest(ctx context.Context) (tree.Digest, error) {
	if p.digest != nil {
		return *p.digest, nil
	}
	r, err := p.Open()
	if err != nil {
		return tree.Digest{}, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, &interruptible{ctx, r}, make([]byte, 1<<20)); err != nil {
		return tree.Digest{}, cutOff(err)
	}
	p.digest = (*tree.Digest)(h.Sum(nil))
	return *p.digest, nil
}

// HasTree reports whether the part is something that has files, which may turn
// out to be unreadable.
func (p *Part) HasTree() bool { return p.load != nil }

// Tree is the tree of the files in the part, read when it is first asked for.
// Contents are read while the file is open. The error is [ErrNoTree] where it is
// nothing that has files.
func (p *Part) Tree(ctx context.Context) (*tree.Tree, error) {
	if p.load == nil {
		return nil, ErrNoTree
	}
	if !p.loaded {
		var more []Attribute
		p.tree, more, p.treeErr = p.load(ctx)
		if p.treeErr != nil && ctx.Err() != nil {
			return nil, p.treeErr // another time, perhaps
		}
		p.loaded, p.treeErr = true, cutOff(p.treeErr)
		p.Attributes = append(p.Attributes, more...)
	}
	return p.tree, p.treeErr
}

// All calls f for the part and all below it, until that returns false. The path
// is the names from the part on.
func (p *Part) All(f func(path []string, q *Part) bool) {
	p.all(nil, f)
}

func (p *Part) all(path []string, f func([]string, *Part) bool) bool {
	if !f(path, p) {
		return false
	}
	for _, q := range p.Parts {
		if !q.all(append(path[:len(path):len(path)], q.Label()), f) {
			return false
		}
	}
	return true
}

// Label is what to call the part among its neighbours: its number, where it has
// one and no name, or else its name.
func (p *Part) Label() string {
	if p.Name == "" && p.Number > 0 {
		return strconv.Itoa(p.Number)
	}
	return p.Name
}

// Find is the part of a number or name that is nearest below p. Names are those
// of partitions, sections and paths; a word for the type of a partition, such as
// "esp", and the format will do, too, where they are the only ones.
func (p *Part) Find(name string) (*Part, error) {
	for level := p.Parts; len(level) > 0; {
		for _, is := range []func(q *Part) bool{
			func(q *Part) bool { return q.Number > 0 && strconv.Itoa(q.Number) == name },
			func(q *Part) bool { return q.Name != "" && q.Name == name },
			func(q *Part) bool { return name != "" && (q.Attribute(typeAttribute) == name || q.Format == name) },
		} {
			found := slices.DeleteFunc(slices.Clone(level), func(q *Part) bool { return !is(q) })
			if len(found) == 1 {
				return found[0], nil
			}
			if len(found) > 1 {
				return nil, fmt.Errorf("there are %d parts %q; say which by the number of a partition", len(found), name)
			}
		}
		var below []*Part
		for _, q := range level {
			below = append(below, q.Parts...)
		}
		level = below
	}
	return nil, fmt.Errorf("there is no part %q; %s", name, p.below())
}

// below is a sentence about which parts there are.
func (p *Part) below() string {
	var names []string
	p.All(func(path []string, q *Part) bool {
		if len(path) > 0 && len(names) < 20 && q.Label() != "" {
			names = append(names, strconv.Quote(q.Label()))
		}
		return true
	})
	if len(names) == 0 {
		return "it has no parts"
	}
	return "there are " + strings.Join(names, ", ")
}

// Files is the part that has the files which p is about: p itself, or the only
// one below that has some.
func (p *Part) Files() (*Part, error) {
	if p.HasTree() {
		return p, nil
	}
	found, name := []*Part{}, []string{}
	for _, q := range p.Parts {
		if f, err := q.Files(); err == nil {
			found, name = append(found, f), append(name, strconv.Quote(q.Label()))
		} else if !errors.Is(err, ErrNoTree) {
			return nil, err
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s: %w", p.Format, ErrNoTree)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d parts have files: %s; choose one", len(found), strings.Join(name, ", "))
}

// interruptible ends a long reading when the context does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}
