package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// A Report says what became of the requests of one run. Its lists follow the
// order of the requests.
type Report struct {
	// Fetched are the files that this run brought into the store.
	Fetched []Fetched
	// Present counts the files that the store had already, or that another
	// process brought into it meanwhile.
	Present int
	// Bytes counts what arrived over all, including what was of no use.
	Bytes int64
	// Failed are the files that no source gave.
	Failed []Failure
	// Left are the files that were not settled when the run was ended early,
	// for the reason in Err.
	Left []lockfile.Entry
	// Troubles tells of each source that did not always give what it was
	// asked for, in the order of the planner's sources.
	Troubles []Trouble
	// Err is why the run was ended early: the store failed, or the caller
	// gave up. It is nil otherwise, also where files failed.
	Err error
}

// Complete reports whether every requested file is in the store.
func (r *Report) Complete() bool {
	return r.Err == nil && len(r.Failed) == 0 && len(r.Left) == 0
}

// Fetched is a file that came into the store.
type Fetched struct {
	Entry  lockfile.Entry
	Source string // the name of the source that gave the last bytes
	Bytes  int64  // how many bytes arrived for it
}

// A Failure is a file that no source gave, with all that was tried.
type Failure struct {
	Entry lockfile.Entry
	// Attempts are in the order in which they were made; empty where no
	// source serves the entry's archive.
	Attempts []Attempt
}

// An Attempt is one question to a source that did not end with the file.
type Attempt struct {
	Source string
	Err    error
}

// Error names the file and the last error of each source that was asked.
func (f *Failure) Error() string {
	if len(f.Attempts) == 0 {
		return fmt.Sprintf("%s: no source is known for archive %q; add one", f.Entry.Path, f.Entry.Archive.Name)
	}
	var why []string
	for _, a := range f.last() {
		why = append(why, a.Source+": "+a.Err.Error())
	}
	return f.Entry.Path + ": " + strings.Join(why, "; ")
}

// last returns the last attempt at each source, in their order.
func (f *Failure) last() []Attempt {
	at := map[string]int{}
	for i, a := range f.Attempts {
		at[a.Source] = i
	}
	var out []Attempt
	for i, a := range f.Attempts {
		if at[a.Source] == i {
			out = append(out, a)
		}
	}
	return out
}

// Unwrap returns the errors of all attempts.
func (f *Failure) Unwrap() []error {
	errs := make([]error, len(f.Attempts))
	for i, a := range f.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// Trouble sums up what went wrong with one source, but not what it failed to
// give as a rival in a race: nobody needed it. A file counts each time it
// was asked for.
type Trouble struct {
	Source  string
	Lied    int // whole files whose digest was wrong
	Missing int // files that it does not have
	Slow    int // times that it was left for a faster source
	Busy    int // times that it asked to be left alone
	Failed  int // anything else: refused, dropped, stalled, damaged
	// Last is the last error of the gravest kind that occurred: a lie, else a
	// failure, else that it was busy or slow, else a missing file.
	Last error
	rank int
}

// kind is what an outcome of an attempt means for its source.
type kind int

const (
	kindGood kind = iota
	kindMissing
	kindSlow
	kindBusy
	kindFailed
	kindLied
)

func kindOf(err error) kind {
	var busy *BusyError
	var slow *slowError
	var digest *lockfile.DigestError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return kindGood
	case errors.As(err, &busy):
		return kindBusy
	case errors.As(err, &slow):
		return kindSlow
	case errors.As(err, &digest):
		return kindLied
	case errors.Is(err, fs.ErrNotExist):
		return kindMissing
	}
	return kindFailed
}

func (t *Trouble) add(err error) {
	k := kindOf(err)
	switch k {
	case kindGood:
		return
	case kindMissing:
		t.Missing++
	case kindSlow:
		t.Slow++
	case kindBusy:
		t.Busy++
	case kindFailed:
		t.Failed++
	case kindLied:
		t.Lied++
	}
	if int(k) >= t.rank {
		t.rank, t.Last = int(k), err
	}
}
