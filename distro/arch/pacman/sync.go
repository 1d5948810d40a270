package pacman

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/samebits/samebits/distro/decompress"
)

// Limits on a database. Real ones have some 15,000 packages and 100 MB.
const (
	maxDatabase = 4 << 30
	maxPackages = 1 << 20
)

// ReadSync reads the database of a repository: a tar, plain or compressed as
// its first bytes say, with a folder name-version-release for each package. If
// want is not nil, only packages whose names it accepts are read, which costs
// a fraction of reading all. They are in the order of the database; that there
// is one package to a name is for the caller to want.
func ReadSync(r io.Reader, want func(name string) bool) ([]Desc, error) {
	plain, err := decompress.Sniff(r)
	if err != nil {
		return nil, fmt.Errorf("the database cannot be read: %w", err)
	}
	defer plain.Close()
	d := database{want: want, at: map[string]int{}}
	m := newMembers(plain, maxDatabase)
	for {
		name, regular, err := m.next()
		if err == io.EOF {
			return d.finish()
		}
		if err != nil {
			return nil, fmt.Errorf("the database cannot be read: %w", err)
		}
		if !regular {
			continue
		}
		if err := d.add(string(name), m); err != nil {
			return nil, fmt.Errorf("%.200s: %w", name, err)
		}
	}
}

// A database collects what the members of its tar say.
type database struct {
	want    func(string) bool
	folders []string
	descs   []Desc
	at      map[string]int // of a folder, in both
}

// add reads a file, if it describes a package that is wanted.
func (d *database) add(member string, m *members) error {
	dir, file := path.Split(strings.TrimPrefix(member, "./"))
	if file != "desc" && file != "depends" {
		return nil
	}
	dir = strings.TrimSuffix(dir, "/")
	name, _, ok := SplitName(dir)
	if !ok {
		return errors.New("the folder is not called name-version-release")
	}
	if d.want != nil && !d.want(name) {
		return nil
	}
	data, err := m.body(maxDesc)
	if err != nil {
		return err
	}
	i, ok := d.at[dir]
	if !ok {
		if len(d.descs) == maxPackages {
			return fmt.Errorf("more than %d packages", maxPackages)
		}
		i = len(d.descs)
		d.at[dir] = i
		d.folders = append(d.folders, dir)
		d.descs = append(d.descs, Desc{})
	}
	return d.descs[i].parse(data)
}

// finish checks that each package is what its folder says.
func (d *database) finish() ([]Desc, error) {
	for i := range d.descs {
		p := &d.descs[i]
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", d.folders[i], err)
		}
		if p.Name+"-"+p.Version != d.folders[i] {
			return nil, fmt.Errorf("%s: it describes %s %s", d.folders[i], p.Name, p.Version)
		}
	}
	return d.descs, nil
}
