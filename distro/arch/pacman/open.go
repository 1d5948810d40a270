package pacman

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro/decompress"
)

// Limits on what a package says of itself. The longest real ones, of the
// headers of kernels, have some 3 MB and 30,000 lines.
const (
	maxMtree      = 256 << 20
	maxMtreeLine  = 64 << 10
	maxMtreeFiles = 1 << 20
)

// An Info is all that a package says of itself in its .PKGINFO: besides what a
// database needs for finding it, what pacman keeps of it once it is installed.
type Info struct {
	Desc
	Description, URL string
	Licenses         []string
	Backup           []string // paths of files that people change
	XData            []string // "pkgtype=pkg" and its like
}

// ReadInfo reads a .PKGINFO file whole.
func ReadInfo(r io.Reader) (*Info, error) {
	data, err := readBounded(r, maxDesc)
	if err != nil {
		return nil, err
	}
	desc, err := ReadPkginfo(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	info := &Info{Desc: *desc}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if value == "" {
			continue
		}
		switch key {
		case "pkgdesc":
			info.Description = value
		case "url":
			info.URL = value
		case "license":
			info.Licenses = append(info.Licenses, value)
		case "backup":
			info.Backup = append(info.Backup, value)
		case "xdata":
			info.XData = append(info.XData, value)
		}
	}
	return info, nil
}

// OpenPackage reads the .PKGINFO of a package file and, if wanted says so by
// what is in that, the content of one more file of it, nil where it is absent.
// No more is read than has to be.
func OpenPackage(r io.Reader, wanted func(*Info) string) (info *Info, content []byte, err error) {
	plain, err := decompress.Sniff(r)
	if err != nil {
		return nil, nil, fmt.Errorf("the package cannot be read: %w", err)
	}
	defer plain.Close()
	want := ""
	t := tar.NewReader(&bounded{plain, maxUnpack})
	for range maxMembers {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the package cannot be read: %w", err)
		}
		switch {
		case h.Typeflag != tar.TypeReg:
		case h.Name == ".PKGINFO" && info == nil:
			if info, err = ReadInfo(t); err != nil {
				return nil, nil, fmt.Errorf(".PKGINFO: %w", err)
			}
			if want = wanted(info); want == "" {
				return info, nil, nil
			}
		case info != nil && h.Name == want:
			content, err = readBounded(t, maxDesc)
			return info, content, err
		}
	}
	if info == nil {
		return nil, nil, errors.New("the package has no .PKGINFO")
	}
	return info, nil, nil
}

// ReadMtree reads the paths of what a package installs out of its .MTREE, the
// format of mtree(5), compressed or not: sorted by their bytes, directories
// with a slash at the end. What begins with a dot is not installed.
func ReadMtree(r io.Reader) ([]string, error) {
	plain, err := decompress.Sniff(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	lines := bufio.NewScanner(&bounded{plain, maxMtree})
	lines.Buffer(make([]byte, 0, 4<<10), maxMtreeLine)
	var out []string
	kind := ""
	for number := 1; lines.Scan(); number++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' || words[0] == "/unset" {
			continue
		}
		is := kind
		for _, w := range words[1:] {
			if t, ok := strings.CutPrefix(w, "type="); ok {
				is = t
			}
		}
		if words[0] == "/set" {
			kind = is
			continue
		}
		name, err := unescape(strings.TrimPrefix(words[0], "./"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if name == "" || name[0] == '.' {
			continue
		}
		if is == "dir" {
			name += "/"
		}
		if out = append(out, name); len(out) > maxMtreeFiles {
			return nil, fmt.Errorf("more than %d files", maxMtreeFiles)
		}
	}
	slices.Sort(out)
	return out, lines.Err()
}

// unescape replaces a backslash and three octal digits by the byte.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if len(s) < i+4 {
			return "", fmt.Errorf("%.80q ends in the middle of a byte", s)
		}
		n, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil || n == 0 || n == '\n' {
			return "", fmt.Errorf("%.80q is no path", s)
		}
		b.WriteByte(byte(n))
		i += 3
	}
	return b.String(), nil
}
