package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keptBuild builds a tar of the minimal image with a cache, without scripts
// that would take most of the time, and returns its digest and what was said.
func (b *imageBuilder) keptBuild(t *testing.T, cache string, more ...string) (sum, said string) {
	t.Helper()
	cmd := b.keptCommand(cache, more...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(b.dir, "kept.tar"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), string(out)
}

func (b *imageBuilder) keptCommand(cache string, more ...string) *exec.Cmd {
	args := []string{"image", "build", "--offline", "--no-scripts", "--cache", cache, "--source", filepath.Join(filepath.Dir(b.lock), "debs"),
		"--lock", b.lock, "--output", filepath.Join(b.dir, "kept.tar")}
	cmd := exec.Command(b.binary, append(args, more...)...)
	cmd.Env = clean()
	return cmd
}

// run runs the program and returns what it prints.
func (b *imageBuilder) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(b.binary, args...)
	cmd.Env = clean()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// What is kept of a build shows in the cache, goes with it, and changes no bit.
func TestKeptRoots(t *testing.T) {
	b := newImageBuilder(t)
	cache := filepath.Join(b.dir, "cache")
	want, said := b.keptBuild(t, cache, "--no-cache")
	list := b.run(t, "cache", "list", "--cache", cache)
	if strings.Contains(list, "unpacked") || strings.Contains(list, "root of") || strings.Contains(said, "assembled before") {
		t.Errorf("--no-cache kept something:\n%s", list)
	}
	for i, again := range []bool{false, true} {
		got, said := b.keptBuild(t, cache)
		if got != want {
			t.Errorf("build %d has other bits", i+1)
		}
		if strings.Contains(said, "assembled before") != again {
			t.Errorf("build %d says\n%s", i+1, said)
		}
	}
	list = b.run(t, "cache", "list", "--cache", cache)
	if !strings.Contains(list, "unpacked ") || !strings.Contains(list, "root of debian 12 ") {
		t.Errorf("the list does not tell of what was kept:\n%s", list)
	}
	b.run(t, "cache", "verify", "--cache", cache)
	// Unpacked packages serve where the root cannot.
	if got, said := b.keptBuild(t, cache, "--epoch", "2026-11-16T00:00:00Z"); got == want || strings.Contains(said, "assembled before") {
		t.Errorf("the root of another epoch was taken:\n%s", said)
	}
	b.run(t, "cache", "prune", "--all", "--yes", "--cache", cache)
	if names, err := os.ReadDir(filepath.Join(cache, "derived")); err != nil || len(names) > 0 {
		t.Errorf("%d records outlived what they name: %v", len(names), err)
	}
	if got, _ := b.keptBuild(t, cache); got != want {
		t.Error("after pruning there are other bits")
	}
}

// Builds that are killed, at whatever moment, and builds beside each other do
// no harm to those after them.
func TestKilledAndConcurrentBuilds(t *testing.T) {
	b := newImageBuilder(t)
	cache := filepath.Join(b.dir, "cache")
	want, _ := b.keptBuild(t, filepath.Join(b.dir, "other"), "--no-cache")
	for _, after := range []time.Duration{100, 300, 600, 1000, 1500, 2000} {
		cmd := b.keptCommand(cache)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	var beside []*exec.Cmd
	for i := range 2 {
		cmd := b.keptCommand(cache, "--output", filepath.Join(b.dir, fmt.Sprintf("beside%d.tar", i)))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		beside = append(beside, cmd)
	}
	for _, cmd := range beside {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if got, said := b.keptBuild(t, cache); got != want || strings.Contains(said, "warning") {
		t.Errorf("other bits, or a warning:\n%s", said)
	}
	b.run(t, "cache", "verify", "--cache", cache)
}
