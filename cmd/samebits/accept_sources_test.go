package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/fetchtest"
)

// ailments are ways in which a source fails; what is said of it must have why.
var ailments = []struct {
	name string
	mood fetchtest.Mood
	why  string
	slow bool // it takes the time after which a source is left for another
	// never is the mood where no number of answers, and no waiting, may bring
	// the file; nil for the same.
	never fetchtest.Mood
}{
	{"lies", fetchtest.Lie, "the SHA-256 of the", false, nil},
	{"gives a page of text", fetchtest.Page, "the SHA-256 of the", false, nil},
	{"truncates", fetchtest.Truncate(0.4), "unexpected EOF", false, fetchtest.Truncate(0)},
	{"resets", fetchtest.Reset, "EOF", false, nil},
	{"has nothing", fetchtest.Status(http.StatusNotFound), "404", false, nil},
	{"wants to be asked later", fetchtest.Busy(http.StatusTooManyRequests, 1), "429", false, fetchtest.Busy(http.StatusTooManyRequests, 86400)},
	{"is overloaded", fetchtest.Status(http.StatusServiceUnavailable), "503", false, nil},
	{"is overloaded for a while", fetchtest.Busy(http.StatusServiceUnavailable, 1), "503", false, fetchtest.Busy(http.StatusServiceUnavailable, 86400)},
	{"redirects in a loop", fetchtest.Loop, "redirected more than", false, nil},
	{"announces too much", fetchtest.WrongLength(1000), "unexpected EOF", false, announceMore},
	{"announces too little", fetchtest.WrongLength(-1000), "the SHA-256 of the", false, nil},
	{"stalls", fetchtest.Stall(0.4), "and left for", true, nil},
}

// announceMore announces more than it has, and has less than it should.
func announceMore(w http.ResponseWriter, r *http.Request, data []byte) {
	fetchtest.WrongLength(1000)(w, r, data[:len(data)/2])
}

// With one good source left every file arrives, and the bad one is named.
func TestAcceptBadSource(t *testing.T) {
	for _, bad := range ailments {
		t.Run(bad.name, func(t *testing.T) {
			if bad.slow && testing.Short() {
				t.Skip("waits until the source is left for another")
			}
			t.Parallel()
			files := goods(random(t), same(12, 30_000)...)
			ill, well := fetchtest.NewServer(files), fetchtest.NewServer(files)
			defer ill.Close()
			defer well.Close()
			ill.Mood(bad.mood)
			cache := t.TempDir()
			r := samebits(t, 0, cache, "lock", "fetch", "--verbose", "--source", ill.URL, "--source", well.URL, writeLock(t, files))
			complete(t, cache, files)
			if !slices.ContainsFunc(strings.Split(r.stderr, "\n"), func(line string) bool {
				return strings.Contains(line, ill.URL) && strings.Contains(line, bad.why)
			}) {
				t.Errorf("nothing says %q of %s: %v", bad.why, ill.URL, r)
			}
			if ill.Total() == 0 {
				t.Error("the bad source was not asked")
			}
			// What it does not have, or has only slowly, is not a source's fault.
			fault := strings.Contains(r.stderr, "warning: source "+ill.URL)
			if want := bad.why != "404" && !bad.slow; fault != want {
				t.Errorf("warned of the bad source: %v, want %v: %v", fault, want, r)
			}
			if bad.slow && !strings.Contains(r.stderr, "\nsource "+ill.URL+" was left for a faster one") {
				t.Errorf("nothing says that a faster source was found: %v", r)
			}
			if strings.Contains(r.stderr, "warning: source "+well.URL) {
				t.Errorf("the good source is blamed: %v", r)
			}
			if r.stdout != "" {
				t.Errorf("data on stdout: %v", r)
			}
		})
	}
}

// All of them before the one good source.
func TestAcceptBadSources(t *testing.T) {
	t.Parallel()
	files := goods(random(t), same(40, 20_000)...)
	args := []string{"lock", "fetch", "--verbose"}
	var bad []*fetchtest.Server
	for _, a := range ailments {
		if a.slow {
			continue
		}
		s := fetchtest.NewServer(files)
		defer s.Close()
		s.Mood(a.mood)
		bad = append(bad, s)
		args = append(args, "--source", s.URL)
	}
	well := fetchtest.NewServer(files)
	defer well.Close()
	cache := t.TempDir()
	r := samebits(t, 0, cache, append(args, "--source", well.URL, writeLock(t, files))...)
	complete(t, cache, files)
	for i, s := range bad {
		if s.Total() > 0 && !strings.Contains(r.stderr, "source "+s.URL) {
			t.Errorf("the source that %s is not named: %v", ailments[i].name, r)
		}
	}
}

// With no good source for two of the files, both are listed with what each
// source said, all others arrive, and the exit code is 3.
func TestAcceptNoSource(t *testing.T) {
	for _, bad := range ailments {
		if bad.slow {
			continue // the planner's tests do that with a shorter silence
		}
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			files := goods(random(t), same(10, 20_000)...)
			lock := writeLock(t, files)
			mood := bad.mood
			if bad.never != nil {
				mood = bad.never
			}
			servers := []*fetchtest.Server{fetchtest.NewServer(files), fetchtest.NewServer(files)}
			lost := []string{"pool/03.bin", "pool/07.bin"}
			for i, s := range servers {
				defer s.Close()
				for _, p := range lost {
					s.Next(p, slices.Repeat([]fetchtest.Mood{[]fetchtest.Mood{mood, fetchtest.Page}[i]}, 1000)...)
				}
			}
			cache := t.TempDir()
			r := samebits(t, 3, cache, "lock", "fetch", "--source", servers[0].URL, "--source", servers[1].URL, lock)
			arrived := maps.Clone(files)
			for _, p := range lost {
				line := lineWith(r.stderr, "not found: "+p+": ")
				for _, want := range []string{servers[0].URL, servers[1].URL, bad.why, "the SHA-256 of the"} {
					if !strings.Contains(line, want) {
						t.Errorf("nothing says %q of %s: %v", want, p, r)
					}
				}
				delete(arrived, p)
			}
			inCache(t, cache, arrived)
			if !strings.Contains(r.stderr, "samebits: 2 files of 10 could not be had, 8 are in the cache") {
				t.Errorf("no summary: %v", r)
			}
		})
	}
}

// lineWith returns the first line of text that has part in it.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// A source that asks for time, and is the only one, is given it.
func TestAcceptRetryAfter(t *testing.T) {
	t.Parallel()
	files := goods(random(t), same(6, 10_000)...)
	s := fetchtest.NewServer(files)
	defer s.Close()
	busy := fetchtest.Busy(http.StatusTooManyRequests, 1)
	s.Next("pool/00.bin", busy, fetchtest.Truncate(0.5))
	s.Next("pool/03.bin", busy, fetchtest.Reset)
	cache := t.TempDir()
	r := samebits(t, 0, cache, "lock", "fetch", "--source", s.URL, writeLock(t, files))
	complete(t, cache, files)
	if !strings.Contains(r.stderr, "warning: source "+s.URL) {
		t.Errorf("the source's troubles are not told: %v", r)
	}
}
