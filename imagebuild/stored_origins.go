package imagebuild

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// origins tell for each regular file of a tree that is not empty, in the order
// of the inodes, where its content is kept.
type origins struct {
	packages []lockfile.Digest
	places   []place
}

// A place is in what is kept of a package, by its number, or in the packs, where
// contents follow each other.
type place struct {
	pkg    int
	offset int64
}

// inPacks is the number of no package.
const inPacks = -1

// originsOf finds out what of a tree is kept with its packages.
func (p *Plan) originsOf(t *tree.Tree) origins {
	var o origins
	numbers := map[lockfile.Digest]int{}
	for n := range t.Inodes() {
		if !n.Mode().IsRegular() || n.Inode().Size == 0 {
			continue
		}
		var from distro.Origin
		if c, ok := n.Inode().Content.(target.Originated); ok && p.Unpacked != nil {
			from = c.Origin()
		}
		if from == (distro.Origin{}) {
			o.places = append(o.places, place{pkg: inPacks})
			continue
		}
		number, ok := numbers[from.Package]
		if !ok {
			number = len(o.packages)
			numbers[from.Package] = number
			o.packages = append(o.packages, from.Package)
		}
		o.places = append(o.places, place{number, from.Offset})
	}
	return o
}

// maxOrigins bounds what is read of origins, in bytes: some ten million files.
const maxOrigins = 256 << 20

// encode writes a line "package DIGEST" for each package, then one for each
// place: "NUMBER OFFSET", or "-" for one in the packs.
func (o origins) encode() []byte {
	var b bytes.Buffer
	for _, d := range o.packages {
		fmt.Fprintf(&b, "package %s\n", d)
	}
	for _, at := range o.places {
		if at.pkg == inPacks {
			b.WriteString("-\n")
		} else {
			fmt.Fprintf(&b, "%d %d\n", at.pkg, at.offset)
		}
	}
	return b.Bytes()
}

// parseOrigins reads what encode writes.
func parseOrigins(data []byte) (o origins, err error) {
	if len(data) > maxOrigins {
		return o, fmt.Errorf("the list of origins has more than %d bytes", maxOrigins)
	}
	for line := range strings.Lines(string(data)) {
		text, whole := strings.CutSuffix(line, "\n")
		first, second, two := strings.Cut(text, " ")
		switch {
		case !whole:
			err = errors.New("it is cut off")
		case first == "package" && len(o.places) == 0:
			var d lockfile.Digest
			d, err = lockfile.ParseDigest(second)
			o.packages = append(o.packages, d)
		case text == "-":
			o.places = append(o.places, place{pkg: inPacks})
		case two:
			var at place
			at, err = parsePlace(first, second, len(o.packages))
			o.places = append(o.places, at)
		default:
			err = errors.New("it is neither a package nor a place")
		}
		if err != nil {
			return origins{}, fmt.Errorf("the list of origins has a line %.100q: %w", line, err)
		}
	}
	return o, nil
}

func parsePlace(number, offset string, packages int) (place, error) {
	n, err1 := strconv.ParseUint(number, 10, 31)
	at, err2 := strconv.ParseUint(offset, 10, 63)
	switch {
	case err1 != nil || err2 != nil:
		return place{}, errors.New("it has no two numbers")
	case int(n) >= packages:
		return place{}, fmt.Errorf("there are %d packages", packages)
	case at > math.MaxInt64/2: // so that a size can be added
		return place{}, errors.New("no package is that long")
	}
	return place{int(n), int64(at)}, nil
}
