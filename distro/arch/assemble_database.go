package arch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
)

// record is where pacman keeps what it knows of the package.
func (p *parcel) record() string { return localState + "/" + p.Name + "-" + p.Version }

// writeRecord writes what pacman keeps of an installed package besides the
// files that come with it.
func (as *assembling) writeRecord(p *parcel) error {
	return errors.Join(
		as.write(p.record()+"/desc", as.describe(p)),
		as.write(p.record()+"/files", p.describeFiles()),
	)
}

// describe spells the desc of a package in pacman's order.
func (as *assembling) describe(p *parcel) []byte {
	var b bytes.Buffer
	section := func(name string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			fmt.Fprintf(&b, "%%%s%%\n%s\n\n", name, strings.Join(values, "\n"))
		}
	}
	section("NAME", p.Name)
	section("VERSION", p.Version)
	section("BASE", p.Base)
	section("DESC", p.Description)
	section("URL", p.URL)
	section("ARCH", p.Arch)
	if !p.BuildDate.IsZero() {
		section("BUILDDATE", strconv.FormatInt(p.BuildDate.Unix(), 10))
	}
	section("INSTALLDATE", strconv.FormatInt(as.Epoch.Unix(), 10))
	section("PACKAGER", p.Packager)
	if p.InstalledSize > 0 {
		section("SIZE", strconv.FormatInt(p.InstalledSize, 10))
	}
	if as.needed[p.Name] {
		section("REASON", "1")
	}
	section("GROUPS", p.Groups...)
	section("LICENSE", p.Licenses...)
	section("VALIDATION", "sha256")
	section("REPLACES", p.Replaces...)
	section("DEPENDS", p.Depends...)
	section("OPTDEPENDS", p.OptDepends...)
	section("CONFLICTS", p.Conflicts...)
	section("PROVIDES", p.Provides...)
	if as.withXData {
		section("XDATA", p.XData...)
	}
	return b.Bytes()
}

// describeFiles spells the list of files, and the sums of those that people
// change.
func (p *parcel) describeFiles() []byte {
	var b bytes.Buffer
	if files := p.listFiles(); len(files) > 0 {
		fmt.Fprintf(&b, "%%FILES%%\n%s\n\n", strings.Join(files, "\n"))
	}
	if len(p.Backup) > 0 {
		b.WriteString("%BACKUP%\n")
		for _, name := range p.Backup {
			sum := p.backups[name]
			if sum == "" {
				sum = "(null)" // so pacman has it for what the package lacks
			}
			fmt.Fprintf(&b, "%s\t%s\n", name, sum)
		}
		b.WriteString("\n")
	}
	return b.Bytes()
}

// mkdir makes a directory of root's, if it is not there.
func (as *assembling) mkdir(name string, mode uint32) error {
	if _, ok := as.dirs[name]; ok {
		return nil
	}
	as.dirs[name] = mode
	return as.Root.Put(distro.File{Path: name, Type: distro.Directory, Mode: mode, ModTime: as.Epoch}, nil)
}

// write puts a file that belongs to no package.
func (as *assembling) write(name string, text []byte) error {
	return as.Root.Put(distro.File{Path: name, Type: distro.Regular, Mode: 0o644, Size: int64(len(text)), ModTime: as.Epoch}, bytes.NewReader(text))
}

// ids finds the numbers of users or groups in a file of the root, as the
// pacman of that root would.
type ids struct {
	file  string
	known map[string]uint32
}

// maxIDs bounds the file, in bytes: scripts may have written it.
const maxIDs = 16 << 20

// find returns the number of a name, else the one that the package gives.
func (i *ids) find(root distro.Target, name string, number int) (uint32, error) {
	if name == "root" {
		return 0, nil
	}
	if i.known == nil {
		if err := i.read(root); err != nil {
			return 0, err
		}
	}
	if n, ok := i.known[name]; ok && name != "" {
		return n, nil
	}
	if number < 0 || int64(number) >= 1<<32-1 {
		return 0, fmt.Errorf("%d is no number of a user or a group", number)
	}
	return uint32(number), nil
}

func (i *ids) read(root distro.Target) error {
	r, err := root.Read(i.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it may come yet
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
	i.known = map[string]uint32{}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 10, 32); err == nil && n < 1<<32-1 {
			i.known[f[0]] = uint32(n)
		}
	}
	return nil
}
