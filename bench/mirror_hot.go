package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A hotRun is one run of wrk: how many requests a second were answered, and
// how much time of the processors the server took for each, in microseconds.
type hotRun struct{ rate, cpu float64 }

// measureHot has wrk ask the contestants for a file that they have, in turns,
// and prints how many requests they answer in a second. Each is compared with
// nginx in the same round, so that a machine that is slow for a while does not
// tell one from the other.
func (b *bench) measureHot(a *archive, contestants ...*served) error {
	for _, hot := range hotSizes {
		runs := make([][]hotRun, len(contestants))
		for _, c := range contestants {
			if n, err := length(c.url + "/" + hotPath(hot.size)); err != nil || n != hot.size {
				return fmt.Errorf("%s: %d bytes of %s: %w", c.name, n, hot.name, errors.Join(err))
			}
		}
		for round := range b.rounds {
			for i := range contestants {
				at := (round + i) % len(contestants)
				run, err := contestants[at].hot(hotPath(hot.size))
				if err != nil {
					return fmt.Errorf("%s: %w", contestants[at].name, err)
				}
				runs[at] = append(runs[at], run)
			}
		}
		fmt.Fprintf(b.out, "%s, %d connections; %.2f of nginx is wanted:\n\n| | requests/s, median | lowest – highest | of nginx, median of the rounds | CPU of the server for a request |\n|---|---:|---:|---:|---:|\n", hot.name, hotConnections, hot.target)
		for i, c := range contestants {
			var rates, ratios, cpus []float64
			for round, run := range runs[i] {
				rates, cpus = append(rates, run.rate), append(cpus, run.cpu)
				ratios = append(ratios, run.rate/runs[0][round].rate)
			}
			fmt.Fprintf(b.out, "| %s | %.0f | %.0f – %.0f | %.2f | %.0f µs |\n", c.name, middle(rates), slices.Min(rates), slices.Max(rates), middle(ratios), middle(cpus))
		}
		fmt.Fprintln(b.out)
	}
	return nil
}

// hot has wrk ask for one path.
func (s *served) hot(path string) (hotRun, error) {
	before, err := s.running.family()
	if err != nil {
		return hotRun{}, err
	}
	rate, err := wrk(s.url+"/"+path, "")
	if err != nil {
		return hotRun{}, err
	}
	after, err := s.running.family()
	return hotRun{rate, float64((after - before).Microseconds()) / (rate * hotTime.Seconds())}, err
}

// family is what cpu tells, of the server and of its children together.
func (s *server) family() (time.Duration, error) {
	total, err := s.cpu()
	if err != nil {
		return 0, err
	}
	pid := s.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		used, e := cpuOf(child)
		if e == nil {
			total += used
		}
	}
	return total, err
}

// middle is the median; of an even number, the lower of the two in the middle.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// wrk returns the requests per second that a server answers. script, where
// there is one, is a file that says what to ask.
func wrk(url, script string) (float64, error) {
	args := []string{"--threads", "2", "--connections", strconv.Itoa(hotConnections), "--duration", fmt.Sprintf("%.0fs", hotTime.Seconds())}
	if script != "" {
		args = append(args, "--script", script)
	}
	out, err := pinned("wrk", append(args, url)...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w\n%s", err, tail(out, 1000))
	}
	return parseWrk(string(out))
}

var wrkRate = regexp.MustCompile(`(?m)^Requests/sec: +([0-9.]+)$`)

// parseWrk reads what wrk says. Answers that are no success are an error.
func parseWrk(text string) (float64, error) {
	for _, bad := range []string{"Non-2xx", "Socket errors"} {
		if strings.Contains(text, bad) {
			return 0, fmt.Errorf("wrk tells of failures:\n%s", text)
		}
	}
	m := wrkRate.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("wrk tells no rate:\n%s", text)
	}
	return strconv.ParseFloat(m[1], 64)
}

// measureStart starts the mirror with all its files, and kills it again and
// again, while wrk asks for a file. It prints how long it takes each time until
// the next one answers.
func (b *bench) measureStart(s *served, a *archive) error {
	if _, err := s.run(); err != nil {
		return err
	}
	// It reads the index of packages once, when a client first wants it.
	for _, path := range []string{"dists/stable/Release", "dists/stable/main/binary-amd64/Packages", stockPath(0)} {
		if _, err := length(s.url + "/" + path); err != nil {
			return err
		}
	}
	var took []float64
	for range b.rounds {
		t, err := s.killed()
		if err != nil {
			return err
		}
		took = append(took, t.Seconds())
	}
	fmt.Fprintf(b.out, "With %d files in its store the mirror answers %.3f s after it was killed under load, by SIGKILL, and started again (%.3f – %.3f s); 1 s is wanted at most.\n\n", stockCount, middle(took), slices.Min(took), slices.Max(took))
	return nil
}

// killed kills the mirror while wrk asks for a file of it, starts it again and
// returns how long that took.
func (s *served) killed() (time.Duration, error) {
	load := pinned("wrk", "--threads", "2", "--connections", strconv.Itoa(hotConnections), "--duration", "60s", s.url+"/"+stockPath(1))
	if err := load.Start(); err != nil {
		return 0, err
	}
	defer func() {
		load.Process.Kill()
		load.Wait()
	}()
	time.Sleep(200 * time.Millisecond)
	s.running.end()
	return s.run()
}

// measureMemory has wrk ask for all that the mirror has, and prints what of
// the memory the mirror then has.
func (b *bench) measureMemory(s *served, a *archive) error {
	before, err := s.running.memory()
	if err != nil {
		return err
	}
	script := filepath.Join(b.dir, "all.lua")
	text := fmt.Sprintf("local n = 0\nrequest = function()\n  n = (n + 7919) %% %d\n  return wrk.format(nil, string.format(\"/debian/pool/stock-%%06d_1_all.deb\", n))\nend\n", stockCount)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return err
	}
	var rates []float64
	for range b.rounds {
		rate, err := wrk(s.url, script)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
	}
	after, err := s.running.memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "Memory of the mirror: %d MiB after the runs above; %d MiB after wrk asked for all of %d files of 4 KiB (%.0f requests/s), %d MiB of it its own; %d MiB at most.\n\n",
		before.now>>20, after.now>>20, stockCount, middle(rates), after.own>>20, after.peak>>20)
	return nil
}

// memory is what a process has in memory, in bytes: in all, of its own (without
// files that it maps), and at most since it began.
type memory struct{ now, own, peak int64 }

func (s *server) memory() (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return m, err
	}
	return parseMemory(string(text))
}

// parseMemory reads the lines of proc_pid_status(5).
func parseMemory(text string) (m memory, err error) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		to := map[string]*int64{"VmRSS": &m.now, "VmHWM": &m.peak, "RssAnon": &m.own}[key]
		if to == nil {
			continue
		}
		if _, err := fmt.Sscanf(value, "%d kB", to); err != nil {
			return m, fmt.Errorf("%q: %w", line, err)
		}
		*to <<= 10
	}
	if m.now == 0 || m.peak == 0 {
		return m, errors.New("the process tells no memory")
	}
	return m, nil
}
