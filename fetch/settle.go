package fetch

import (
	"errors"
	"math/rand/v2"
	"time"
)

// An outcome is how an attempt ended.
type outcome struct {
	err      error // nil when the file is in the store
	progress bool  // bytes arrived that are of use
	rival    bool  // it was asked in a race only, and its failure cost nothing
}

// settle learns from an attempt: whether the candidate may be asked again for
// this file and when, how its host fares, and whether the source is worth
// asking for the rest of the archive. A slot that is still held is given back
// at the same moment, so that nobody takes it without knowing.
func (b *board) settle(c *candidate, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	b.drop(c)
	now := time.Now()
	if !o.rival {
		c.trouble.add(o.err)
	}
	switch kindOf(o.err) {
	case kindGood:
		c.good++
		c.host.well(now)
	case kindMissing:
		c.out = true
		c.missed()
		// It answered, and promptly, which is all that is asked of a host.
		c.host.rests, c.host.streak = 0, 0
	case kindSlow:
		// It lost its place in the order, and that is all.
	case kindLied:
		c.out = true
		c.lies++
		c.route().hits--
		c.missed()
	case kindBusy:
		b.busy(c, o.err, now)
	default:
		b.failed(c, o, now)
	}
}

func (c *candidate) missed() {
	r := c.route()
	r.misses++
	r.turns = 0
}

// well notes a whole body. A host that had been busy is given one more request
// at a time for each round of them that went well.
func (h *host) well(now time.Time) {
	h.rests, h.streak, h.worked = 0, 0, true
	if !h.rest.After(now) { // a body that was under way when it asked for time ends no rest
		h.restErr = nil
	}
	if h.wins++; h.wins >= h.parallel && h.parallel < h.limits.Parallel {
		h.parallel++
		h.wins = 0
	}
}

// busy leaves the host alone for as long as it asked, and halves the load.
func (b *board) busy(c *candidate, err error, now time.Time) {
	c.busy++
	c.out = c.busy >= maxBusy
	h := c.host
	var busy *BusyError
	errors.As(err, &busy)
	if !h.rest.After(now) { // the first of those that were in flight
		h.parallel = max(1, h.parallel/2)
		h.wins = 0
		h.rests++
	}
	pause := busy.After
	if pause <= 0 {
		pause = b.pause(h.rests)
	}
	h.restErr = err
	h.rest = later(h.rest, now.Add(pause))
}

// failed puts off what may go better later. A body that broke off is taken up
// again at once.
func (b *board) failed(c *candidate, o outcome, now time.Time) {
	if IsPermanent(o.err) {
		c.out = true
		if c.route().hits <= 0 {
			c.missed()
		}
		return
	}
	var stalled *stallError
	if o.progress && !errors.As(o.err, &stalled) && c.drops < maxDrops {
		c.drops++
		return
	}
	h := c.host
	h.streak++
	c.tries++
	// Where other files failed as well since something went well, it is the host
	// that is out of reach, and its rests say when to give it up.
	c.out = c.tries >= b.policy.Attempts && !(h.worked && h.streak > c.tries)
	c.notBefore = now.Add(b.pause(c.tries))

	if h.rest.After(now) || (h.worked && h.streak < 3) {
		return
	}
	h.restErr = o.err
	h.rests++
	if h.dead = h.rests > maxRests; !h.dead {
		h.rest = now.Add(b.pause(h.rests))
	}
}

func (b *board) pause(times int) time.Duration { return pause(b.policy.Backoff, times) }

// pause doubles with each time, and varies so that those who failed together
// do not come back together.
func pause(first time.Duration, times int) time.Duration {
	d := first << max(0, min(times-1, 10))
	return d/2 + rand.N(d)
}
