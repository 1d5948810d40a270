package tree

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// What is read of a manifest at most: what would be larger is no tree that
// anyone has, but an attempt to fill the memory.
const (
	maxManifestLine    = 256 << 10
	maxManifestEntries = 10_000_000
)

// ReadManifest reads what [WriteManifest] wrote, byte for byte in that form;
// anything else is an error that tells the line. The files of the tree have
// digests but no contents, unless find, which may be nil, has one (or nil) for a
// digest and a size.
func ReadManifest(r io.Reader, find func(Digest, int64) Content) (*Tree, error) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxManifestLine)
	s.Split(wholeLines)
	p := manifestParser{find: find, sets: map[int]*linkSet{}}
	number := 0 // of the line
	for s.Scan() {
		if number++; number == 1 {
			if s.Text() != manifestHead {
				return nil, fmt.Errorf("manifest:1: must be %q", strings.TrimSpace(manifestHead))
			}
			continue
		}
		if strings.HasPrefix(s.Text(), "#xattr ") && p.inode != nil {
			if err := p.xattr(s.Text()); err != nil {
				return nil, fmt.Errorf("manifest:%d: %w", number, err)
			}
			continue
		}
		if err := p.flush(); err != nil {
			return nil, fmt.Errorf("manifest:%d: %w", p.start, err)
		}
		p.start = number
		if err := p.line(s.Text()); err != nil {
			return nil, fmt.Errorf("manifest:%d: %w", number, err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("manifest:%d: %w", number+1, err)
	}
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("manifest:%d: %w", max(p.start, 1), err)
	}
	t, err := p.draft.freeze(context.Background())
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return t, nil
}

// wholeLines gives lines with their ends, and refuses a last one without.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errors.New("the last line is cut off")
	}
	return 0, nil, nil
}

// manifestParser holds the path whose lines are being read, since attributes
// follow it, and the sets of hard links so far.
type manifestParser struct {
	find  func(Digest, int64) Content
	draft draft
	sets  map[int]*linkSet

	start int    // the number of the path's line
	text  []byte // it and those of its attributes
	path  string
	inode *Inode
	set   int
	nlink int
}

type linkSet struct {
	inode       *Inode
	nlink, seen int
}

func (p *manifestParser) line(line string) error {
	if len(p.draft.entries) >= maxManifestEntries {
		return fmt.Errorf("more than %d paths", maxManifestEntries)
	}
	words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	path, err := unescape(words[0])
	if err != nil {
		return err
	}
	if p.path = strings.TrimPrefix(path, "./"); path == "." {
		p.path = ""
	}
	p.text, p.inode, p.set, p.nlink = append(p.text[:0], line...), &Inode{}, 0, 0
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if err := p.keyword(key, value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return CheckPath(p.path)
}

func (p *manifestParser) xattr(line string) error {
	name, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "#xattr "), "\n"), "=")
	name, err := unescape(name)
	if err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return fmt.Errorf("the value of %q is not base64", name)
	}
	if len(p.inode.Xattrs) > maxXattrs {
		return fmt.Errorf("more than %d extended attributes", maxXattrs)
	}
	p.text = append(p.text, line...)
	p.inode.Xattrs = append(p.inode.Xattrs, Xattr{name, string(raw)})
	return nil
}

func (p *manifestParser) keyword(key, value string) (err error) {
	n := p.inode
	switch key {
	case "type":
		for mode, name := range typeNames {
			if name == value {
				n.Mode |= mode
				return nil
			}
		}
		return fmt.Errorf("%q is not known", value)
	case "mode":
		var bits uint64
		bits, err = strconv.ParseUint(value, 8, 12)
		n.Mode |= Mode(bits)
	case "uid":
		n.UID, err = parse32(value)
	case "gid":
		n.GID, err = parse32(value)
	case "time":
		sec, nsec, _ := strings.Cut(value, ".")
		if n.ModTime.Sec, err = strconv.ParseInt(sec, 10, 64); err == nil {
			n.ModTime.Nsec, err = parse32(nsec)
		}
	case "inode":
		p.set, err = strconv.Atoi(value)
	case "nlink":
		p.nlink, err = strconv.Atoi(value)
	case "link":
		n.Target, err = unescape(value)
	case "device":
		major, minor, _ := strings.Cut(strings.TrimPrefix(value, "native,"), ",")
		if n.Major, err = parse32(major); err == nil {
			n.Minor, err = parse32(minor)
		}
	case "size":
		n.Size, err = strconv.ParseInt(value, 10, 64)
	case "sha256digest":
		var raw []byte
		if raw, err = hex.DecodeString(value); err == nil && len(raw) != len(n.Digest) {
			return fmt.Errorf("%q is no SHA-256", value)
		}
		copy(n.Digest[:], raw)
	default:
		return errors.New("not a keyword of manifests")
	}
	return err
}

func parse32(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// flush takes the path that has been read into the tree, if its lines are those
// that would be written for it.
func (p *manifestParser) flush() error {
	if p.inode == nil {
		return nil
	}
	n, err := p.inode.canonical()
	if err != nil {
		return &PathError{p.path, err}
	}
	if text := appendEntry(nil, p.path, n, p.set, func() int { return p.nlink }); !bytes.Equal(text, p.text) {
		return &PathError{p.path, fmt.Errorf("its lines are not in the canonical form, which is\n%s", text)}
	}
	if entries := p.draft.entries; len(entries) == 0 != (p.path == "") {
		return &PathError{p.path, errors.New("the root must be the first path")}
	} else if len(entries) > 0 && entries[len(entries)-1].path >= p.path {
		return &PathError{p.path, errors.New("the path is not after the one before it, in the order of bytes")}
	}
	if p.find != nil && n.Mode.IsRegular() {
		n.Content = p.find(n.Digest, n.Size)
	}
	if p.set != 0 {
		if n, err = p.join(n); err != nil {
			return &PathError{p.path, err}
		}
	}
	p.draft.add(p.path, n)
	p.inode = nil
	return nil
}

// join finds the inode of a set of hard links, or begins the set.
func (p *manifestParser) join(n *Inode) (*Inode, error) {
	set, found := p.sets[p.set]
	if !found {
		if p.set != len(p.sets)+1 || p.nlink < 2 || n.Mode.IsDir() {
			return nil, fmt.Errorf("inode=%d nlink=%d is no set of hard links that could follow here", p.set, p.nlink)
		}
		p.sets[p.set] = &linkSet{n, p.nlink, 1}
		return n, nil
	}
	if set.seen++; set.seen > set.nlink || p.nlink != set.nlink {
		return nil, fmt.Errorf("inode=%d has not as many paths as nlink says", p.set)
	}
	if !set.inode.Equal(n) {
		return nil, fmt.Errorf("inode=%d has other attributes at another path", p.set)
	}
	return set.inode, nil
}

func (p *manifestParser) end() error {
	if err := p.flush(); err != nil {
		return err
	}
	if len(p.draft.entries) == 0 {
		return errors.New("the root is missing")
	}
	for number := 1; number <= len(p.sets); number++ {
		if set := p.sets[number]; set.seen != set.nlink {
			return fmt.Errorf("inode=%d has not as many paths as nlink says", number)
		}
	}
	return nil
}
