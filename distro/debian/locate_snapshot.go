package debian

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/debian/snapshot"
	"github.com/samebits/samebits/lockfile"
)

// Bounds on what public snapshot archives are asked in one run.
const (
	maxSnapshotRequests = 150
	// earlyRequests is how many of them may go to looking into the past by
	// itself, so that some are left to ask for packages by name.
	earlyRequests = 100
	// maxWalk is how many states before a known one are looked at for each
	// suite. A stable suite has some four a year.
	maxWalk = 8
	// maxTimes is how many install times are tried for each suite.
	maxTimes = 8
	// maxFailures is how often a service may fail before it is left alone.
	maxFailures = 3
)

// A pastSuite is a suite of which the states of the past may be of use.
type pastSuite struct {
	repo apt.Repository
	// keys may sign it, now as then.
	keys *archive.Keys
	// now is its current state, nil where that is not known.
	now *archive.Release
}

// A pastRecord is a package found in a signed index of the past.
type pastRecord struct {
	archive.Record
	release *archive.Release
	archive lockfile.Archive
}

// searchPast looks for packages in signed indexes of the past. Their install
// times are the first hint where to look; then come the states before those
// that were seen, and last what the services' machine-readable interface
// tells. It returns what was found, and why the others were not.
func (s *System) searchPast(ctx context.Context, req distro.LocateRequest, packages []distro.Package, suites []pastSuite) (map[distro.Package]pastRecord, map[distro.Package]string) {
	keepers := req.Keepers
	if len(keepers) == 0 {
		keepers = Distro{}.Traits().Mirrors
	}
	h := newHunt(s.events, snapshot.NewClient(req.Fetcher, maxSnapshotRequests), s.Config.Native(), packages)
	h.watch(keepers, suites)
	if len(h.suites) == 0 || len(packages) == 0 {
		return nil, h.reasons
	}
	h.events.Stepping(fmt.Sprintf("asking %s for %s, in no current index; it is slow and shared by all, so this is done gently. A mirror of one's own, or keeping the .deb files, would spare it", h.hosts(), distro.CountPackages(len(packages))))
	h.run(ctx, s.installTimes(packages))
	return h.found, h.reasons
}

// installTimes returns when dpkg wrote the file lists of the packages, the
// times that most packages share first. Container images have them set to the
// time that the image was made for, which serves as well.
func (s *System) installTimes(packages []distro.Package) []time.Time {
	// One run of a package manager takes minutes, and one state serves it: the
	// one when it ended.
	type run struct {
		count int
		end   time.Time
	}
	runs := map[time.Time]run{}
	for _, p := range packages {
		for _, name := range []string{p.Name, p.Name + ":" + p.Arch} {
			info, err := s.Files.Stat("var/lib/dpkg/info/" + name + ".list")
			if err != nil {
				continue
			}
			at := info.ModTime().UTC()
			r := runs[at.Truncate(time.Hour)]
			r.count++
			if at.After(r.end) {
				r.end = at
			}
			runs[at.Truncate(time.Hour)] = r
			break
		}
	}
	ordered := slices.SortedFunc(maps.Values(runs), func(a, b run) int {
		return cmp.Or(b.count-a.count, b.end.Compare(a.end))
	})
	var times []time.Time
	for _, r := range ordered {
		times = append(times, r.end)
	}
	return times
}

// A watched suite is one for which there is a service.
type watched struct {
	pastSuite
	name    string // below dists, by code name
	service *snapshot.Service
	states  []interval
	tried   []time.Time // at which there was nothing that could be used
	ended   bool        // there is no going back beyond the oldest state
}

// An interval is a time in which a suite did not change, as far as the service
// knows: from the Date of its Release to the time at which that was asked for.
type interval struct{ from, to time.Time }

// servedBy reports whether the service keeps the archive of the suite: by the
// archive's name, or where that is not known by the last part of its URL.
func (p pastSuite) servedBy(service *snapshot.Service) bool {
	if p.now != nil && service.Archive != "" {
		return p.now.Archive() == service.Archive
	}
	dir := strings.TrimRight(p.repo.URI, "/")
	return dir[strings.LastIndexByte(dir, '/')+1:] == service.Name()
}

// suiteOfThen returns the name by which to ask for a suite of the past. Names
// such as "stable" stood for another release then, so the code name takes
// their place.
func suiteOfThen(suite string, now *archive.Release) string {
	alias, rest := suite, ""
	if i := strings.IndexAny(suite, "-/"); i >= 0 {
		alias, rest = suite[:i], suite[i:]
	}
	if now == nil || now.Codename == "" || !slices.Contains([]string{"stable", "oldstable", "oldoldstable", "testing", "unstable"}, alias) {
		return suite
	}
	codename, _, _ := strings.Cut(now.Codename, "-")
	return codename + rest
}

// oldest returns the Date of the oldest state that is known, zero for none.
func (w *watched) oldest() time.Time {
	var t time.Time
	if w.now != nil {
		t = w.now.Date
	}
	for _, s := range w.states {
		if t.IsZero() || s.from.Before(t) {
			t = s.from
		}
	}
	return t
}

// knows reports whether the suite as of the time t was looked at. Its current
// state was before the search began.
func (w *watched) knows(t time.Time) bool {
	return w.now != nil && !t.Before(w.now.Date) ||
		slices.ContainsFunc(w.states, func(s interval) bool { return !t.Before(s.from) && !t.After(s.to) }) ||
		slices.ContainsFunc(w.tried, t.Equal)
}
