package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// ScriptKinds are the scripts that a package may have, in apk's order.
var ScriptKinds = []string{"pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade", "trigger"}

// An Archive is a package of apk 2 whose control segment has been read and
// whose files are still to be unpacked.
type Archive struct {
	Record
	// Scripts are the package's scripts by their kind, one of [ScriptKinds].
	Scripts map[string][]byte
	// Triggers are the patterns of directories whose change calls the script
	// "trigger".
	Triggers []string

	file io.ReaderAt
	data int64 // where the data segment begins
	size int64
}

// Open reads the control segment of a package of the given size in bytes. It
// verifies nothing. What is no package of apk 2 is an error that wraps
// [ErrFormat]; those of apk 3 are told apart in its words.
func Open(file io.ReaderAt, size int64) (*Archive, error) {
	counted := &counter{r: io.NewSectionReader(file, 0, size)}
	b := bufio.NewReaderSize(counted, 16<<10)
	head, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	if bytes.HasPrefix(head, []byte("ADB")) {
		return nil, fmt.Errorf("open the package: %w", malformed("it is a package of apk 3, which cannot be unpacked yet"))
	}
	c, err := readControl(b)
	if err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	a := &Archive{Record: c.record, Scripts: map[string][]byte{}, file: file, data: counted.n - int64(b.Buffered()), size: size}
	a.Size = size
	if err := a.readScripts(c.stored); err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	return a, nil
}

// readScripts reads what of the control segment is no part of the record.
func (a *Archive) readScripts(stored []byte) error {
	plain, err := readMember(bufio.NewReader(bytes.NewReader(stored)))
	if err != nil {
		return err
	}
	tr := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: its control segment: %w", ErrFormat, err)
		}
		kind, hidden := strings.CutPrefix(h.Name, ".")
		if !hidden || h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(tr) // bounded as the segment is
		if err != nil {
			return fmt.Errorf("%w: its control segment: %w", ErrFormat, err)
		}
		if kind == "PKGINFO" {
			a.readTriggers(string(text))
		} else if isScript(kind) {
			a.Scripts[kind] = text
		}
	}
}

func isScript(kind string) bool {
	for _, k := range ScriptKinds {
		if k == kind {
			return true
		}
	}
	return false
}

// readTriggers finds the patterns in .PKGINFO; the last line of them counts.
func (a *Archive) readTriggers(text string) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "triggers = "); ok {
			a.Triggers = strings.Fields(value)
		}
	}
}

// Data returns the tar archive of the package's files, decompressed as it is
// read. It may be called more than once.
func (a *Archive) Data() (io.ReadCloser, error) {
	b := bufio.NewReaderSize(io.NewSectionReader(a.file, a.data, a.size-a.data), 64<<10)
	if _, err := b.Peek(1); errors.Is(err, io.EOF) {
		return nil, malformed("it has no data segment")
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, unpackError(err)
	}
	return z, nil
}

// A counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

// Read implements [io.Reader].
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
