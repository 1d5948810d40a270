package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// get brings files of locks into the cache and tells how it went. sys may be
// nil. What cannot be had is a [*missingError] that lists it.
func (s *session) get(c *cache.Cache, reqs []fetch.Request, locks []*lockfile.Lock, sys distro.System) error {
	begun := time.Now()
	if err := s.recheck(c, reqs); err != nil {
		return err
	}
	var family distro.Distro
	if len(locks) > 0 {
		family = distro.ByLock(locks[0], families)
	}
	var access distro.Access
	if sys != nil {
		access = sys.Access()
	}
	bar := s.startProgress(len(reqs))
	planner := &fetch.Planner{
		Sources:  s.open(s.places(locks, family, sys), access),
		Store:    store{c},
		Events:   bar.events(),
		Parallel: s.Int("parallel"),
	}
	report := planner.Fetch(s.ctx, reqs)
	bar.end()
	// What arrived is worth keeping, also of a run that was interrupted.
	err := s.keep(c, reqs)
	s.tellTroubles(report)
	switch {
	case report.Err != nil:
		return report.Err
	case err != nil:
		return err
	case len(report.Failed) > 0:
		return s.tellFailed(report)
	}
	switch n := len(report.Fetched); {
	case n == 0:
		s.say("%s already in the cache %s", count(report.Present, "file"), c.Dir())
	default:
		already := ""
		if report.Present > 0 {
			already = fmt.Sprintf(", %d more had been there", report.Present)
		}
		s.say("%s fetched, %s in %s%s", count(n, "file"), size(report.Bytes), took(time.Since(begun)), already)
	}
	return nil
}

// keep sees to it that what arrived is on the disk, and known by its names.
func (s *session) keep(c *cache.Cache, reqs []fetch.Request) error {
	ctx := context.WithoutCancel(s.ctx)
	if err := c.Sync(ctx); err != nil {
		return err
	}
	var there []lockfile.Entry
	for _, r := range reqs {
		if c.Has(r.Entry.Digest) {
			there = append(there, r.Entry)
		}
	}
	err := c.Remember(ctx, there)
	var readOnly *cache.ReadOnlyError
	if errors.As(err, &readOnly) {
		return nil // a cache that has all the files is as good without their names
	}
	return err
}

// recheck hashes the files that are in the cache. One that is damaged is set
// aside, so that it is fetched again.
func (s *session) recheck(c *cache.Cache, reqs []fetch.Request) error {
	work := make(chan lockfile.Digest)
	errs := make(chan error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var failed error
			for d := range work {
				_, err := c.Path(s.ctx, d)
				var damaged *cache.DamagedError
				switch {
				case errors.As(err, &damaged):
					s.warn("%v", err)
				case err != nil && !isNotExist(err):
					failed = err
				}
			}
			errs <- failed
		})
	}
	for _, r := range reqs {
		if c.Has(r.Entry.Digest) {
			work <- r.Entry.Digest
		}
	}
	close(work)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tellTroubles names each source that did not give what it was asked for, once.
// That a source lacks a file that another had, or is slower, is no trouble.
func (s *session) tellTroubles(r *fetch.Report) {
	for _, t := range r.Troubles {
		var kinds []string
		add := func(n int, what string) {
			if n > 0 {
				kinds = append(kinds, count(n, what))
			}
		}
		add(t.Lied, "lie")
		add(t.Failed, "failure")
		add(t.Busy, "request to wait")
		if len(kinds) == 0 {
			if t.Missing > 0 {
				s.detail("source %s did not have %s", t.Source, count(t.Missing, "file"))
			}
			if t.Slow > 0 {
				s.say("source %s was left for a faster one for %s", t.Source, count(t.Slow, "file"))
			}
			continue
		}
		s.warn("source %s: %s; last: %v", t.Source, strings.Join(kinds, ", "), t.Last)
	}
}

// tellFailed lists the files that could not be had and what each source said.
func (s *session) tellFailed(r *fetch.Report) error {
	const few = 6
	if s.verbose || len(r.Failed) <= few {
		for _, f := range r.Failed {
			s.line(s.paint("31", "not found:") + " " + printable(f.Error()))
		}
	} else {
		s.tellManyFailed(r.Failed)
	}
	remedy := "name another source with --source"
	if s.Bool("offline") {
		remedy += ", or leave out --offline"
	}
	return missingf("%s of %d could not be had, %d are in the cache; %s",
		count(len(r.Failed), "file"), len(r.Failed)+len(r.Fetched)+r.Present, len(r.Fetched)+r.Present, remedy)
}

// tellManyFailed tells of many files by what was said of them, which most of
// them have in common.
func (s *session) tellManyFailed(failed []fetch.Failure) {
	const most = 5 // reasons
	label, left := s.paint("31", "not found:"), 0
	for i, g := range fetch.Alike(failed) {
		if i >= most {
			left += len(g.Failures)
			continue
		}
		var paths []string
		for _, f := range g.Failures {
			paths = append(paths, f.Entry.Path)
		}
		s.line(fmt.Sprintf("%s %s (%s): %s", label, count(len(paths), "file"), printable(g.Why), printable(s.some(paths))))
	}
	if left > 0 {
		s.line(fmt.Sprintf("%s %s for other reasons", label, count(left, "file")))
	}
	s.say("hint: --verbose lists each file")
}
