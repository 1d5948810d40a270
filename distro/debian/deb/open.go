package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/distro/decompress"
)

// Bounds on the control archive as a whole.
const (
	maxControlFiles = 1000
	maxControlBytes = 128 << 20
)

// An Archive is a package of which the control archive has been read.
type Archive struct {
	*Control
	// Paragraph is the control file with all its fields.
	Paragraph deb822.Paragraph
	// Files are the others of the control archive, such as "postinst", by name.
	Files map[string]ControlFile

	data member
}

// A ControlFile is a file of the control archive.
type ControlFile struct {
	Mode    uint32 // permissions
	Content []byte
}

// Open reads the control archive of the package of size bytes in r and finds
// the data archive, which stays in r.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	a, err := openAr(r, size)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(a); err != nil {
		return nil, err
	}
	out := &Archive{Files: map[string]ControlFile{}}
	for {
		m, err := a.next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the package has no data archive")
		}
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(m.name, "control.tar") && out.Control == nil:
			if err := out.readControl(m); err != nil {
				return nil, err
			}
		case strings.HasPrefix(m.name, "data.tar") && out.Control != nil:
			out.data = m
			return out, nil
		case strings.HasPrefix(m.name, "_"):
		default:
			return nil, fmt.Errorf("member %q is not where deb(5) has it", m.name)
		}
	}
}

// readControl reads all files of the control archive.
func (a *Archive) readControl(m member) error {
	if m.size > maxControlTar {
		return fmt.Errorf("the control archive has %d bytes, more than %d", m.size, maxControlTar)
	}
	plain, err := decompress.Open(strings.TrimPrefix(m.name, "control.tar"), m.data)
	if err != nil {
		return fmt.Errorf("read %s: %w", m.name, err)
	}
	defer plain.Close()
	tr := tar.NewReader(&capped{r: plain, left: maxControlBytes})
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", m.name, err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag == tar.TypeDir && name == "." {
			continue
		}
		if h.Typeflag != tar.TypeReg || strings.Trim(name, plainChars) != "" || name == ".." || len(a.Files) >= maxControlFiles {
			return fmt.Errorf("read %s: %q has no place there", m.name, h.Name)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return fmt.Errorf("read %s: %w", m.name, err)
		}
		if name != "control" {
			a.Files[name] = ControlFile{uint32(h.Mode) & 0o777, content}
			continue
		}
		if a.Control, err = parse(content); err != nil {
			return err
		}
		ps, err := deb822.Read(bytes.NewReader(content))
		if err != nil {
			return err
		}
		a.Paragraph = ps[0]
	}
	if a.Control == nil {
		return errors.New("the control archive has no control file")
	}
	return nil
}

// Data opens the data archive, decompressed. It may be called several times.
func (a *Archive) Data() (io.ReadCloser, error) {
	section := io.NewSectionReader(a.data.data, 0, a.data.size)
	r, err := decompress.Open(strings.TrimPrefix(a.data.name, "data.tar"), section)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a.data.name, err)
	}
	return r, nil
}
