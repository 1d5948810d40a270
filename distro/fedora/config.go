package fedora

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Places of the configuration, relative to a root.
var (
	mainFiles = []string{"etc/dnf/dnf.conf", "etc/yum.conf"}
	repoDirs  = []string{"etc/yum.repos.d", "etc/yum/repos.d", "etc/distro.repos.d", "etc/zypp/repos.d"}
	varDirs   = []string{"etc/yum/vars", "etc/dnf/vars"}
)

// installOnly is what may be installed in several versions at once: dnf's own
// list of names and capabilities.
var installOnly = []string{
	"kernel", "kernel-PAE", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "installonlypkg(vm)", "multiversion(kernel)",
}

const maxConfigFile = 4 << 20

// A config is what a root says of its repositories.
type config struct {
	main        yum.Main
	repos       []repo
	installOnly []string
	keys        *rpm.Keyring // that may sign packages
}

// A repo is a repository that is enabled.
type repo struct {
	yum.Repo
	archive lockfile.Archive // URL is empty where it is generally known
	path    string           // of the repository below the archive's root
	keys    *rpm.Keyring     // that may sign its index
	// packageKeys may sign its packages: what rpm knows already, too.
	packageKeys *rpm.Keyring
}

// loadConfig reads the configuration of a root.
func loadConfig(files *rootfs.Root, all []*rpmdb.Package, id lockfile.System, events *distro.Events) (*config, error) {
	c := &config{installOnly: installOnly}
	var armored [][]byte
	for _, p := range all {
		if p.IsKey() {
			armored = append(armored, p.Key())
		}
	}
	imported := loadKeys(armored, func(err error) {
		events.Warning(fmt.Sprintf("a key that %s has imported is not used: %v", files.Path(), err))
	})
	vars := yum.NewVars(id.Arch, releaseVersion(all, id))
	for _, name := range mainFiles {
		data, err := files.ReadFile(name, maxConfigFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.main, err = yum.ParseMain(files.Join(name), data, vars); err != nil {
			return nil, err
		}
		break
	}
	if err := readVars(files, orElse(c.main.VarsDirs, varDirs), vars); err != nil {
		return nil, err
	}
	repos, err := c.readRepos(files, vars)
	if err != nil {
		return nil, err
	}
	c.keys = imported
	for _, r := range repos {
		if !r.Enabled {
			continue
		}
		one := newRepo(files, r, vars["basearch"], imported, events)
		c.repos = append(c.repos, one)
		if r.GPGCheck {
			c.keys = rpm.Join(c.keys, one.packageKeys)
		}
	}
	return c, nil
}

func orElse(configured, usual []string) []string {
	if len(configured) > 0 {
		return configured
	}
	return usual
}

// releaseVersion is what dnf replaces $releasever by: the version of the
// package that says that it is the distribution's release.
func releaseVersion(all []*rpmdb.Package, id lockfile.System) string {
	for _, name := range []string{"system-release(releasever)", "system-release", "distribution-release(releasever)", "distribution-release", "redhat-release", "suse-release"} {
		for _, p := range all {
			for _, d := range p.Provides() {
				switch {
				case d.Name != name:
				case strings.HasSuffix(name, ")") && d.EVR != "":
					return d.EVR
				default:
					return p.Version
				}
			}
		}
	}
	return id.Version
}

func readVars(files *rootfs.Root, dirs []string, vars yum.Vars) error {
	for _, dir := range dirs {
		entries, err := files.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			data, err := files.ReadFile(path.Join(dir, e.Name()), maxConfigFile)
			if err != nil {
				return err
			}
			if err := vars.Set(e.Name(), data); err != nil {
				return fmt.Errorf("%s: %w", files.Join(path.Join(dir, e.Name())), err)
			}
		}
	}
	return nil
}

// readRepos reads all repository files, sorted by name within each directory.
// Of two repositories with one name the first counts.
func (c *config) readRepos(files *rootfs.Root, vars yum.Vars) ([]yum.Repo, error) {
	var out []yum.Repo
	for _, dir := range orElse(c.main.ReposDirs, repoDirs) {
		entries, err := files.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".repo") {
				continue
			}
			name := path.Join(dir, e.Name())
			data, err := files.ReadFile(name, maxConfigFile)
			if err != nil {
				return nil, err
			}
			repos, err := c.main.ParseRepos(files.Join(name), data, vars)
			if err != nil {
				return nil, err
			}
			for _, r := range repos {
				if !slices.ContainsFunc(out, func(o yum.Repo) bool { return o.ID == r.ID }) {
					out = append(out, r)
				}
			}
		}
	}
	return out, nil
}

// newRepo finds out what a repository is called and who may sign it.
func newRepo(files *rootfs.Root, r yum.Repo, arch string, imported *rpm.Keyring, events *distro.Events) repo {
	out := repo{Repo: r}
	out.archive.Name = lockfile.ArchiveName(r.ID, "")
	for _, u := range append([]string{r.Metalink, r.MirrorList}, r.BaseURLs...) {
		if archive, path, ok := knownArchive(u, arch); ok && u != "" {
			out.archive.Name, out.path = archive, path
			break
		}
	}
	if out.path == "" && len(r.BaseURLs) > 0 {
		out.archive.URL = strings.TrimSuffix(withoutLogin(r.BaseURLs[0]), "/")
	}
	warn := func(err error) {
		events.Warning(fmt.Sprintf("a key of the repository %s is not used: %v", r.ID, err))
	}
	var keys [][]byte
	for _, k := range r.GPGKeys {
		u, err := url.Parse(k)
		switch {
		case err != nil:
			warn(err)
		case u.Scheme == "file" || u.Scheme == "":
			data, err := files.ReadFile(u.Path, maxConfigFile)
			if err != nil {
				warn(err)
				continue
			}
			keys = append(keys, data)
		}
		// Keys that are only on the network are trusted once rpm has imported
		// them, which asks a person.
	}
	own := loadKeys(keys, warn)
	out.keys, out.packageKeys = own, rpm.Join(own, imported)
	if len(r.GPGKeys) == 0 || len(keys) == 0 {
		out.keys = imported
	}
	return out
}

// loadKeys reads what can be read of files of keys.
func loadKeys(files [][]byte, warn func(error)) *rpm.Keyring {
	out := &rpm.Keyring{}
	for _, f := range files {
		k, err := rpm.LoadKeys(f)
		if err != nil {
			warn(err)
			continue
		}
		out = rpm.Join(out, k)
	}
	return out
}

// withoutLogin drops user and password from a URL: a lock is for everyone.
func withoutLogin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.User == nil {
		return rawURL
	}
	u.User = nil
	return u.String()
}

// Access tells where the configuration's repositories are. Mirror lists name
// others, which are asked for when metadata is.
func (s *System) Access() distro.Access {
	var access distro.Access
	for _, r := range s.config.repos {
		for _, base := range r.BaseURLs {
			base = strings.TrimSuffix(base, "/")
			if r.path != "" {
				root, ok := strings.CutSuffix(base, "/"+r.path)
				if !ok {
					continue
				}
				base = root
			}
			if m := (distro.Mirror{Archive: r.archive.Name, URL: base}); !slices.Contains(access.Mirrors, m) {
				access.Mirrors = append(access.Mirrors, m)
			}
		}
	}
	return access
}
