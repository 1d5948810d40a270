package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// The tests in accept_*_test.go hold the binary that people get to what is
// promised of it: real roots, real package managers, servers that misbehave,
// kills and full disks. They see only its output, its exit code and its files.

// builtDir is where the binary of this run is; TestMain removes it.
var builtDir string

// built is the binary as it is released, built once for all tests of a run.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "samebits-accept-")
	if err != nil {
		return "", err
	}
	builtDir = dir
	// Roots and users of the tests' own must be able to run it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "samebits"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "samebits"), nil
})

func builtBinary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// needs skips a test that takes long or wants root or programs.
func needs(t *testing.T, root bool, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
	if root && os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, p := range programs {
		if !has(p) {
			t.Skipf("needs %s", p)
		}
	}
}

// random gives numbers by a seed that is told, and taken from SAMEBITS_TEST_SEED
// where that is set, so that a failure can be had again.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SAMEBITS_TEST_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("SAMEBITS_TEST_SEED: %v", err)
		}
	}
	t.Logf("SAMEBITS_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// result is what a run of a program left.
type result struct {
	args           []string
	code           int // -1 where a signal ended it
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("%s: exit code %d\nstdout:\n%s\nstderr:\n%s", strings.Join(r.args, " "), r.code, head(r.stdout), head(r.stderr))
}

func head(s string) string {
	if len(s) > 8000 {
		return s[:4000] + "\n[…]\n" + s[len(s)-4000:]
	}
	return s
}

// clean is the environment of the runs: nothing of the person who tests.
func clean(more ...string) []string {
	env := []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...)
}

// command prepares a run of samebits with a cache.
func command(t *testing.T, cache string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(builtBinary(t), args...)
	cmd.Env = clean("SAMEBITS_CACHE=" + cache)
	return cmd
}

// finish runs a prepared command to its end.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", cmd, err)
	}
	return result{cmd.Args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// samebits runs it with a cache and wants an exit code.
func samebits(t *testing.T, code int, cache string, args ...string) result {
	t.Helper()
	r := finish(t, command(t, cache, args...))
	if r.code != code {
		t.Fatalf("want exit code %d of %v", code, r)
	}
	return r
}

// must runs another program, and fails the test where that fails.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = clean("LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	r := finish(t, cmd)
	if r.code != 0 {
		t.Fatal(r)
	}
	return r.stdout
}

// goods makes files of the given sizes, by the paths that a lock has them at.
// They are no distribution's packages, so that no mirror but those that a test
// names is asked for them.
func goods(r *rand.Rand, sizes ...int) map[string][]byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], r.Uint64())
	content := rand.NewChaCha8(seed)
	out := map[string][]byte{}
	for i, n := range sizes {
		b := make([]byte, n)
		_, _ = content.Read(b)
		out[fmt.Sprintf("pool/%02d.bin", i)] = b
	}
	return out
}

// same is n times size.
func same(n, size int) []int { return slices.Repeat([]int{size}, n) }

// writeLock writes a lock of files.
func writeLock(t *testing.T, files map[string][]byte) string {
	t.Helper()
	l := &lockfile.Lock{}
	for p, b := range files {
		l.Entries = append(l.Entries, lockfile.Entry{Path: p, Digest: lockfile.DigestOf(b), Archive: lockfile.Archive{Name: "Test"}})
	}
	if err := l.Sort(); err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "SHA256SUMS"), string(l.Format()))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, text string) *lockfile.Lock {
	t.Helper()
	l, err := lockfile.Parse("lock", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// blobSizes returns the sizes of the finished files in a cache; every one must
// be what its name says.
func blobSizes(t *testing.T, cache string) map[string]int64 {
	t.Helper()
	return sizesBelow(t, filepath.Join(cache, "blobs", "sha256"), true)
}

// partialSizes returns the sizes of the unfinished files in a cache.
func partialSizes(t *testing.T, cache string) map[string]int64 {
	t.Helper()
	return sizesBelow(t, filepath.Join(cache, "partial"), false)
}

func sizesBelow(t *testing.T, dir string, check bool) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if check && lockfile.DigestOf(b).String() != e.Name() {
			t.Errorf("%s has other bytes than its name says", e.Name())
		}
		out[e.Name()] = int64(len(b))
	}
	return out
}

// inCache fails the test unless a cache has all files.
func inCache(t *testing.T, cache string, files map[string][]byte) {
	t.Helper()
	have := blobSizes(t, cache)
	for p, b := range files {
		if _, ok := have[lockfile.DigestOf(b).String()]; !ok {
			t.Errorf("%s is not in the cache", p)
		}
	}
}

// complete fails the test unless a cache has all files and no leftovers.
func complete(t *testing.T, cache string, files map[string][]byte) {
	t.Helper()
	inCache(t, cache, files)
	if left := partialSizes(t, cache); len(left) > 0 {
		t.Errorf("left over in partial: %v", left)
	}
}

func sum(sizes map[string]int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

// listing tells all that can be seen of a tree but times of access: names,
// modes, sizes, times and contents' digests.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %s", p, info.Mode(), info.ModTime().UTC())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %s", lockfile.DigestOf(data))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return b.String()
}
