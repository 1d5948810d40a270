package fedora

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/distro/rootfs"
)

// cacheDirs are the directories in which dnf 4, dnf 5, microdnf, zypper and
// yum have a directory for each repository, relative to a root.
func (s *System) cacheDirs() []string {
	dirs := []string{"var/cache/libdnf5", "var/cache/dnf", "var/cache/yum/metadata", "var/cache/zypp/raw", "var/cache/zypp/packages"}
	if d := strings.Trim(s.config.main.CacheDir, "/"); d != "" && !slices.Contains(dirs, d) {
		dirs = append([]string{d}, dirs...)
	}
	// yum: var/cache/yum/x86_64/7
	for _, arch := range subdirs(s.Files, "var/cache/yum") {
		dirs = append(dirs, subdirs(s.Files, arch)...)
	}
	return dirs
}

// subdirs lists what is in a directory, by path.
func subdirs(files *rootfs.Root, dir string) []string {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil // mostly since there is none
	}
	var out []string
	for _, e := range entries {
		out = append(out, path.Join(dir, e.Name()))
	}
	return out
}

// ofRepo reports whether a directory of a cache is that of a repository: its
// name, and behind it a hash of its configuration or what else sets it apart.
func ofRepo(dir, id string) bool {
	rest, ok := strings.CutPrefix(dir, id)
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	hash, ok := strings.CutPrefix(rest, "-")
	return ok && len(hash) == 16 && strings.Trim(hash, "0123456789abcdef") == ""
}

// repoDirs are the directories of a repository in all caches of the root.
func (s *System) repoDirs(id string) []string {
	var out []string
	for _, cache := range s.cacheDirs() {
		for _, dir := range subdirs(s.Files, cache) {
			if ofRepo(path.Base(dir), id) {
				out = append(out, dir)
			}
		}
	}
	return out
}

// A copyOnDisk is the metadata of a repository in a cache.
type copyOnDisk struct {
	dir, repodata string
	repomd        []byte
	revision      int64
}

// diskIndex reads the newest metadata of a repository that the root has and
// that can be used.
func (s *System) diskIndex(r *repo, want wanted) (*index, error) {
	var copies []copyOnDisk
	for _, dir := range s.repoDirs(r.ID) {
		for _, repodata := range []string{path.Join(dir, "repodata"), dir} {
			data, err := s.Files.ReadFile(path.Join(repodata, "repomd.xml"), yum.MaxRepomd)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			copies = append(copies, copyOnDisk{dir, repodata, data, revision(data)})
			break
		}
	}
	if len(copies) == 0 {
		return nil, errNoIndex
	}
	slices.SortStableFunc(copies, func(a, b copyOnDisk) int { return cmp.Compare(b.revision, a.revision) })
	var errs []error
	for _, c := range copies {
		x, err := s.readCopy(r, c, want)
		if err == nil {
			return x, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.Files.Join(c.repodata), err))
	}
	return nil, errors.Join(errs...)
}

// revision is that of a repomd.xml, mostly a time, to tell which is newer; 0
// where it is no number.
func revision(repomd []byte) int64 {
	m, err := yum.ParseRepomd(bytes.NewReader(repomd))
	if err != nil {
		return 0
	}
	if n, err := strconv.ParseInt(m.Revision, 10, 64); err == nil {
		return n
	}
	return max(0, m.Newest().Unix())
}

func (s *System) readCopy(r *repo, c copyOnDisk, want wanted) (*index, error) {
	signature, err := s.Files.ReadFile(path.Join(c.repodata, "repomd.xml.asc"), yum.MaxRepomd)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	x, err := readIndex(r, metadata{repomd: c.repomd, signature: signature, open: func(f yum.DataFile) (io.ReadCloser, error) {
		return s.Files.Open(path.Join(c.repodata, path.Base(f.Location)))
	}}, want)
	if err != nil {
		return nil, notAbsent(err)
	}
	x.mirrors = s.mirrorsOnDisk(c.dir)
	return x, nil
}

// notAbsent keeps a file that is gone from being taken for a repository that
// was never there.
func notAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}

// mirrorsOnDisk reads the mirrors that dnf keeps beside the metadata. They are
// a convenience: what cannot be read is let be.
func (s *System) mirrorsOnDisk(dir string) []string {
	if data, err := s.Files.ReadFile(path.Join(dir, "metalink.xml"), yum.MaxRepomd); err == nil {
		if m, err := yum.ParseMetalink(bytes.NewReader(data)); err == nil {
			return bases(m)
		}
	}
	if data, err := s.Files.ReadFile(path.Join(dir, "mirrorlist"), yum.MaxRepomd); err == nil {
		if list, err := yum.ParseMirrorList(bytes.NewReader(data)); err == nil {
			return list
		}
	}
	return nil
}

func bases(m *yum.Metalink) []string {
	var out []string
	for _, mirror := range m.Mirrors {
		out = append(out, mirror.Base)
	}
	return out
}
