package arch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/lockfile"
)

// maxShelved bounds how many files of directories are looked at.
const maxShelved = 1 << 20

// A shelved is a file at hand that is called as a package, or as the signature
// of one.
type shelved struct {
	name string // for a person
	open func() (*os.File, error)
}

// shelves are the directories of package files: pacman's cache in the root,
// repositories that lie in the root, and what the user gave.
type shelves struct {
	byName map[string][]shelved
	// compared are the files that compare has told of.
	compared sync.Map
}

// shelves lists the files of wanted packages.
func (s *System) shelves(directories []string, want func(string) bool) *shelves {
	out := &shelves{byName: map[string][]shelved{}}
	dirs := slices.Clone(s.Config.CacheDirs)
	for i := range s.Config.Repositories {
		for _, server := range s.servers(&s.Config.Repositories[i], true) {
			if dir, ok := filePath(server); ok && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	for _, dir := range dirs {
		entries, err := s.Files.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.events.Warning(fmt.Sprintf("the directory of packages %s is not used: %v", dir, err))
			}
			continue
		}
		for _, e := range entries[:min(len(entries), maxShelved)] {
			name := filepath.Join(dir, e.Name())
			out.add(e.Name(), want, shelved{s.Files.Join(name), func() (*os.File, error) { return s.Files.Open(name) }})
		}
	}
	for _, dir := range directories {
		if err := out.walk(dir, want); err != nil {
			s.events.Warning(fmt.Sprintf("the directory %s is not used: %v", dir, err))
		}
	}
	return out
}

// walk lists the files of a directory of this machine, at any depth.
func (h *shelves) walk(dir string, want func(string) bool) error {
	n := 0
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if n++; n > maxShelved {
			return fmt.Errorf("it has more than %d files", maxShelved)
		}
		h.add(e.Name(), want, shelved{name, func() (*os.File, error) { return openRegular(name) }})
		return nil
	})
}

func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return os.Open(name)
}

func (h *shelves) add(base string, want func(string) bool, f shelved) {
	if clean, err := url.PathUnescape(base); err == nil {
		base = clean // some file systems bear no colons
	}
	name, _, _, ok := pacman.ParseFilename(strings.TrimSuffix(base, ".sig"))
	if ok && want(name) {
		h.byName[base] = append(h.byName[base], f)
	}
}

// named returns the files of a name.
func (h *shelves) named(base string) []shelved { return h.byName[base] }

// of returns the names of the files of a package, sorted.
func (h *shelves) of(name, version, arch string) []string {
	var out []string
	for _, c := range pacman.Compressions {
		if base := name + "-" + version + "-" + arch + ".pkg.tar" + c; len(h.byName[base]) > 0 {
			out = append(out, base)
		}
	}
	slices.Sort(out)
	return out
}

// compare tells of files of a package that are not what a database names. It
// is for packages whose bytes nothing else needs.
func (h *shelves) compare(s *System, x sighting) {
	for _, f := range h.named(x.Filename) {
		if _, told := h.compared.LoadOrStore(f.name, true); told {
			continue
		}
		err := f.check(func(r io.Reader) error {
			sum := sha256.New()
			n, err := io.Copy(sum, r)
			if got := lockfile.Digest(sum.Sum(nil)); err == nil && got != x.digest() {
				err = &lockfile.DigestError{Want: x.digest(), Got: got, Size: n}
			}
			return err
		})
		if err != nil {
			s.events.Warning(fmt.Sprintf("%s is not the file that %s names: %v", f.name, x.from.repo.Name, err))
		}
	}
}

// check has fn read the file.
func (f shelved) check(fn func(io.Reader) error) error {
	r, err := f.open()
	if err != nil {
		return err
	}
	return errors.Join(fn(r), r.Close())
}

// read returns the bytes of a small file.
func (f shelved) read(limit int64) (data []byte, err error) {
	err = f.check(func(r io.Reader) error {
		data, err = io.ReadAll(io.LimitReader(r, limit+1))
		if err == nil && int64(len(data)) > limit {
			err = fmt.Errorf("%s is longer than %d bytes", f.name, limit)
		}
		return err
	})
	return data, err
}

// A content is what was read of a package file.
type content struct {
	desc *pacman.Desc // nil where err is not
	err  error        // why it is no package
	size int64
}

// readSigned reads a package file to its end, in one pass: what is in it, its
// digest, and why its signature is refused, nil if it is not. Without keys,
// signatures are not looked at. An error is one of reading.
func readSigned(r io.Reader, keys *trust.Keyring, signature []byte) (content, lockfile.Digest, error, error) {
	var c content
	var head bytes.Buffer
	failing := &failingReader{r: r}
	c.desc, c.err = pacman.ReadPackage(io.TeeReader(failing, &head))
	if failing.err != nil {
		return c, lockfile.Digest{}, nil, failing.err
	}
	sum := sha256.New()
	counted := &countingWriter{w: sum}
	all := io.TeeReader(io.MultiReader(&head, failing), counted)
	var refused error
	if keys != nil {
		_, refused = keys.Verify(all, signature)
	}
	_, err := io.Copy(io.Discard, all)
	if failing.err != nil {
		err = failing.err
	}
	c.size = counted.n
	return c, lockfile.Digest(sum.Sum(nil)), refused, err
}

// A failingReader remembers that reading failed.
type failingReader struct {
	r   io.Reader
	err error
}

func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
