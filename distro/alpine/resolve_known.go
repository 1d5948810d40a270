package alpine

import (
	"embed"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

//go:embed keys/*.rsa.pub
var builtInKeys embed.FS

// keysOf are the numbers of the keys that sign what Alpine has for an
// architecture.
var keysOf = map[string][]string{
	"aarch64": {"58199dcc", "616ae350"},
	"armhf":   {"524d27bb", "616a9724"},
	"armv7":   {"524d27bb", "616adfeb"},
	"mips64":  {"5e69ca50"},
	"ppc64le": {"58cbb476", "616abc23"},
	"riscv64": {"60ac2099", "616db30d"},
	"s390x":   {"58e4f17d", "616ac3bc"},
	"x86":     {"4a6a0840", "5243ef4b", "61666e3f"},
	"x86_64":  {"4a6a0840", "5261cecb", "6165ee59"},
}

// bases are what a system may have besides the named packages: nothing, what
// Alpine's own images of a minimal root have, or what its installer sets up.
// Names that a branch does not have are left out.
var bases = map[string][]string{
	"none":      nil,
	"essential": {"alpine-baselayout", "alpine-keys", "alpine-release", "apk-tools", "busybox", "libc-utils"},
	"base":      {"alpine-base"},
}

const defaultBase = "essential"

// defaultComponents are the repositories of a branch that a system has.
var defaultComponents = []string{"main", "community"}

// alpineArch is apk's word for an architecture in any usual spelling.
func alpineArch(name string) string {
	switch name {
	case "amd64", "x86-64", "x64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "386", "i386", "i486", "i586", "i686":
		return "x86"
	case "arm", "armv7l", "armv7h":
		return "armv7"
	case "armel", "armv6", "armv6l":
		return "armhf"
	case "ppc64el":
		return "ppc64le"
	case "loong64":
		return "loongarch64"
	}
	return name
}

// branchDir is the name of a branch's directory.
func branchDir(suite string) string {
	if suite != "" && suite[0] >= '0' && suite[0] <= '9' {
		return "v" + suite
	}
	return suite
}

// keyring returns the keys that may sign the indexes for an architecture.
func (r *resolving) keyring(arch string) (*keyring, error) {
	files := r.Keyrings
	if len(files) == 0 {
		if r.Distro != "alpine" {
			return nil, distro.BadRequest("no keys of %s are built in; name each with --keyring", r.Distro)
		}
		if len(keysOf[arch]) == 0 {
			return nil, distro.BadRequest("no key of Alpine for %s is built in; name it with --keyring", arch)
		}
		files = map[string][]byte{}
		for _, number := range keysOf[arch] {
			name := alpineKeyPrefix + number + alpineKeySuffix
			data, err := builtInKeys.ReadFile("keys/" + name)
			if err != nil {
				return nil, err
			}
			files[name] = data
		}
	}
	keys, err := apk.NewKeys(files)
	if err != nil {
		return nil, distro.BadRequest("%v; a key of apk is a file such as %s1234abcd%s, whose name counts", err, "builder@example.org-", alpineKeySuffix)
	}
	return &keyring{Keys: keys, files: files}, nil
}

// repositories lists for each branch and component the places at which it may
// be had, the best first.
func (r *resolving) repositories() ([][]apk.Repository, error) {
	places := slices.Clone(r.mirrors)
	if len(places) == 0 {
		for _, m := range append(slices.Clone(r.Near), Distro{}.Traits().Mirrors...) {
			if m.Archive == knownArchive {
				places = append(places, strings.TrimRight(m.URL, "/"))
			}
		}
	}
	var out [][]apk.Repository
	add := func(bases ...string) error {
		var same []apk.Repository
		for _, base := range bases {
			parsed, err := apk.ParseRepositories("--mirror", []byte(base+"\n"))
			if err != nil || len(parsed) != 1 {
				return distro.BadRequest("%q is no place of a repository", base)
			}
			same = append(same, parsed[0])
		}
		out = append(out, same)
		return nil
	}
	if len(r.Suites) == 0 { // each mirror is a repository
		for _, p := range places {
			if err := add(p); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	for _, suite := range r.Suites {
		for _, component := range r.components {
			var same []string
			for _, p := range places {
				same = append(same, p+"/"+branchDir(suite)+"/"+component)
			}
			if err := add(same...); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
