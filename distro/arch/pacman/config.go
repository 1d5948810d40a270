package pacman

import "strings"

// A Config is what a pacman.conf and what it includes say. Paths are those of
// the file, or pacman's defaults; where only RootDir is given, DBPath is below
// it, as for pacman.
type Config struct {
	// Architectures are those whose packages may be installed, the first of
	// them the one that servers are asked for. "auto" stands for the
	// machine's own and is for the caller to replace.
	Architectures           []string
	RootDir, DBPath, GPGDir string
	CacheDirs               []string
	IgnorePkg, IgnoreGroup  []string
	HoldPkg                 []string
	SigLevel                SigLevel
	LocalFileSigLevel       SigLevel
	RemoteFileSigLevel      SigLevel
	Repositories            []Repository // in the order in which they count
}

// Usage says what a repository is for.
type Usage int

// The uses of a repository, and all of them, which is the default.
const (
	UsageSync Usage = 1 << iota
	UsageSearch
	UsageInstall
	UsageUpgrade

	UsageAll = UsageSync | UsageSearch | UsageInstall | UsageUpgrade
)

// A Repository is a section of a pacman.conf.
type Repository struct {
	Name string
	// Servers and CacheServers are as configured, with $repo and $arch.
	Servers, CacheServers []string
	SigLevel              SigLevel
	Usage                 Usage
}

// Server returns the URLs of the servers for an architecture, without a slash
// at the end.
func (r Repository) Server(arch string) []string { return r.expand(r.Servers, arch) }

// CacheServer is as Server, for those that have packages alone: they are asked
// first, and one that does not have a file does no harm.
func (r Repository) CacheServer(arch string) []string { return r.expand(r.CacheServers, arch) }

func (r Repository) expand(urls []string, arch string) []string {
	replace := strings.NewReplacer("$repo", r.Name, "$arch", arch)
	out := make([]string, 0, len(urls))
	for _, u := range urls {
		out = append(out, strings.TrimRight(replace.Replace(u), "/"))
	}
	return out
}
