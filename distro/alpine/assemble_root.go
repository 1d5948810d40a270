package alpine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
)

// A dir is a directory that packages have.
type dir struct {
	// isOurs says that a package has made it. One that was there before, such
	// as those that apk itself makes, keeps its attributes.
	isOurs bool
	seen   bool
	wants  []*ownedDir // in the order of the packages
}

// own notes a directory of a package for the database.
func (as *assembling) own(p *parcel, name string) *ownedDir {
	d := &ownedDir{name: name, acl: defaultDir}
	p.dirs = append(p.dirs, d)
	p.byDir[name] = d
	for at := name; ; at, _ = splitPath(at) {
		if as.dirs[at] == nil {
			as.dirs[at] = &dir{}
		}
		if at == "" {
			break
		}
	}
	as.dirs[name].wants = append(as.dirs[name].wants, d)
	return d
}

// directory makes a directory if it is not there. It gets its owner and final
// mode when all packages that have it are unpacked.
func (as *assembling) directory(p *parcel, f distro.File) error {
	d := p.byDir[f.Path]
	if d == nil {
		d = as.own(p, f.Path)
	}
	d.acl = aclOf(f)
	state := as.dirs[f.Path]
	if state.seen {
		return nil
	}
	state.seen = true
	if !as.lent[f.Path] {
		if _, err := as.Root.Stat(f.Path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	delete(as.lent, f.Path)
	state.isOurs = true
	return as.mkdir(f.Path, f.Mode&0o1777) // as mkdir(2) does
}

// mendDirectories gives the directories that packages have made the owner and
// the mode that these agree on: the owner of the lowest number, and of those
// who want that one, what all their modes allow.
func (as *assembling) mendDirectories() error {
	for _, name := range slices.Sorted(maps.Keys(as.dirs)) {
		state := as.dirs[name]
		if !state.isOurs {
			continue
		}
		want := state.wants[0].acl
		for _, d := range state.wants[1:] {
			a := d.acl
			switch {
			case a.uid < want.uid || a.uid == want.uid && a.gid < want.gid:
				want = a
			case a.uid == want.uid && a.gid == want.gid:
				want.mode &= a.mode
			}
		}
		is, err := as.Root.Stat(name)
		if err != nil || is.Type != distro.Directory || is.Mode == want.mode && is.UID == want.uid && is.GID == want.gid {
			continue // a script has removed or replaced it, or all is well
		}
		is.Mode, is.UID, is.GID = want.mode, want.uid, want.gid
		if err := as.Root.Put(is, nil); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes a directory of root's.
func (as *assembling) mkdir(name string, mode uint32) error {
	return as.Root.Put(distro.File{Path: name, Type: distro.Directory, Mode: mode, ModTime: as.Epoch}, nil)
}

// write puts a file that belongs to no package.
func (as *assembling) write(name string, mode uint32, text []byte) error {
	return as.Root.Put(distro.File{Path: name, Type: distro.Regular, Mode: mode, Size: int64(len(text)), ModTime: as.Epoch}, bytes.NewReader(text))
}

// ids finds the numbers of users or groups in a file of the root. As with apk,
// the file is not read again for a name until a script has run.
type ids struct {
	file  string
	known map[string]uint32
	asked map[string]bool
}

// maxIDs bounds the file: scripts may have written it.
const maxIDs = 16 << 20

// find returns the number of a name, else the one that the package gives.
func (i *ids) find(root distro.Target, name string, number int) (uint32, error) {
	if name != "" && !i.asked[name] {
		if err := i.read(root, name); err != nil {
			return 0, err
		}
	}
	if n, ok := i.known[name]; ok {
		return n, nil
	}
	if number < 0 || int64(number) >= 1<<32-1 {
		return 0, fmt.Errorf("%d is no number of a user or a group", number)
	}
	return uint32(number), nil
}

func (i *ids) read(root distro.Target, name string) error {
	if i.asked == nil {
		i.asked, i.known = map[string]bool{}, map[string]uint32{}
	}
	i.asked[name] = true
	r, err := root.Read(i.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxIDs+1))
	if err == nil && len(data) > maxIDs {
		err = fmt.Errorf("/%s has more than %d bytes", i.file, maxIDs)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, ":")
		if len(f) < 3 || f[0] != name {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(f[2]), 10, 32); err == nil && n < 1<<32-1 {
			i.known[name] = uint32(n)
			return nil
		}
	}
	return nil
}

// forget has the files read again, which a script may have changed.
func (i *ids) forget() { i.known, i.asked = nil, nil }
