package fetch

import "time"

// Limits say how hard a source may be asked.
type Limits struct {
	// Host is what the limits are shared by: sources with the same Host count
	// together. Empty stands for the source's own name.
	Host string
	// Parallel is how many requests may be in flight; 0 for the planner's
	// own limit.
	Parallel int
	// Every is the least time between the starts of two requests.
	Every time.Duration
}

// A Limiter is a source that knows its limits.
type Limiter interface {
	Limits() Limits
}

// Limit returns s with limits.
func Limit(s Source, l Limits) Source { return limited{s, l} }

type limited struct {
	Source
	limits Limits
}

func (l limited) Limits() Limits { return l.limits }

// LimitsOf returns the limits that a source knows, for decorators to pass on;
// zero where it knows none.
func LimitsOf(s Source) Limits {
	if known, ok := s.(Limiter); ok {
		return known.Limits()
	}
	return Limits{}
}

// limitsOf returns the limits of a source with its defaults filled in.
func limitsOf(s Source, perHost int) Limits {
	l := LimitsOf(s)
	if l.Host == "" {
		l.Host = s.Name()
	}
	if l.Parallel <= 0 {
		l.Parallel = perHost
	}
	return l
}
