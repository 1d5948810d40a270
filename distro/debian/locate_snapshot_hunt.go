package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/debian/snapshot"
	"github.com/samebits/samebits/lockfile"
)

// A hunt is one search.
type hunt struct {
	events  *distro.Events
	client  *snapshot.Client
	native  string
	suites  []*watched
	others  []*watched       // looked at on a hint only
	left    []distro.Package // sorted
	found   map[distro.Package]pastRecord
	reasons map[distro.Package]string
	read    map[lockfile.Digest]bool // indexes that were looked into
	trouble map[string]int           // failures by host
}

func newHunt(events *distro.Events, client *snapshot.Client, native string, packages []distro.Package) *hunt {
	h := &hunt{
		events: events, client: client, native: native,
		left:  slices.SortedFunc(slices.Values(packages), distro.Package.Compare),
		found: map[distro.Package]pastRecord{}, reasons: map[distro.Package]string{},
		read: map[lockfile.Digest]bool{}, trouble: map[string]int{},
	}
	for _, p := range packages {
		h.reasons[p] = "no signed index of the past that was looked into has this version"
	}
	return h
}

// watch takes up the suites for which one of the keepers is a service.
func (h *hunt) watch(keepers []distro.Mirror, suites []pastSuite) {
	var services []*snapshot.Service
	for _, m := range keepers {
		if service, ok := snapshot.NewService(m); ok {
			services = append(services, service)
		}
	}
	for _, p := range suites {
		if p.repo.Flat() || p.repo.Source || p.keys == nil {
			continue
		}
		name := suiteOfThen(p.repo.Suite, p.now)
		if i := slices.IndexFunc(services, p.servedBy); i >= 0 && !slices.ContainsFunc(h.suites, func(w *watched) bool {
			return w.name == name && w.service == services[i]
		}) {
			h.suites = append(h.suites, &watched{pastSuite: p, name: name, service: services[i]})
		}
	}
}

func (h *hunt) hosts() string {
	var hosts []string
	for _, w := range h.suites {
		if host := w.service.Host(); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return strings.Join(hosts, " and ")
}

// run looks in all ways, those that need the fewest requests first.
func (h *hunt) run(ctx context.Context, times []time.Time) {
	err := h.tryTimes(ctx, times)
	if err == nil {
		err = h.walkBack(ctx)
	}
	if err == nil {
		err = h.askInterface(ctx)
	}
	for _, w := range h.suites {
		if host := w.service.Host(); err == nil && h.trouble[host] >= maxFailures {
			err = fmt.Errorf("%s failed %d times; try again later, or use a mirror of it", host, maxFailures)
		}
	}
	if err != nil {
		h.giveUp(err)
	}
}

// giveUp puts the reason to all that is left.
func (h *hunt) giveUp(err error) {
	for _, p := range h.left {
		h.reasons[p] = fmt.Sprintf("the search in snapshot archives ended early: %v", err)
	}
}

// tryTimes looks into each suite as it was at the given times; then, for the
// foremost of them, a day later: a service comes by some hours after a state is
// published, and what was installed at once is in the next that it has.
func (h *hunt) tryTimes(ctx context.Context, times []time.Time) error {
	times = slices.Clone(times[:min(len(times), maxTimes)])
	for _, t := range times[:min(len(times), 2)] {
		times = append(times, t.Add(24*time.Hour))
	}
	for _, t := range times {
		for _, w := range h.suites {
			if h.client.Asked() >= earlyRequests {
				return nil
			}
			if err := h.look(ctx, w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// walkBack looks at the states of each suite before those that were seen, in
// turns. The Date of a Release tells since when that state was current, so one
// second before it another was.
func (h *hunt) walkBack(ctx context.Context) error {
	for range maxWalk {
		for _, w := range h.suites {
			oldest := w.oldest()
			if w.ended || oldest.IsZero() || h.client.Asked() >= earlyRequests {
				continue
			}
			if err := h.look(ctx, w, oldest.Add(-time.Second)); err != nil {
				return err
			}
			w.ended = !w.oldest().Before(oldest)
		}
	}
	return nil
}

// look reads the indexes of a suite as it was at the time t, if packages are
// left to be found and that state was not seen. Its error ends the search.
func (h *hunt) look(ctx context.Context, w *watched, t time.Time) error {
	if len(h.left) == 0 || w.knows(t) || h.trouble[w.service.Host()] >= maxFailures {
		return nil
	}
	dir := archive.Dir(w.service.Base(t), w.name)
	release, err := archive.FetchRelease(ctx, h.client, dir, w.keys, time.Time{})
	if err != nil {
		w.tried = append(w.tried, t)
		return h.bear(w, dir, err)
	}
	from := release.Date
	if from.IsZero() || from.After(t) {
		from = t // it says nothing of how long it has been like this
	}
	w.states = append(w.states, interval{from, t})
	for _, path := range h.indexes(w, release) {
		file, listed := release.Files[path]
		if !listed || h.read[file.Digest] || len(h.left) == 0 {
			continue
		}
		records, err := archive.FetchPackages(ctx, h.client, dir, release, path, false, h.wants)
		if err != nil {
			if err := h.bear(w, dir+path, err); err != nil {
				return err
			}
			continue
		}
		h.read[file.Digest] = true
		h.take(records, pastRecord{release: release, archive: archiveOf(&w.repo, release)})
	}
	return nil
}

// bear tells of an error. It returns it where the search must end.
func (h *hunt) bear(w *watched, url string, err error) error {
	var unsigned *archive.SignatureError
	switch {
	case errors.Is(err, snapshot.ErrLimit), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return nil // the suite, or this part of it, was not there then
	case errors.As(err, &unsigned):
	default:
		host := w.service.Host()
		if h.trouble[host]++; h.trouble[host] == maxFailures {
			err = fmt.Errorf("%w; %s is not asked again", err, host)
		}
	}
	h.events.Warning(unusable(url, err))
	return nil
}

// unusable says why what a URL has, or what lies below it, is of no use. The
// URL is told once: errors of the network have in them what was asked for.
func unusable(url string, err error) string {
	text := err.Error()
	if strings.Contains(text, url) {
		return "a snapshot archive is of no help: " + text
	}
	return fmt.Sprintf("cannot use %s: %s", url, text)
}

// indexes returns the paths of the indexes that may have what is left.
func (h *hunt) indexes(w *watched, release *archive.Release) []string {
	var archs, paths []string
	for _, p := range h.left {
		if arch := h.indexArch(p.Arch); !slices.Contains(archs, arch) {
			archs = append(archs, arch)
		}
	}
	if slices.Contains(release.Architectures, "all") && !release.NoAllIndex {
		archs = append(archs, "all")
	}
	for _, component := range w.repo.Components {
		for _, arch := range archs {
			paths = append(paths, archive.PackagesPath(component, arch))
		}
	}
	return paths
}

func (h *hunt) indexArch(arch string) string {
	if arch == "all" {
		return h.native
	}
	return arch
}

func (h *hunt) wants(name []byte) bool {
	_, ok := slices.BinarySearchFunc(h.left, string(name), func(p distro.Package, n string) int { return strings.Compare(p.Name, n) })
	return ok
}

// take keeps the records of packages that are looked for, from the given index.
func (h *hunt) take(records []archive.Record, index pastRecord) {
	for _, r := range records {
		if i := slices.Index(h.left, r.Package); i >= 0 {
			index.Record = r
			h.found[r.Package] = index
			delete(h.reasons, r.Package)
			h.left = slices.Delete(h.left, i, i+1)
		}
	}
}
