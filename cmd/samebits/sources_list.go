package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

// checkPatience is how long --check waits for one answer. Nodes of IPFS may
// take most of it to find a file.
const checkPatience = 20 * time.Second

func (p *program) sources() *cli.Command {
	return &cli.Command{
		Name:      "sources",
		Usage:     "list the sources that are asked for a lock, in their order",
		ArgsUsage: "FILE",
		Description: "Lists for each archive of a lock the sources that \"lock fetch\" would ask, in which order, and where each is named: on the command line, in SAMEBITS_SOURCES, in a configuration file, in this system's own configuration, in the lock, or built in. The first is asked first; others help out where it fails, is slow or has not all. With --root it is what \"lock install --root\" would ask.\n\n" +
			"With --check each is asked for one file of the archive, of which the first byte is awaited. Where no source has it, the exit code is 3.\n\n" +
			"Examples:\n" +
			"  samebits sources SHA256SUMS\n" +
			"  samebits sources --check --source oci://registry.example/team/packages SHA256SUMS\n" +
			"  samebits sources --json --offline SHA256SUMS",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "check", Usage: "ask each source for one file"},
			jsonFlag(), rootFlag(), sourceFlag(),
		}, networkFlags()...),
		Action: p.verb((*session).listSources),
	}
}

// archiveSources are the sources of one archive, as --json prints them.
type archiveSources struct {
	Archive lockfile.Archive `json:"archive"`
	Files   int              `json:"files"`
	Sample  string           `json:"sample"` // the path of the file that is asked for
	Sources []*listedSource  `json:"sources"`

	request fetch.Request
}

// A listedSource is a source in its turn.
type listedSource struct {
	Source string  `json:"source"`
	Why    string  `json:"named_by"`
	Keeper bool    `json:"keeper,omitempty"`
	Answer *answer `json:"answer,omitempty"` // with --check

	source fetch.Source
}

// An answer is what a source did when it was asked for a file.
type answer struct {
	Has     bool    `json:"has"`     // it began to send the file
	Missing bool    `json:"missing"` // it answered that it does not have it
	Seconds float64 `json:"seconds"` // until the first byte, or until it was clear
	Error   string  `json:"error,omitempty"`
}

// An unusedSource was named and cannot be used.
type unusedSource struct {
	Source string `json:"source"`
	Why    string `json:"named_by"`
	Error  string `json:"error"`
}

// A sourceList is what listSources finds.
type sourceList struct {
	Archives []*archiveSources `json:"archives"`
	Unused   []unusedSource    `json:"unused"`
}

func (s *session) listSources() error {
	lock, err := s.readLock(s.Args().First())
	if err != nil {
		return err
	}
	sys := distro.System(nil)
	if s.IsSet("root") {
		if sys, _, err = s.system(); err != nil {
			return err
		}
	} else {
		sys = s.hostFor(lock)
	}
	if len(lock.Entries) == 0 {
		s.say("%s names no files", lockName(s.Args().First()))
	}
	list := s.sourcesFor(lock, sys)
	if s.Bool("check") {
		s.askAll(list.Archives)
	}
	if s.Bool("json") {
		err = s.writeJSON(list)
	} else {
		err = s.writeOutput("-", []byte(printable(list.String())))
	}
	if err == nil && s.Bool("check") {
		err = unanswered(list.Archives)
	}
	return err
}

// sourcesFor opens all sources that there are for a lock; sys may be nil.
func (s *session) sourcesFor(lock *lockfile.Lock, sys distro.System) sourceList {
	var access distro.Access
	if sys != nil {
		access = sys.Access()
	}
	list := sourceList{archivesOf(lock), []unusedSource{}}
	o := s.newOpener(access)
	opened := o.openAll(s.places([]*lockfile.Lock{lock}, distro.ByLock(lock, families), sys))
	for _, k := range o.keepers {
		k.told.Do(func() {}) // the list tells it
	}
	for _, p := range opened {
		if p.err != nil {
			if p.asked || !errors.Is(p.err, errOffline) {
				list.Unused = append(list.Unused, unusedSource{withoutLogin(p.url), p.why, p.err.Error()})
			}
			continue
		}
		for _, a := range list.Archives {
			if p.source.Serves(a.request.Entry) {
				a.Sources = append(a.Sources, &listedSource{Source: p.source.Name(), Why: p.why, Keeper: p.keeper, source: p.source})
			}
		}
	}
	return list
}

// archivesOf lists the archives of a lock with a file of each, in the order of
// the lock.
func archivesOf(l *lockfile.Lock) []*archiveSources {
	list := []*archiveSources{}
	known := map[lockfile.Archive]*archiveSources{}
	for i, e := range l.Entries {
		a := known[e.Archive]
		if a == nil {
			a = &archiveSources{
				Archive: e.Archive, Sample: e.Path, Sources: []*listedSource{},
				request: requests(l, l.Entries[i:i+1])[0],
			}
			known[e.Archive] = a
			list = append(list, a)
		}
		a.Files++
	}
	return list
}

// askAll asks each source for the sample of each archive. What shares a host
// is asked one after the other, as some hosts want it.
func (s *session) askAll(archives []*archiveSources) {
	type question struct {
		of *listedSource
		a  *archiveSources
	}
	byHost := map[string][]question{}
	for _, a := range archives {
		for _, l := range a.Sources {
			host := l.Source
			if limits := fetch.LimitsOf(l.source); limits.Host != "" {
				host = limits.Host
			}
			byHost[host] = append(byHost[host], question{l, a})
		}
	}
	slots := make(chan struct{}, fetch.DefaultParallel)
	var wg sync.WaitGroup
	for _, questions := range byHost {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for _, q := range questions {
				q.of.Answer = ask(s.ctx, q.of.source, q.a.request, checkPatience)
				s.detail("%s: %s", q.of.Source, q.of.Answer)
			}
		})
	}
	wg.Wait()
}

// ask asks a source for a file and waits so long for its first byte.
func ask(ctx context.Context, src fetch.Source, req fetch.Request, patience time.Duration) *answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := time.Now()
	body, err := src.Open(ctx, req)
	if err == nil {
		if _, err = body.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			err = nil
		}
		body.Close()
	}
	a := &answer{Has: err == nil, Missing: isNotExist(err), Seconds: time.Since(begun).Seconds()}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.Error = fmt.Sprintf("no answer within %s", patience)
	case err != nil:
		a.Error = err.Error()
	}
	return a
}

func (a *answer) String() string {
	after := fmt.Sprintf("%.0f ms", a.Seconds*1000)
	switch {
	case a.Has:
		return "has it, " + after
	case a.Missing:
		return "does not have it, " + after
	}
	return "failed: " + a.Error
}

// String is the list as a table.
func (l sourceList) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for i, a := range l.Archives {
		if i > 0 {
			fmt.Fprintln(w)
		}
		name := a.Archive.Name
		if name == "" {
			name = "no archive is named"
		}
		fmt.Fprintf(w, "%s: %s, such as %s\n", name, count(a.Files, "file"), a.Sample)
		for n, src := range a.Sources {
			fmt.Fprintf(w, "  %d\t%s\t%s", n+1, src.Source, src.Why)
			if src.Answer != nil {
				fmt.Fprintf(w, "\t%s", src.Answer)
			}
			fmt.Fprintln(w)
		}
		if len(a.Sources) == 0 {
			fmt.Fprintln(w, "  no source is known; name one with --source")
		}
	}
	if len(l.Unused) > 0 {
		fmt.Fprint(w, "\nnot used:\n")
		for _, u := range l.Unused {
			fmt.Fprintf(w, "  -\t%s\t%s\t%s\n", u.Source, u.Why, u.Error)
		}
	}
	w.Flush()
	return b.String()
}

// unanswered is an error that names the archives whose file no source has.
func unanswered(archives []*archiveSources) error {
	var names []string
	for _, a := range archives {
		has := false
		for _, l := range a.Sources {
			has = has || l.Answer.Has
		}
		if !has {
			names = append(names, a.Sample)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return missingf("no source has %s; name another source with --source", strings.Join(names, ", "))
}
