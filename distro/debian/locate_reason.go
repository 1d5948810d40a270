package debian

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
	case len(offers) > 0:
		r = distro.Reason{Kind: "the archives offer other versions now", Detail: strings.Join(offers, ", ")}
	case len(l.catalog.indexes) == 0:
		r.Kind = "no index could be read"
	case len(l.catalog.unused) > 0:
		r.Kind = "no index that could be read has this name"
	default:
		r.Kind = "no configured archive has this name; it may have been installed by hand from a .deb file"
	}
	if more, ok := l.reasons[p]; ok {
		r.Kind += "; " + more
	}
	return r
}

// offers says what the indexes have of a package at other versions, each suite
// once and in a fixed order.
func (l *locating) offers(p distro.Package) []string {
	var out []string
	for _, x := range l.catalog.indexes {
		for _, r := range x.records {
			if r.Name == p.Name && (r.Arch == p.Arch || r.Arch == "all" || p.Arch == "all") {
				out = append(out, fmt.Sprintf("%s offers %s", x.suite(), r.Version))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hints says what would help to find what is left.
func (l *locating) hints(req distro.LocateRequest) []string {
	var out []string
	switch {
	case l.catalog.absent && req.Fetcher == nil:
		out = append(out, "the lists on disk are absent: run without --offline to have the indexes fetched, or apt-get update first")
	case l.catalog.absent, len(l.catalog.unused) > 0:
		out = append(out, "some indexes could not be used: run apt-get update, or with --update to have them fetched")
	case !req.Fresh && req.Fetcher != nil && l.nothingOffered():
		out = append(out, "the lists on disk may be old: run with --update to have fresh indexes fetched")
	}
	switch {
	case req.Fetcher == nil:
		out = append(out, "versions that archives have dropped can be had from snapshot archives: run without --offline")
	case !req.Snapshots:
		out = append(out, "versions that archives have dropped can be had from snapshot archives: run without --no-snapshot")
	}
	if l.nothingOffered() {
		out = append(out, "what came from an archive that is no more in apt's sources is found once it is configured again, with its key")
	}
	return append(out, fmt.Sprintf("a .deb file of the installed version is found in /%s, and in a directory that --packages names", l.s.Config.ArchivesDir))
}

// nothingOffered reports whether some package that is left is in no index at
// any version.
func (l *locating) nothingOffered() bool {
	return slices.ContainsFunc(l.left, func(p distro.Package) bool { return len(l.offers(p)) == 0 })
}
