package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
)

// policy forbids to start services while the root is made; see
// invoke-rc.d(8).
const (
	policyFile = "usr/sbin/policy-rc.d"
	policyText = "#!/bin/sh\nexit 101\n"
)

// begin makes what is there before any package.
func (as *assembling) begin(parcels []*parcel) error {
	if as.merges(parcels) {
		if err := as.merge(parcels); err != nil {
			return err
		}
	}
	for _, dir := range []string{
		"var/lib/dpkg/alternatives", "var/lib/dpkg/info", "var/lib/dpkg/parts", "var/lib/dpkg/triggers",
		"var/lib/dpkg/updates", "var/lib/dpkg/tmp.ci", "usr/sbin",
	} {
		if err := as.mkdir(dir); err != nil {
			return err
		}
	}
	files := map[string]string{
		"var/lib/dpkg/diversions":  "",
		"var/lib/dpkg/info/format": "1\n",
	}
	if archs := archsOf(parcels, as.Lock.System.Arch); len(archs) > 1 {
		files["var/lib/dpkg/arch"] = strings.Join(archs, "\n") + "\n"
	}
	for name, text := range files {
		if err := as.write(name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	if as.Run == nil {
		return nil
	}
	return as.write(policyFile, 0o755, []byte(policyText))
}

// end takes away what was only needed meanwhile.
func (as *assembling) end(context.Context) error {
	if as.Run != nil {
		if err := as.Root.Remove(policyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return as.Root.Remove("var/lib/dpkg/tmp.ci")
}

// archsOf lists those of the packages, the native one first.
func archsOf(parcels []*parcel, native string) []string {
	var out []string
	for _, p := range parcels {
		if a := p.Architecture; a != "all" && a != native && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return append([]string{native}, out...)
}

// merges reports whether /bin and its like are to be links to those in /usr:
// the packages say so, but until 2023 it was for whoever set up the system to
// do it.
func (as *assembling) merges(parcels []*parcel) bool {
	return slices.ContainsFunc(parcels, func(p *parcel) bool { return p.Package == "usr-is-merged" || p.Package == "usrmerge" })
}

// merge makes the links that debootstrap and mmdebstrap make for the
// architecture.
func (as *assembling) merge(parcels []*parcel) error {
	for _, p := range parcels {
		if p.Package == "base-files" && shipsLinks(p) {
			return as.follow()
		}
	}
	dirs := []string{"bin", "lib", "sbin"}
	switch as.Lock.System.Arch {
	case "amd64":
		dirs = append(dirs, "lib32", "lib64", "libx32")
	case "i386":
		dirs = append(dirs, "lib64", "libx32")
	case "ppc64", "ppc64el", "s390x", "loong64", "sparc64":
		dirs = append(dirs, "lib32", "lib64")
	case "mips64el", "mipsel":
		dirs = append(dirs, "lib32", "lib64", "libo32")
	}
	for _, d := range dirs {
		if err := as.mkdir("usr/" + d); err != nil {
			return err
		}
		if err := as.Root.Put(distro.File{Path: d, Type: distro.Symlink, Link: "usr/" + d, ModTime: as.Epoch}, nil); err != nil {
			return err
		}
		as.moved[d] = "usr/" + d
	}
	return nil
}

// shipsLinks reports whether base-files brings the links itself, as it does
// since version 13.
func shipsLinks(p *parcel) bool {
	order, err := CompareVersions(p.Version, "13~")
	return err == nil && order >= 0
}

// follow knows of the links that base-files brings before it has brought them,
// so that a file is found under one name only.
func (as *assembling) follow() error {
	for _, d := range []string{"bin", "lib", "sbin", "lib32", "lib64", "libx32", "libo32"} {
		as.moved[d] = "usr/" + d
	}
	return nil
}

// real is where a path of a package leads: merged directories are followed.
func (as *assembling) real(name string) string {
	first, rest, deeper := strings.Cut(name, "/")
	if to, ok := as.moved[first]; ok && deeper {
		return to + "/" + rest
	}
	return name
}

// mkdir makes a directory and those above it, which no package has given
// attributes yet.
func (as *assembling) mkdir(name string) error {
	if name == "." || name == "" || as.dirs[as.real(name)] {
		return nil
	}
	if err := as.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if f, err := as.Root.Stat(name); err == nil && (f.Type == distro.Directory || f.Type == distro.Symlink) {
		return nil
	}
	return as.Root.Put(distro.File{Path: name, Type: distro.Directory, Mode: 0o755, ModTime: as.Epoch}, nil)
}

// write puts a file that belongs to no package.
func (as *assembling) write(name string, mode uint32, text []byte) error {
	return as.Root.Put(distro.File{Path: name, Type: distro.Regular, Mode: mode, Size: int64(len(text)), ModTime: as.Epoch}, bytes.NewReader(text))
}

// maxDatabaseFile bounds the files of the root that are read back: scripts may
// have written them.
const maxDatabaseFile = 256 << 20

// read reads a file of the root; one that is not there is empty.
func (as *assembling) read(name string) ([]byte, error) {
	r, err := as.Root.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxDatabaseFile+1))
	if err == nil && len(data) > maxDatabaseFile {
		err = fmt.Errorf("/%s has more than %d bytes", name, maxDatabaseFile)
	}
	return data, err
}

// people are the numbers of the root's users and groups, by name.
type people struct{ users, groups map[string]uint32 }

func (as *assembling) readPeople() error {
	ids := func(name string) (map[string]uint32, error) {
		data, err := as.read(name)
		out := map[string]uint32{}
		for line := range strings.Lines(string(data)) {
			f := strings.Split(line, ":")
			if len(f) < 3 {
				continue
			}
			if n, err := strconv.ParseUint(f[2], 10, 32); err == nil {
				out[f[0]] = uint32(n)
			}
		}
		return out, err
	}
	var err error
	if as.people.users, err = ids("etc/passwd"); err != nil {
		return err
	}
	as.people.groups, err = ids("etc/group")
	return err
}
