package pacman

import (
	"archive/tar"
	"bytes"
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
	whole := &bounded{r: plain, n: maxDatabase}
	t := tar.NewReader(whole)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the database cannot be read: %w", err)
		}
		if err := d.add(h, t); err != nil {
			return nil, fmt.Errorf("%.200s: %w", h.Name, err)
		}
	}
	if !whole.zeros {
		return nil, errors.New("the database is cut off: it has no end mark")
	}
	// What pads the tar is read as well, for the sake of the checksum that
	// follows it.
	if _, err := io.Copy(io.Discard, whole); err != nil {
		return nil, fmt.Errorf("the database cannot be read: %w", err)
	}
	return d.finish()
}

// A database collects what the members of its tar say.
type database struct {
	want    func(string) bool
	folders []string
	descs   []Desc
	at      map[string]int // of a folder, in both
}

// add reads one member, if it describes a package that is wanted.
func (d *database) add(h *tar.Header, r io.Reader) error {
	dir, file := path.Split(strings.TrimPrefix(h.Name, "./"))
	if h.Typeflag != tar.TypeReg || file != "desc" && file != "depends" {
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
	data, err := readBounded(r, maxDesc)
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

// bounded fails after n bytes, and notes whether the last that were read were
// zeros, as at the end of a tar.
type bounded struct {
	r     io.Reader
	n     int64
	zeros bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.n <= 0 {
		return 0, errors.New("it unpacks to more than anything real")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.n)])
	b.n -= int64(n)
	if n > 0 {
		b.zeros = p[0] == 0 && p[n-1] == 0 && len(bytes.TrimLeft(p[:n], "\x00")) == 0
	}
	return n, err
}
