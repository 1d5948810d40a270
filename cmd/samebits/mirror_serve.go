package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/cache/mirror/page"
	"github.com/urfave/cli/v2"
)

// shutdownPatience is how long clients may go on when the mirror is stopped.
const shutdownPatience = 20 * time.Second

func (p *program) mirrorServe() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serve the archives of distributions to a team",
		Description: "Serves archives to apt and other package managers, by a prefix or as their HTTP proxy, and blobs to samebits. Each file is fetched from upstream once, checked against the signed indexes, and kept; metadata is shown whole or not at all. With no configuration it listens on 127.0.0.1:3142 and mirrors the archives that this system uses and the well-known ones.\n\n" +
			"SIGHUP has it read its configuration again without dropping connections, SIGTERM ends it when clients are served. It takes sockets from systemd, and tells it when it is ready. With read tokens clients give one as a password.\n\n" +
			"Examples:\n" +
			"  samebits mirror serve\n" +
			"  samebits mirror serve --listen :3142 --log-json\n" +
			"  samebits mirror serve --config /etc/samebits/mirror.yaml",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDR`: HOST:PORT, :PORT or unix:PATH; may be repeated (default 127.0.0.1:3142)"},
			mirrorConfigFlag(),
			&cli.StringFlag{Name: "state", Usage: "keep what is not in the cache in `DIR`"},
			&cli.BoolFlag{Name: "offline", Usage: "ask no upstream"},
			&cli.BoolFlag{Name: "log-json", Usage: "write the log as JSON also on a terminal"},
			cacheFlag(),
		},
		Action: p.verb((*session).mirrorServe),
	}
}

func (s *session) mirrorServe() error {
	plan, err := s.readPlan()
	if err != nil {
		return err
	}
	r := &runner{session: s, log: s.mirrorLog()}
	return r.run(plan)
}

// mirrorLog is text on a terminal, and JSON elsewhere if it is wanted.
func (s *session) mirrorLog() *slog.Logger {
	level := slog.LevelInfo
	switch {
	case s.verbose:
		level = slog.LevelDebug
	case s.quiet:
		level = slog.LevelWarn
	}
	options := &slog.HandlerOptions{Level: level}
	if s.Bool("log-json") {
		return slog.New(slog.NewJSONHandler(s.stderr, options))
	}
	return slog.New(slog.NewTextHandler(s.stderr, options))
}

// A runner is a mirror with its listeners while it runs.
type runner struct {
	session  *session
	log      *slog.Logger
	gate     gate
	recorder *page.Recorder
	server   *http.Server

	mu     sync.Mutex // held while the mirror is replaced
	plan   *mirrorPlan
	mirror *mirror.Mirror
}

func (r *runner) run(plan *mirrorPlan) error {
	ctx, stop := context.WithCancel(r.session.ctx)
	defer stop()
	listeners, err := r.listen(plan)
	if err != nil {
		return err
	}
	if err := r.open(plan); err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	limits := plan.limits
	limits.Log = r.log
	r.server = mirror.Server(&r.gate, limits)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- r.serve(mirror.Listen(l, limits.Connections), plan) }()
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var background sync.WaitGroup
	background.Go(func() { r.housekeep(ctx) })
	background.Go(func() { tuneCollector(ctx, r.session.getenv) })
	r.tellClients(listeners)
	r.notify("READY=1")
	for err == nil && ctx.Err() == nil {
		select {
		case <-hangup:
			r.reload()
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	r.notify("STOPPING=1")
	stop()
	background.Wait()
	return errors.Join(err, r.close())
}

// serve answers on one listener until the server is shut down.
func (r *runner) serve(l net.Listener, plan *mirrorPlan) error {
	var err error
	if plan.tls != nil {
		err = r.server.Serve(plan.tls.listener(l))
	} else {
		err = r.server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// open opens the mirror of a plan, and has requests go there.
func (r *runner) open(plan *mirrorPlan) error {
	config := plan.mirror
	config.Log = r.log
	m, err := mirror.Open(config)
	if err != nil {
		return err
	}
	if r.recorder == nil {
		r.recorder = page.NewRecorder(filepath.Join(config.State, "page.json"))
	}
	m.Home = page.New(page.Config{Mirror: m, Recorder: r.recorder, Journal: filepath.Join(config.State, "journal"), TLS: plan.tls != nil, Tokens: len(config.ReadTokens) > 0})
	r.plan, r.mirror = plan, m
	r.gate.set(metricsBeside(m))
	for _, prefix := range plan.unchecked {
		r.log.Warn("no key is known for an archive: its signatures are passed on unchecked", "prefix", prefix)
	}
	return nil
}

// reload reads the configuration again. One that is wrong is told, and the
// mirror goes on as it was. A new one takes the place of the old between two
// requests; who is being served is served to the end, if that comes soon.
func (r *runner) reload() {
	r.notify("RELOADING=1\nMONOTONIC_USEC=" + monotonic())
	defer r.notify("READY=1")
	plan, err := r.session.readPlan()
	if err != nil {
		r.log.Error("the configuration is wrong, the mirror goes on with the old one", "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.plan
	if plan.tls != nil && old.tls != nil {
		old.tls.replace(plan.tls)
	}
	plan.tls = old.tls
	if strings.Join(plan.listen, " ") != strings.Join(old.listen, " ") {
		r.log.Warn("addresses to listen on hold from the next start on", "listen", plan.listen)
	}
	waitQuiet(r.mirror)
	r.gate.hold()
	defer r.gate.release()
	if err := r.mirror.Close(); err != nil {
		r.log.Error("close the mirror", "error", err)
	}
	if err := r.open(plan); err != nil {
		r.log.Error("the new configuration cannot be used, the mirror goes on with the old one", "error", err)
		if err := r.open(old); err != nil {
			r.log.Error("the old one cannot be used any more", "error", err)
			r.gate.set(unavailable)
		}
		return
	}
	r.log.Info("the configuration was read again", "upstreams", len(plan.mirror.Upstreams))
}

var unavailable = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the mirror's configuration cannot be used; its log says why", http.StatusServiceUnavailable)
})

// waitQuiet waits, for some time, until nothing is on its way from upstream.
func waitQuiet(m *mirror.Mirror) {
	for end := time.Now().Add(30 * time.Second); m.Metrics().Flights > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

// housekeep looks after the mirror once a minute.
func (r *runner) housekeep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		r.lookAfter(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAfter samples the counters, and freezes a state when it is time.
func (r *runner) lookAfter(ctx context.Context, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.recorder.Sample(now, r.mirror.Metrics()); err != nil {
		r.log.Warn("what the page shows over time is not kept", "error", err)
	}
	if every := r.plan.freeze; every <= 0 || now.Sub(lastFrozen(r.mirror)) < every || !hasSets(r.mirror) {
		return
	}
	if snap, err := r.mirror.Freeze(ctx); err != nil {
		r.log.Error("freeze", "error", err)
	} else {
		r.log.Info("a state was frozen", "time", snap.Time, "sets", len(snap.Sets))
	}
}

func lastFrozen(m *mirror.Mirror) time.Time {
	names := m.Snapshots()
	if len(names) == 0 {
		return time.Time{}
	}
	t, _ := time.Parse("20060102T150405Z", names[len(names)-1])
	return t
}

func hasSets(m *mirror.Mirror) bool {
	for _, u := range m.Status().Upstreams {
		if len(u.Roots) > 0 {
			return true
		}
	}
	return false
}

// close serves those who are being served, then closes all.
func (r *runner) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		r.log.Warn("some clients were still being served", "waited", shutdownPatience)
		r.server.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.recorder.Sample(time.Now(), r.mirror.Metrics()); err != nil {
		r.log.Warn("what the page shows over time is not kept", "error", err)
	}
	return r.mirror.Close()
}
