package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// plainEvery is how often progress is told where there is no terminal.
const plainEvery = 5 * time.Second

// barFrom is from which length on a file has a bar of its own, in bytes.
const barFrom = 4 << 20

// nameWidth is the width of what stands before a bar, in columns. It is not
// mpb's width for all bars in common (decor.WCSyncSpaceR): that waits for ever
// when a bar comes between measuring and drawing, as of v8.9.3.
var nameWidth = decor.WC{W: 36, C: decor.DindentRight | decor.DextraSpace}

// A progress shows how a fetch goes on: bars on a terminal, a line every few
// seconds elsewhere, nothing with --quiet.
type progress struct {
	session *session
	total   int
	begun   time.Time
	stop    chan struct{}
	wait    sync.WaitGroup

	// Bars ask for the bytes while they are drawn, and drawing is what adding
	// a bar waits for: they must not need mu.
	bytes atomic.Int64

	mu   sync.Mutex
	done int
	bars *mpb.Progress // nil where there is no terminal
	all  *mpb.Bar
	each map[lockfile.Digest]*mpb.Bar
}

// startProgress begins to show the fetch of so many files.
func (s *session) startProgress(total int) *progress {
	p := &progress{session: s, total: total, begun: time.Now(), stop: make(chan struct{}), each: map[lockfile.Digest]*mpb.Bar{}}
	switch {
	case s.quiet || total == 0:
	case s.terminal:
		p.startBars()
	default:
		p.wait.Add(1)
		go p.tell()
	}
	return p
}

func (p *progress) startBars() {
	p.bars = mpb.New(mpb.WithOutput(p.session.stderr), mpb.WithWidth(64), mpb.WithAutoRefresh())
	p.session.redirect(p.bars)
	p.all = p.bars.AddBar(int64(p.total), mpb.BarPriority(1<<20), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d files", nameWidth)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			seconds := max(time.Since(p.begun).Seconds(), 0.1)
			return fmt.Sprintf("%s, %s/s", size(p.bytes.Load()), size(int64(float64(p.bytes.Load())/seconds)))
		})))
}

// tell says every few seconds how far it has come.
func (p *progress) tell() {
	defer p.wait.Done()
	tick := time.NewTicker(plainEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			done := p.done
			p.mu.Unlock()
			p.session.say("%d of %s, %s", done, count(p.total, "file"), size(p.bytes.Load()))
		}
	}
}

// events are what the planner tells.
func (p *progress) events() *fetch.Events {
	return &fetch.Events{Start: p.start, Bytes: p.arrived, Failed: p.failed, Done: p.settled}
}

func (p *progress) start(e lockfile.Entry, have, length int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil || length < barFrom || p.each[e.Digest] != nil {
		return
	}
	bar := p.bars.AddBar(length, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(printable(e.Base()), nameWidth)),
		mpb.AppendDecorators(decor.CountersKiloByte("% .1f of % .1f")))
	bar.SetCurrent(have)
	p.each[e.Digest] = bar
}

func (p *progress) arrived(e lockfile.Entry, n int64) {
	p.bytes.Add(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if bar := p.each[e.Digest]; bar != nil {
		bar.IncrInt64(n)
	}
}

func (p *progress) failed(e lockfile.Entry, source string, err error) {
	p.session.detail("%s: %s: %v", e.Path, source, err)
}

func (p *progress) settled(e lockfile.Entry, _ string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if bar := p.each[e.Digest]; bar != nil {
		bar.Abort(true)
		delete(p.each, e.Digest)
	}
	if p.all != nil {
		p.all.Increment()
	}
}

// end takes the bars away.
func (p *progress) end() {
	close(p.stop)
	p.wait.Wait()
	if p.bars == nil {
		return
	}
	p.mu.Lock()
	for _, bar := range p.each {
		bar.Abort(true)
	}
	p.mu.Unlock()
	p.all.Abort(true)
	p.bars.Wait()
	p.session.redirect(p.session.stderr)
}

// redirect sends what is said elsewhere: above the bars while there are some.
func (s *session) redirect(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = w
}
