package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A contestant is one way to get a job done.
type contestant struct {
	name string
	// prepare restores what a run changes; it is not timed, and may be nil.
	prepare func() error
	// command makes the command that is timed.
	command func() *exec.Cmd
}

// A sample is one run. Memory is that of the largest process, in bytes.
type sample struct {
	wall, cpu time.Duration
	memory    int64
}

// measure has the contestants take turns, another one first in each round, and
// prints a table in which times are compared with that of the first.
func (b *bench) measure(contestants ...contestant) error {
	samples := make([][]sample, len(contestants))
	for round := range b.rounds {
		for i := range contestants {
			at := (round + i) % len(contestants)
			s, err := contestants[at].once()
			if err != nil {
				return fmt.Errorf("%s: %w", contestants[at].name, err)
			}
			samples[at] = append(samples[at], s)
		}
	}
	fmt.Fprint(b.out, "| | median | fastest – slowest | ratio | CPU | peak memory |\n|---|---:|---:|---:|---:|---:|\n")
	first := median(samples[0], wall)
	for i, c := range contestants {
		s := samples[i]
		fmt.Fprintf(b.out, "| %s | %s | %s – %s | %.2f | %s | %d MiB |\n", c.name,
			seconds(median(s, wall)), seconds(slices.MinFunc(s, byWall).wall), seconds(slices.MaxFunc(s, byWall).wall),
			float64(median(s, wall))/float64(first), seconds(median(s, func(s sample) time.Duration { return s.cpu })),
			median(s, func(s sample) int64 { return s.memory })>>20)
	}
	fmt.Fprintln(b.out)
	return nil
}

func (c contestant) once() (sample, error) {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return sample{}, fmt.Errorf("prepare: %w", err)
		}
	}
	cmd := c.command()
	var stderr bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	start := time.Now()
	err := cmd.Run()
	elapsed := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(len(cmd.Args), 6)], " "), err, tail(stderr.Bytes(), 2000))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		wall:   elapsed,
		cpu:    cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		memory: int64(usage.Maxrss) << 10,
	}, nil
}

func tail(data []byte, n int) []byte { return data[max(0, len(data)-n):] }

func wall(s sample) time.Duration { return s.wall }

func byWall(a, b sample) int { return cmp.Compare(a.wall, b.wall) }

// median returns the middle of what value makes of the samples; of an even
// number, the lower of the two in the middle.
func median[T cmp.Ordered](samples []sample, value func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// describeMachine says what the figures were measured on.
func describeMachine() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	model := "an unnamed processor"
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	packages, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\n").Output()
	if err != nil {
		return "", fmt.Errorf("dpkg-query: %w", err)
	}
	version, err := os.ReadFile("/etc/debian_version")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d CPUs of %s, Debian %s with %d packages installed, %s.",
		runtime.NumCPU(), model, strings.TrimSpace(string(version)), bytes.Count(packages, []byte("ii ")), runtime.Version()), nil
}
