package fedora

import (
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

// reason says why a package could not be located.
func (l *locating) reason(p distro.Package) distro.Reason {
	var r distro.Reason
	offers := l.offers(p)
	switch {
	case len(l.s.config.repos) == 0:
		r.Kind = "no repository is configured"
	case slices.ContainsFunc(offers, func(o string) bool { return strings.HasSuffix(o, " "+p.Version) }):
		r.Kind = "the file that the repositories have is not the one that is installed"
	case len(offers) > 0:
		r = distro.Reason{Kind: "the repositories offer other versions now", Detail: strings.Join(offers, ", ")}
	case len(l.catalog.indexes) == 0:
		r.Kind = "no index could be read"
	case len(l.catalog.unused) > 0:
		r.Kind = "no index that could be read has this name"
	default:
		r.Kind = "no configured repository has this name; it may have been installed by hand from an .rpm file"
	}
	if more, ok := l.reasons[p]; ok {
		if r.Detail != "" {
			r.Detail += "; "
		}
		r.Detail += more
	}
	return r
}

// offers says what the indexes have of a package, each repository once and in
// a fixed order.
func (l *locating) offers(p distro.Package) []string {
	var out []string
	for _, x := range l.catalog.indexes {
		for _, r := range x.records {
			if r.Name == p.Name && (r.Arch == p.Arch || r.Arch == "noarch" || p.Arch == "noarch") {
				out = append(out, fmt.Sprintf("%s offers %s", x.repo.ID, evr(r.NEVRA)))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hints says what would help to find what is left.
func (l *locating) hints() []string {
	var out []string
	switch {
	case l.catalog.absent && l.req.Fetcher == nil:
		out = append(out, "metadata is not on disk: run without --offline to have it fetched, or dnf makecache in the root first")
	case len(l.catalog.unused) > 0:
		out = append(out, fmt.Sprintf("some repositories could not be used: %s", strings.Join(slices.Sorted(slices.Values(l.catalog.unused)), ", ")))
	case !l.req.Fresh && l.req.Fetcher != nil && slices.ContainsFunc(l.left, func(p distro.Package) bool { return len(l.offers(p)) == 0 }):
		out = append(out, "the metadata on disk may be old: run with --update to have fresh metadata fetched")
	}
	switch {
	case l.req.Fetcher == nil:
		out = append(out, "versions that the repositories have dropped can be had from Fedora's build system: run without --offline")
	case !l.req.Snapshots:
		out = append(out, "versions that the repositories have dropped can be had from Fedora's build system: run without --no-snapshot")
	}
	return append(out, "an .rpm file of the installed version in a directory that --packages names is found there")
}
