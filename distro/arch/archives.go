package arch

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

// The names that locks have for archives with many mirrors.
const (
	archLinux    = "Arch-Linux"
	archLinuxARM = "Arch-Linux-ARM"
)

// A family of mirrors serves repositories under one layout.
type publisher struct {
	archive string
	layout  string // with $repo and $arch
	// repositories are those that it publishes.
	repositories []string
}

var arch64 = publisher{archLinux, "$repo/os/$arch", []string{
	"core", "extra", "multilib", "community",
	"core-testing", "extra-testing", "multilib-testing", "testing", "community-testing",
	"core-staging", "extra-staging", "multilib-staging", "staging", "community-staging",
	"gnome-unstable", "kde-unstable",
}}

// publishers are those of derivatives which do not use the repositories of
// Arch Linux itself, by their IDs of os-release.
var publishers = map[string]publisher{
	"archarm":     {archLinuxARM, "$arch/$repo", []string{"core", "extra", "community", "alarm", "aur"}},
	"manjaro":     {"Manjaro", "$repo/$arch", []string{"core", "extra", "multilib", "community"}},
	"manjaro-arm": {"Manjaro-ARM", "$repo/$arch", []string{"core", "extra", "community", "mobile"}},
	"parabola":    {"Parabola", "$repo/os/$arch", []string{"libre", "core", "extra", "community", "multilib", "pcr"}},
	"artix":       {"Artix", "$repo/os/$arch", []string{"system", "world", "galaxy", "lib32"}},
	"steamos":     {"SteamOS", "$repo/os/$arch", nil},
	"arch32":      {"Arch-Linux-32", "$arch/$repo", []string{"core", "extra", "community"}},
}

// publisher returns who publishes the repositories that have no name of their
// own.
func (s *System) publisher() publisher {
	if p, ok := publishers[s.id.Distro]; ok {
		return p
	}
	return arch64
}

// A home is where a repository lies: in which archive, and in which folder of
// it.
type home struct {
	archive lockfile.Archive
	folder  string
}

// homeOf tells the home of a repository. That of a repository that is
// published on many mirrors does not depend on the mirror; any other carries
// the URL of its first server.
func (s *System) homeOf(repo *pacman.Repository) home {
	if p := s.publisher(); slices.Contains(p.repositories, repo.Name) {
		h := home{lockfile.Archive{Name: p.archive}, s.expand(p.layout, repo.Name)}
		if !isKnownArchive(p.archive) && len(repo.Servers) > 0 {
			h.archive.URL, _ = s.split(repo.Servers[0], repo.Name)
		}
		return h
	}
	h := home{archive: lockfile.Archive{Name: lockfile.ArchiveName(repo.Name, "")}}
	if len(repo.Servers) > 0 {
		h.archive.URL, h.folder = s.split(repo.Servers[0], repo.Name)
	}
	if isKnownArchive(h.archive.Name) {
		h.archive.Name += "-" // not the one that everyone knows by that name
	}
	return h
}

// path returns the path of a file in the home.
func (h home) path(file string) string { return path.Join(h.folder, file) }

func isKnownArchive(name string) bool {
	return slices.ContainsFunc(Distro{}.Traits().Mirrors, func(m distro.Mirror) bool { return m.Archive == name })
}

func (s *System) expand(text, repo string) string {
	return strings.NewReplacer("$repo", repo, "$arch", s.id.Arch).Replace(text)
}

// split parts the URL of a server into the archive's base, without user and
// password, and the folder of the repository: what begins with the first
// element that differs between repositories or architectures.
func (s *System) split(server, repo string) (base, folder string) {
	u, err := url.Parse(server)
	if err != nil {
		return "", ""
	}
	elements := strings.Split(strings.Trim(u.Path, "/"), "/")
	i := slices.IndexFunc(elements, func(e string) bool { return strings.Contains(e, "$") })
	if i < 0 {
		i = len(elements)
	}
	if p := s.publisher(); i == len(elements) && slices.Contains(p.repositories, repo) {
		// A server written out, without variables.
		layout := strings.Split(s.expand(p.layout, repo), "/")
		if n := len(elements) - len(layout); n >= 0 && slices.Equal(elements[n:], layout) {
			i = n
		}
	}
	folder = path.Clean(s.expand(strings.Join(elements[i:], "/"), repo))
	if folder == "." {
		folder = ""
	}
	u.User = nil
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	u.Path, u.RawPath = "/"+strings.Join(elements[:i], "/"), ""
	if lockfile.CheckPath(folder) != nil {
		return strings.TrimRight(u.String(), "/"), ""
	}
	return strings.TrimRight(u.String(), "/"), folder
}

// maxServers is how many servers of a repository are asked. Lists of mirrors
// can have hundreds, and whoever is there has what is there.
const maxServers = 5

// servers returns the URLs of a repository's folders, the first to ask first.
func (s *System) servers(repo *pacman.Repository, packages bool) []string {
	var out []string
	if packages {
		out = repo.CacheServer(s.id.Arch)
	}
	out = append(out, repo.Server(s.id.Arch)...)
	return out[:min(len(out), maxServers)]
}

// Access tells what pacman's configuration says of the network: of each
// repository the first servers, with the folder of the repository left off.
func (s *System) Access() distro.Access {
	var access distro.Access
	for i := range s.Config.Repositories {
		repo := &s.Config.Repositories[i]
		h := s.homeOf(repo)
		servers := slices.Concat(repo.CacheServers, repo.Servers)
		for _, server := range servers[:min(len(servers), maxServers)] {
			base, folder := s.split(server, repo.Name)
			if base == "" {
				continue
			}
			m := distro.Mirror{Archive: h.archive.Name, URL: withLogin(base, server)}
			if folder != h.folder {
				// Laid out in another way: only the file's own name helps.
				m.URL = strings.TrimRight(withLogin(s.expand(server, repo.Name), server), "/") + "/{{.Basename}}"
			}
			if !slices.Contains(access.Mirrors, m) {
				access.Mirrors = append(access.Mirrors, m)
			}
		}
	}
	return access
}

// withLogin puts the user and password of a server's URL into another.
func withLogin(base, server string) string {
	from, err := url.Parse(server)
	if err != nil || from.User == nil {
		return base
	}
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	u.User = from.User
	return u.String()
}
