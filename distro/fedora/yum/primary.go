package yum

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A Record is what a repository's primary.xml says of one package file.
type Record struct {
	// NEVRA has no epoch where the index says 0, which it does for packages
	// without one too.
	rpm.NEVRA
	// Checksum is that of the file, which need not be a strong one.
	Checksum Checksum
	// Location is the path below the repository's URL, or below Base where
	// that is not empty.
	Location, Base string
	// Size is the file's and InstalledSize what it unpacks to, in bytes; -1
	// where it is not told.
	Size, InstalledSize int64
	// FileTime and BuildTime are zero where they are not told.
	FileTime, BuildTime time.Time
	// SourceRPM is the name of the source package's file.
	SourceRPM, Vendor string

	Requires, Provides, Conflicts, Obsoletes []rpm.Dependency
	// Files are those whose paths others are likely to require: programs and
	// what is below etc.
	Files []string
}

// ReadPrimary reads a primary.xml and returns the records of the packages that
// are wanted by their names, in the order of the file. Records whose name,
// version or location cannot be one are passed over: nothing can be located by
// them. Elements and attributes may come in any order, and what is not known
// is passed over; but packages that are not wanted are not looked into further
// than to find their ends.
func ReadPrimary(r io.Reader, want func(name string) bool) ([]Record, error) {
	var out []Record
	err := eachPackage(r, want, func(element []byte) error {
		rec, ok, err := parseRecord(element)
		if err != nil {
			return err
		}
		if ok && want(rec.Name) {
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read primary.xml: %w", err)
	}
	return out, nil
}

// parseRecord reads one <package>; ok is false for one that is passed over.
func parseRecord(element []byte) (rec Record, ok bool, err error) {
	p := recordParser{tokens: tokens{b: element}, rec: Record{Size: -1, InstalledSize: -1}, ok: true}
	p.rec.Epoch = rpm.NoEpoch
	for {
		t, err := p.tokens.next()
		if err != nil {
			return Record{}, false, err
		}
		switch t {
		case tokenEnd:
			return p.rec, p.finish(), nil
		case tokenOpen:
			p.open()
		case tokenText:
			if p.text != nil {
				*p.text += p.tokens.text()
			}
		case tokenClose:
			p.text = nil
		}
		if p.tokens.err != nil {
			return Record{}, false, p.tokens.err
		}
	}
}

type recordParser struct {
	tokens  tokens
	rec     Record
	text    *string // where the text of the element at hand belongs
	files   []*string
	ok      bool
	entries *[]rpm.Dependency
}

// open looks at an element that begins.
func (p *recordParser) open() {
	t := &p.tokens
	p.text = nil
	switch t.depth() {
	case 2:
		p.openField(string(t.name()))
	case 3:
		if string(t.parent(1)) == "format" {
			p.openFormat(string(t.name()))
		}
	case 4:
		if string(t.parent(2)) == "format" && string(t.name()) == "entry" && p.entries != nil {
			p.addEntry()
		}
	}
}

func (p *recordParser) openField(name string) {
	t, r := &p.tokens, &p.rec
	switch name {
	case "name":
		p.text = &r.Name
	case "arch":
		p.text = &r.Arch
	case "version":
		if epoch := t.attr("epoch"); epoch != "" && epoch != "0" {
			n, err := strconv.ParseUint(epoch, 10, 31)
			r.Epoch, p.ok = int(n), p.ok && err == nil
		}
		r.Version, r.Release = t.attr("ver"), t.attr("rel")
	case "checksum":
		r.Checksum.Type = t.attr("type")
		p.text = &r.Checksum.Hex
	case "size":
		r.Size, r.InstalledSize = p.number("package", -1), p.number("installed", -1)
	case "time":
		r.FileTime, r.BuildTime = p.time("file"), p.time("build")
	case "location":
		r.Location, r.Base = strings.TrimPrefix(t.attr("href"), "./"), t.attr("base")
	}
}

func (p *recordParser) openFormat(name string) {
	r := &p.rec
	p.entries = nil
	switch name {
	case "vendor":
		p.text = &r.Vendor
	case "sourcerpm":
		p.text = &r.SourceRPM
	case "requires":
		p.entries = &r.Requires
	case "provides":
		p.entries = &r.Provides
	case "conflicts":
		p.entries = &r.Conflicts
	case "obsoletes":
		p.entries = &r.Obsoletes
	case "file":
		p.files = append(p.files, new(string))
		p.text = p.files[len(p.files)-1]
	}
}

func (p *recordParser) addEntry() {
	t := &p.tokens
	d := rpm.Dependency{Name: t.attr("name")}
	flags, err := rpm.ParseFlags(t.attr("flags"))
	p.ok = p.ok && err == nil && d.Name != ""
	if d.Flags = flags; flags != 0 {
		d.EVR = t.attr("ver")
		if release := t.attr("rel"); release != "" {
			d.EVR += "-" + release
		}
		if epoch := t.attr("epoch"); epoch != "" && epoch != "0" {
			d.EVR = epoch + ":" + d.EVR
		}
	}
	*p.entries = append(*p.entries, d)
}

func (p *recordParser) number(attr string, absent int64) int64 {
	n, err := parseNumber(p.tokens.attr(attr), absent)
	p.ok = p.ok && err == nil
	return n
}

func (p *recordParser) time(attr string) time.Time {
	seconds := p.number(attr, 0)
	if seconds <= 0 || seconds >= 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// finish reports whether the record can be used.
func (p *recordParser) finish() bool {
	r := &p.rec
	r.Name, r.Arch = strings.TrimSpace(r.Name), strings.TrimSpace(r.Arch)
	r.Checksum = newChecksum(r.Checksum.Type, r.Checksum.Hex)
	for _, f := range p.files {
		r.Files = append(r.Files, *f)
	}
	return p.ok && r.NEVRA.Valid() && checkLocation(r.Location, r.Base) == nil
}
