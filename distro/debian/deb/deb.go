// Package deb reads the control data of Debian's binary packages: deb(5), an
// ar archive of "debian-binary", "control.tar" and "data.tar".
//
// It is for finding out which package a file is, whatever the file is called.
// The files may come from anyone, so all sizes are bounded. The package
// refuses to unpack the data member, to check signatures, and to judge
// whether a package can be installed: that is dpkg's.
package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/distro/decompress"
)

// Bounds on what a package may hold. The largest control archives of Debian
// have a few MiB, their control paragraphs some tens of KiB.
const (
	maxControlTar  = 64 << 20  // the control member as stored
	maxControlData = 256 << 20 // what is decompressed in search of the paragraph
	maxParagraph   = 1 << 20
)

// ErrNotPackage says that a file is not a Debian package at all.
var ErrNotPackage = errors.New("not a Debian package")

// Control is the control paragraph of a package.
type Control struct {
	Package, Version, Architecture string
	// Essential says that dpkg does not remove the package without force.
	Essential bool
	// The relations to other packages, as the fields stand, line ends kept.
	PreDepends, Depends, Provides, Conflicts, Breaks string
}

// ReadFile reads the control paragraph of the package at path.
func ReadFile(path string) (*Control, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := Read(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Read reads the control paragraph of the package of size bytes in r. The
// error of a file of another kind wraps [ErrNotPackage]. Bytes after the
// control member are not looked at.
func Read(r io.ReaderAt, size int64) (*Control, error) {
	a, err := openAr(r, size)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(a); err != nil {
		return nil, err
	}
	for {
		m, err := a.next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the package has no control archive")
		}
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(m.name, "control.tar"):
			return readControl(m)
		case strings.HasPrefix(m.name, "_"): // deb(5) reserves these for others
		default:
			return nil, fmt.Errorf("member %q where the control archive should be", m.name)
		}
	}
}

// checkVersion reads the first member, the version of the format.
func checkVersion(a *ar) error {
	m, err := a.next()
	if errors.Is(err, io.EOF) || err == nil && m.name != "debian-binary" {
		return fmt.Errorf("%w: its first member is not debian-binary", ErrNotPackage)
	}
	if err != nil {
		return err
	}
	version, err := io.ReadAll(io.LimitReader(m.data, 16))
	if err != nil {
		return fmt.Errorf("read debian-binary: %w", err)
	}
	if !bytes.HasPrefix(version, []byte("2.")) {
		return fmt.Errorf("package format %q is not known; 2.x is", strings.TrimSpace(string(version)))
	}
	return nil
}

// readControl finds the control paragraph in the control archive.
func readControl(m member) (*Control, error) {
	if m.size > maxControlTar {
		return nil, fmt.Errorf("the control archive has %d bytes, more than %d", m.size, maxControlTar)
	}
	plain, err := decompress.Open(strings.TrimPrefix(m.name, "control.tar"), m.data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.name, err)
	}
	defer plain.Close()
	tr := tar.NewReader(&capped{r: plain, left: maxControlData})
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the control archive has no control file")
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", m.name, err)
		}
		if path.Clean(h.Name) != "control" || h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(tr, maxParagraph+1))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", m.name, err)
		}
		if len(text) > maxParagraph {
			return nil, fmt.Errorf("the control file has more than %d bytes", maxParagraph)
		}
		return parse(text)
	}
}

// parse reads the control file: one paragraph.
func parse(text []byte) (*Control, error) {
	ps, err := deb822.Read(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the control file: %w", err)
	}
	if len(ps) != 1 {
		return nil, fmt.Errorf("the control file has %d paragraphs, not 1", len(ps))
	}
	p := ps[0]
	c := &Control{
		Package:      p.Get("Package"),
		Version:      p.Get("Version"),
		Architecture: p.Get("Architecture"),
		Essential:    strings.EqualFold(p.Get("Essential"), "yes"),
		PreDepends:   p.Get("Pre-Depends"),
		Depends:      p.Get("Depends"),
		Provides:     p.Get("Provides"),
		Conflicts:    p.Get("Conflicts"),
		Breaks:       p.Get("Breaks"),
	}
	for _, f := range []struct{ name, value string }{
		{"Package", c.Package}, {"Version", c.Version}, {"Architecture", c.Architecture},
	} {
		if f.value == "" {
			return nil, fmt.Errorf("the control file has no field %s", f.name)
		}
		if strings.Trim(f.value, plainChars) != "" {
			return nil, fmt.Errorf("field %s of the control file is %q", f.name, f.value)
		}
	}
	return c, nil
}

// plainChars are those of which names, versions and architectures consist.
const plainChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.~:_"

// capped fails, rather than ends, when more bytes come than are allowed.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("more than %d bytes decompressed before the control file", maxControlData)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
