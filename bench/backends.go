package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch/ipfs"
	"github.com/samebits/samebits/lockfile"
)

// benchBackends fetches the same files from every kind of source, and compares
// with plain HTTP from nginx. What a server costs by itself is seen in what
// curl needs to get the same files from it.
func benchBackends(b *bench) error {
	s, base, err := b.fetchShelf()
	if err != nil {
		return err
	}
	depots, _, err := b.filled(s, base)
	if err != nil {
		return err
	}
	lock, err := s.read()
	if err != nil {
		return err
	}
	fetches := []contestant{
		b.fetchFrom(&depot{}, way{name: "nginx", source: base}, s),
		b.fetchFrom(&depot{}, way{name: "a directory", source: s.dir}, s),
	}
	curls := []contestant{b.curl(s, base, 8)}
	curls[0].name += " from nginx"
	var served []pair
	for _, d := range depots {
		for _, w := range d.ways {
			fetch := b.fetchFrom(d, w, s)
			fetches = append(fetches, fetch)
			if w.plain != "" {
				fetches = append(fetches, b.fetchFrom(d, way{name: w.name + " by plain HTTP", source: w.plain}, s))
			}
			if w.address == nil {
				continue
			}
			c, err := b.curlFrom(w, lock)
			if err != nil {
				return err
			}
			curls = append(curls, c)
			served = append(served, pair{w.name, d.server, fetch, c})
		}
	}
	if err := b.measure(append(fetches, curls...)...); err != nil {
		return err
	}
	return b.measureServers(served)
}

// A pair gets the same files from one server.
type pair struct {
	name      string
	server    *server
	ours, its contestant
}

// measureServers prints how much CPU the servers themselves take to serve all
// files once, as a mean, since they tell it coarsely.
func (b *bench) measureServers(pairs []pair) error {
	fmt.Fprint(b.out, "CPU that the server takes for one run:\n\n| | for samebits | for curl |\n|---|---:|---:|\n")
	for _, p := range pairs {
		var means []any
		for _, c := range []contestant{p.ours, p.its} {
			before, err := p.server.cpu()
			if err != nil {
				return err
			}
			for range b.rounds {
				if _, err := c.once(); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
			after, err := p.server.cpu()
			if err != nil {
				return err
			}
			means = append(means, seconds((after-before)/time.Duration(b.rounds)))
		}
		fmt.Fprintf(b.out, "| %s | %s | %s |\n", p.name, means[0], means[1])
	}
	fmt.Fprintln(b.out)
	return nil
}

// benchPush puts the same files into every kind of sink, first when they are
// empty and then once more, and compares with a copy to the disk.
func benchPush(b *bench) error {
	s, base, err := b.fetchShelf()
	if err != nil {
		return err
	}
	depots, cache, err := b.filled(s, base)
	if err != nil {
		return err
	}
	pool := filepath.Join(b.dir, "pool")
	copied := contestant{"`samebits cache export`, a copy of the files", func() error { return os.RemoveAll(pool) }, func() *exec.Cmd {
		return (&depot{}).command(b, cache, "cache", "export", s.lock, pool)
	}}
	first, second := []contestant{copied}, []contestant{}
	for _, d := range depots {
		push := func() *exec.Cmd { return d.command(b, cache, d.push(s.lock)...) }
		first = append(first, contestant{"`samebits` to " + d.name, d.wipe, push})
		second = append(second, contestant{"`samebits` to " + d.name + ", again", nil, push})
		if d.peer != nil {
			peer := d.peer(s)
			again := peer
			peer.prepare = d.wipe
			again.name += ", again"
			first, second = append(first, peer), append(second, again)
		}
	}
	if err := b.measure(first...); err != nil {
		return err
	}
	for _, d := range depots { // a peer may have been the last
		if err := quiet(d.command(b, cache, d.push(s.lock)...)); err != nil {
			return err
		}
	}
	fmt.Fprint(b.out, "Where all files are there already:\n\n")
	return b.measure(second...)
}

// filled starts all depots, and puts the files of a shelf into them and into a
// cache. The lock of the shelf then records the addresses in IPFS.
func (b *bench) filled(s *shelf, base string) (depots []*depot, cache string, err error) {
	cache = filepath.Join(b.dir, "filled-cache")
	if err := quiet((&depot{}).command(b, cache, "lock", "fetch", "--no-snapshot", "--source", base, s.lock)); err != nil {
		return nil, "", err
	}
	if depots, err = b.depots(); err != nil {
		return nil, "", err
	}
	for _, d := range depots {
		if err := quiet(d.command(b, cache, d.push(s.lock)...)); err != nil {
			return nil, "", err
		}
	}
	return depots, cache, nil
}

// quiet runs a command, and tells what it said only where it fails.
func quiet(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(len(cmd.Args), 3)], " "), err, tail(out, 2000))
	}
	return nil
}

// fetchFrom fills an empty cache from one source alone.
func (b *bench) fetchFrom(d *depot, w way, s *shelf) contestant {
	cache := filepath.Join(b.dir, "fetch-cache")
	return contestant{"`samebits lock fetch` from " + w.name, func() error { return os.RemoveAll(cache) }, func() *exec.Cmd {
		return d.command(b, cache, "lock", "fetch", "--no-snapshot", "--source", w.source, s.lock)
	}}
}

// curlFrom gets the same files with curl.
func (b *bench) curlFrom(w way, l *lockfile.Lock) (contestant, error) {
	dir := filepath.Join(b.dir, "curl")
	var config strings.Builder
	for _, e := range l.Entries {
		// Options are those of one URL; "next" ends it.
		address, err := w.address(e, cmp.Or(l.CIDs[e.Digest], ipfs.RawCID(e.Digest)))
		if err != nil {
			return contestant{}, err
		}
		fmt.Fprintf(&config, "next\nsilent\nfail\nlocation\n%surl = %q\noutput = %q\n", w.options, address, filepath.Join(dir, e.Base()))
	}
	text := strings.TrimPrefix(config.String(), "next\n")
	return contestant{"`curl --parallel --parallel-max 8` from " + w.name, func() error { return emptyDir(dir) }, func() *exec.Cmd {
		cmd := exec.Command("curl", "--parallel", "--parallel-max", "8", "--config", "-")
		cmd.Stdin = strings.NewReader(text)
		return cmd
	}}, nil
}
