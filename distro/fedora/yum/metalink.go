package yum

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Metalink tells where a repository's repomd.xml is served and which bytes
// it has (Metalink 3.0 with the extensions of Fedora's MirrorManager).
type Metalink struct {
	// Mirrors are ordered by preference, the best first.
	Mirrors []Mirror
	// Files are the repomd.xml of now and, after it, those of before that
	// mirrors may still serve.
	Files []MetalinkFile
}

// A Mirror serves the repository.
type Mirror struct {
	// URL is that of repomd.xml.
	URL string
	// Base is the URL of the repository, with a slash at its end.
	Base string
	// Protocol is such as https; Location a country, such as US.
	Protocol, Location string
	// Preference is from 1 to 100, the greater the better.
	Preference int
}

// A MetalinkFile is one state of repomd.xml.
type MetalinkFile struct {
	Timestamp time.Time
	Size      int64 // in bytes; -1 where it is not told
	Checksums []Checksum
}

// Limits on lists of mirrors.
const (
	maxMirrors    = 10_000
	maxAlternates = 1_000
)

type metalinkXML struct {
	Files []struct {
		Name string `xml:"name,attr"`
		metalinkFileXML
		Alternates []metalinkFileXML `xml:"alternates>alternate"`
		Resources  struct {
			URLs []struct {
				Protocol   string `xml:"protocol,attr"`
				Location   string `xml:"location,attr"`
				Preference string `xml:"preference,attr"`
				URL        string `xml:",chardata"`
			} `xml:"url"`
		} `xml:"resources"`
	} `xml:"files>file"`
}

type metalinkFileXML struct {
	Timestamp string `xml:"timestamp"`
	Size      string `xml:"size"`
	Hashes    []struct {
		Type string `xml:"type,attr"`
		Hex  string `xml:",chardata"`
	} `xml:"verification>hash"`
}

const repomdPath = "repodata/repomd.xml"

// ParseMetalink reads a metalink for repomd.xml. Mirrors of other protocols
// than http, https and file are passed over.
func ParseMetalink(r io.Reader) (*Metalink, error) {
	var x metalinkXML
	if err := decodeSmall(r, &x); err != nil {
		return nil, fmt.Errorf("read the metalink: %w", err)
	}
	m := &Metalink{}
	for _, f := range x.Files {
		if f.Name != "repomd.xml" {
			continue
		}
		if len(f.Resources.URLs) > maxMirrors || len(f.Alternates) > maxAlternates || m.Files != nil {
			return nil, errors.New("read the metalink: more mirrors or files than any real one has")
		}
		for _, one := range append([]metalinkFileXML{f.metalinkFileXML}, f.Alternates...) {
			file, err := one.file()
			if err != nil {
				return nil, fmt.Errorf("read the metalink: %w", err)
			}
			m.Files = append(m.Files, file)
		}
		for _, u := range f.Resources.URLs {
			address := strings.TrimSpace(u.URL)
			base, ok := strings.CutSuffix(address, repomdPath)
			if !ok || checkURL(address) != nil {
				continue
			}
			preference, _ := parseNumber(u.Preference, 0)
			m.Mirrors = append(m.Mirrors, Mirror{address, base, u.Protocol, u.Location, int(min(preference, 100))})
		}
	}
	if m.Files == nil {
		return nil, errors.New("read the metalink: it is not one for repomd.xml")
	}
	slices.SortStableFunc(m.Mirrors, func(a, b Mirror) int { return cmp.Compare(b.Preference, a.Preference) })
	return m, nil
}

func (x metalinkFileXML) file() (MetalinkFile, error) {
	f := MetalinkFile{}
	seconds, err1 := parseNumber(x.Timestamp, 0)
	size, err2 := parseNumber(x.Size, -1)
	if err := cmp.Or(err1, err2); err != nil {
		return f, err
	}
	if seconds > 0 {
		f.Timestamp = time.Unix(seconds, 0).UTC()
	}
	f.Size = size
	for _, h := range x.Hashes {
		f.Checksums = append(f.Checksums, newChecksum(h.Type, h.Hex))
	}
	return f, nil
}

// Check says which of the metalink's files a repomd.xml is: its size and each
// strong checksum that is told must be right, of which there has to be one.
// The error for bytes that are none of them is a [*ChecksumError] where the
// newest has a SHA-256.
func (m *Metalink) Check(repomd []byte) (MetalinkFile, error) {
	for _, f := range m.Files {
		if f.matches(repomd) {
			return f, nil
		}
	}
	for _, c := range m.Files[0].Checksums {
		if _, err := c.New(); err == nil && c.Type == "sha256" {
			return MetalinkFile{}, &ChecksumError{Want: c, Got: Checksum{c.Type, lockfile.DigestOf(repomd).String()}, Size: int64(len(repomd))}
		}
	}
	return MetalinkFile{}, errors.New("it is none of the files that the metalink tells of")
}

func (f MetalinkFile) matches(data []byte) bool {
	if f.Size >= 0 && f.Size != int64(len(data)) {
		return false
	}
	strong := 0
	for _, c := range f.Checksums {
		if _, err := c.New(); err != nil {
			continue
		}
		if !c.Matches(data) {
			return false
		}
		strong++
	}
	return strong > 0
}

// ParseMirrorList reads a list of URLs of a repository, one a line, as
// mirrorlist= leads to. Comments and URLs of other protocols than http, https
// and file are passed over; a list without any is an error.
func ParseMirrorList(r io.Reader) ([]string, error) {
	l := &io.LimitedReader{R: r, N: maxSmall + 1}
	s := bufio.NewScanner(l)
	var out []string
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' || checkURL(line) != nil {
			continue
		}
		if len(out) == maxMirrors {
			return nil, fmt.Errorf("more than %d mirrors", maxMirrors)
		}
		out = append(out, line)
	}
	switch {
	case s.Err() != nil:
		return nil, fmt.Errorf("read the list of mirrors: %w", s.Err())
	case l.N == 0:
		return nil, fmt.Errorf("the list of mirrors is longer than %d bytes", maxSmall)
	case out == nil:
		return nil, errors.New("the list of mirrors has no URL")
	}
	return out, nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return fmt.Errorf("%q has no host", clip(s))
		}
		return nil
	case "file":
		return nil
	}
	return fmt.Errorf("%q is not http, https or file", clip(s))
}
