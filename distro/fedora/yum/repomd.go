package yum

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

// A Repomd is a repository's repomd.xml: which metadata files it has.
type Repomd struct {
	// Revision is what the repository's maker gave, mostly a time in seconds.
	Revision string
	Data     []DataFile
	// Content, Repo and Distro are tags; Distro is such as "Fedora 35", DistroID
	// its CPE name.
	Content, Repo, Distro []string
	DistroID              string
}

// A DataFile is one metadata file.
type DataFile struct {
	// Type is primary, filelists, other, modules, updateinfo, group, or one of
	// these with _zck or _db at its end.
	Type string
	// Checksum is that of the file as it is served, OpenChecksum that of what
	// is in it; the latter may be zero.
	Checksum, OpenChecksum Checksum
	// Location is the path below the repository's URL, or below Base where
	// that is not empty.
	Location, Base string
	// Size and OpenSize are in bytes, -1 where they are not told.
	Size, OpenSize int64
	// Timestamp is zero where it is not told.
	Timestamp time.Time
}

const maxData = 1_000 // metadata files of one repository

// MaxRepomd bounds a repomd.xml, in bytes.
const MaxRepomd = maxSmall

type repomdXML struct {
	XMLName  struct{} `xml:"repomd"`
	Revision string   `xml:"revision"`
	Tags     struct {
		Content []string `xml:"content"`
		Repo    []string `xml:"repo"`
		Distro  []struct {
			ID   string `xml:"cpeid,attr"`
			Name string `xml:",chardata"`
		} `xml:"distro"`
	} `xml:"tags"`
	Data []struct {
		Type     string      `xml:"type,attr"`
		Checksum checksumXML `xml:"checksum"`
		Open     checksumXML `xml:"open-checksum"`
		Location struct {
			Href string `xml:"href,attr"`
			Base string `xml:"base,attr"`
		} `xml:"location"`
		Timestamp string `xml:"timestamp"`
		Size      string `xml:"size"`
		OpenSize  string `xml:"open-size"`
	} `xml:"data"`
}

type checksumXML struct {
	Type string `xml:"type,attr"`
	Hex  string `xml:",chardata"`
}

// ParseRepomd reads a repomd.xml, which must have been verified before. A path
// that leads out of the repository is an error.
func ParseRepomd(r io.Reader) (*Repomd, error) {
	m, err := parseRepomd(r)
	if err != nil {
		return nil, fmt.Errorf("read repomd.xml: %w", err)
	}
	return m, nil
}

func parseRepomd(r io.Reader) (*Repomd, error) {
	var x repomdXML
	if err := decodeSmall(r, &x); err != nil {
		return nil, err
	}
	if len(x.Data) > maxData {
		return nil, fmt.Errorf("more than %d files", maxData)
	}
	m := &Repomd{Revision: strings.TrimSpace(x.Revision), Content: x.Tags.Content, Repo: x.Tags.Repo}
	for _, d := range x.Tags.Distro {
		m.Distro = append(m.Distro, d.Name)
		m.DistroID = cmp.Or(m.DistroID, d.ID)
	}
	for _, d := range x.Data {
		f := DataFile{
			Type: d.Type, Checksum: newChecksum(d.Checksum.Type, d.Checksum.Hex), OpenChecksum: newChecksum(d.Open.Type, d.Open.Hex),
			Location: d.Location.Href, Base: d.Location.Base,
		}
		if f.Type == "" {
			return nil, errors.New("a file has no type")
		}
		if err := checkLocation(f.Location, f.Base); err != nil {
			return nil, fmt.Errorf("%s: %w", clip(f.Type), err)
		}
		size, err1 := parseNumber(d.Size, -1)
		openSize, err2 := parseNumber(d.OpenSize, -1)
		// Some tools write fractions of seconds.
		whole, _, _ := strings.Cut(d.Timestamp, ".")
		seconds, err3 := parseNumber(whole, 0)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("%s: %w", clip(f.Type), err)
		}
		f.Size, f.OpenSize = size, openSize
		if seconds > 0 {
			f.Timestamp = time.Unix(seconds, 0).UTC()
		}
		m.Data = append(m.Data, f)
	}
	return m, nil
}

// Find returns the file of a type.
func (m *Repomd) Find(kind string) (DataFile, bool) {
	for _, d := range m.Data {
		if d.Type == kind {
			return d, true
		}
	}
	return DataFile{}, false
}

// Newest returns the newest timestamp among the files, zero for none.
func (m *Repomd) Newest() time.Time {
	var t time.Time
	for _, d := range m.Data {
		if d.Timestamp.After(t) {
			t = d.Timestamp
		}
	}
	return t
}

// checkLocation wants a path that stays below the repository's URL.
func checkLocation(href, base string) error {
	if base != "" {
		if err := checkURL(base); err != nil {
			return fmt.Errorf("xml:base: %w", err)
		}
	}
	if err := lockfile.CheckPath(href); err != nil {
		return err
	}
	return nil
}

// parseNumber reads a number of bytes or seconds that may be absent.
func parseNumber(s string, absent int64) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a number of bytes or seconds", clip(s))
	}
	return n, nil
}

// maxOpen bounds what a metadata file may come to, in bytes.
const maxOpen = 4 << 30

// ReadData reads a metadata file from r, which holds it as it is served, and
// gives what is in it to read. The file is hashed at the same time; if it is
// not what f tells, the error is a [*ChecksumError], whatever read made of it:
// what read collected must only be used where ReadData returns nil.
func ReadData(f DataFile, r io.Reader, read func(io.Reader) error) error {
	sum, err := f.Checksum.New()
	if err != nil {
		return err
	}
	ending := path.Ext(f.Location)
	switch {
	case ending == ".zck" || strings.HasSuffix(f.Type, "_zck"):
		return errors.New("files in zchunk's format cannot be read; the repository has the same in another format")
	case strings.HasSuffix(f.Type, "_db") || strings.Contains(path.Base(f.Location), ".sqlite"):
		return errors.New("SQLite databases of metadata are not read; the repository has the same as XML")
	}
	counted := &counter{r: io.TeeReader(r, sum)}
	readErr := open(ending, f.OpenSize, counted, read)
	// A damaged file is likely to be one that cannot be read: read on, to say
	// which of the two it is.
	limit := int64(maxOpen)
	if f.Size >= 0 {
		limit = f.Size
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(counted, limit-counted.n+1)); err != nil {
		return err
	}
	if counted.err != nil {
		return counted.err
	}
	got := Checksum{f.Checksum.Type, hex.EncodeToString(sum.Sum(nil))}
	if got != f.Checksum || f.Size >= 0 && counted.n != f.Size {
		return &ChecksumError{Want: f.Checksum, Got: got, Size: counted.n}
	}
	return readErr
}

func open(ending string, size int64, r io.Reader, read func(io.Reader) error) error {
	if ending == ".xml" || ending == ".yaml" {
		ending = ""
	}
	body, err := decompress.Open(ending, r)
	if err != nil {
		return err
	}
	defer body.Close()
	limit := int64(maxOpen)
	if size >= 0 {
		limit = min(limit, size)
	}
	l := &io.LimitedReader{R: body, N: limit + 1}
	if err := read(l); err != nil {
		return err
	}
	if l.N == 0 {
		return fmt.Errorf("it comes to more than %d bytes", limit)
	}
	return nil
}

// A counter counts what is read through it and keeps its source's error.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

// Read implements [io.Reader].
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
