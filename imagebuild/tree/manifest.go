package tree

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
)

// The manifest is a tree as text: an mtree(5) specification, one line for each
// path, in the order of the paths' bytes, that bsdtar and FreeBSD's mtree read.
//
//	#mtree v2.0
//	. type=dir mode=0755 uid=0 gid=0 time=0.000000000
//	./bin type=link mode=0777 uid=0 gid=0 time=0.000000000 link=usr/bin
//	./dev/null type=char mode=0666 uid=0 gid=0 time=0.000000000 device=native,1,3
//	./etc/hosts type=file mode=0644 uid=0 gid=0 time=1.500000000 size=0 sha256digest=e3b0…
//	#xattr user.note=AAEC
//
// The keywords stand in this order: type, mode (octal, the 12 bits), uid, gid,
// time (seconds rounded down and nine digits of nanoseconds), then inode and
// nlink of what has several paths (the sets are numbered from 1, in the order of
// their smallest paths, and their lines agree in all but the path), then link,
// device, or size and sha256digest. In paths, targets and names of attributes,
// bytes but ASCII's letters, digits and "!%&'()+,-./:;<>@]^_`{|}~" are a
// backslash and three octal digits.
//
// mtree has no word for extended attributes. Each is a comment line after its
// path's line (and after each path's line of several): "#xattr", the name in
// these escapes, "=", and the value in base64.

const manifestHead = "#mtree v2.0\n"

// WriteManifest writes the tree as a manifest: equal trees, and only those,
// have equal manifests.
func WriteManifest(w io.Writer, t *Tree) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(manifestHead)
	sets := map[int]int{}
	line := make([]byte, 0, 512)
	for n := range t.All() {
		set := 0
		if n.linked() {
			if set = sets[n.InodeIndex()]; set == 0 {
				set = len(sets) + 1
				sets[n.InodeIndex()] = set
			}
		}
		line = appendEntry(line[:0], n.Path(), n.inode(), set, n.LinkCount)
		if _, err := b.Write(line); err != nil {
			return fmt.Errorf("writing a manifest: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing a manifest: %w", err)
	}
	return nil
}

// linked reports whether the node's inode has other paths.
func (n Node) linked() bool { return len(n.t.links[n.node().inode]) > 1 }

// Digest is the SHA-256 of the manifest: equal for equal trees.
func (t *Tree) Digest() Digest {
	h := sha256.New()
	_ = WriteManifest(h, t) // a hash does not fail
	return Digest(h.Sum(nil))
}

// Describe is the manifest's lines for the node, without its links to others:
// for messages and logs.
func (n Node) Describe() string {
	line := appendEntry(nil, n.Path(), n.inode(), 0, nil)
	return string(line[:len(line)-1])
}

// appendEntry appends the lines for a path, whose inode is in the set of that
// number where it is not 0, and then has so many links.
func appendEntry(b []byte, path string, n *Inode, set int, links func() int) []byte {
	b = append(b, '.')
	if path != "" {
		b = appendEscaped(append(b, '/'), path)
	}
	b = append(b, " type="...)
	b = append(b, n.Mode.TypeName()...)
	b = fmt.Appendf(b, " mode=%04o", uint32(n.Mode.Bits()))
	b = strconv.AppendUint(append(b, " uid="...), uint64(n.UID), 10)
	b = strconv.AppendUint(append(b, " gid="...), uint64(n.GID), 10)
	b = strconv.AppendInt(append(b, " time="...), n.ModTime.Sec, 10)
	b = fmt.Appendf(b, ".%09d", n.ModTime.Nsec)
	if set > 0 {
		b = fmt.Appendf(b, " inode=%d nlink=%d", set, links())
	}
	switch {
	case n.Mode.Type() == Symlink:
		b = appendEscaped(append(b, " link="...), n.Target)
	case n.Mode.IsDevice():
		b = fmt.Appendf(b, " device=native,%d,%d", n.Major, n.Minor)
	case n.Mode.IsRegular():
		b = strconv.AppendInt(append(b, " size="...), n.Size, 10)
		b = fmt.Appendf(b, " sha256digest=%x", n.Digest[:])
	}
	b = append(b, '\n')
	for _, x := range n.Xattrs {
		b = appendEscaped(append(b, "#xattr "...), x.Name)
		b = base64.StdEncoding.AppendEncode(append(b, '='), []byte(x.Value))
		b = append(b, '\n')
	}
	return b
}

// plain are the bytes that need no escape in a manifest.
var plain = func() (plain [256]bool) {
	for _, c := range []byte("!%&'()+,-./:;<>@]^_`{|}~") {
		plain[c] = true
	}
	for c := range plain {
		if '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' && c < 128 {
			plain[c] = true
		}
	}
	return plain
}()

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; plain[c] {
			b = append(b, c)
		} else {
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return b
}

// unescape undoes appendEscaped. What is not canonical is found out by the
// comparison with what appendEntry would have written.
func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i+4 > len(s) {
			return "", fmt.Errorf("%q has an escape that is cut off", s)
		}
		c, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil {
			return "", fmt.Errorf("%q has an escape that is not of three octal digits", s)
		}
		b = append(b, byte(c))
		i += 3
	}
	return string(b), nil
}
