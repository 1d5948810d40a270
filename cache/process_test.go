package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// The test binary runs itself as other processes: the first of these in the
// environment is the directory of a cache that such a child fills.
const (
	childCache = "SAMEBITS_TEST_CHILD_CACHE"
	childSleep = "SAMEBITS_TEST_CHILD_SLEEP"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childCache); dir != "" {
		pause, _ := time.ParseDuration(os.Getenv(childSleep))
		if err := fillAll(dir, pause); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testBlob returns the content of the blob of a number: 256 KiB.
func testBlob(i int) []byte {
	b := make([]byte, 256<<10)
	for j := range b {
		b[j] = byte(i + j*(i+1)>>8)
	}
	return b
}

const testBlobs = 12

// fillAll does what a run does: it gets all blobs, uses them and remembers
// their names. It prints a line for each blob that it completed.
func fillAll(dir string, pause time.Duration) error {
	c, err := Open(dir)
	if err != nil {
		return err
	}
	var entries []lockfile.Entry
	for i := range testBlobs {
		b := testBlob(i)
		d := lockfile.DigestOf(b)
		entries = append(entries, lockfile.Entry{Digest: d, Path: fmt.Sprintf("pool/%d.deb", i)})
		if err := fillOne(c, d, b, pause); err != nil {
			return err
		}
		if err := c.Remember(ctx, entries); err != nil {
			return err
		}
		if _, err := c.Path(ctx, d); err != nil {
			return err
		}
	}
	return errors.Join(c.Sync(ctx), c.Close())
}

func fillOne(c *Cache, d lockfile.Digest, b []byte, pause time.Duration) error {
	p, err := c.Begin(ctx, d)
	if p == nil || err != nil {
		return err
	}
	for piece := b[p.Offset():]; len(piece) > 0; {
		n, err := p.Write(piece[:min(len(piece), 16<<10)])
		if err != nil {
			return errors.Join(err, p.Close())
		}
		piece = piece[n:]
		time.Sleep(pause)
	}
	if err := p.Commit(); err != nil {
		return errors.Join(err, p.Close())
	}
	fmt.Println("completed", d)
	return p.Close()
}

func child(dir string, pause time.Duration) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childCache+"="+dir, childSleep+"="+pause.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// wantFilled checks what a completed run must leave, and nothing besides.
func wantFilled(t *testing.T, dir string) {
	t.Helper()
	c := open(t, dir)
	wantEmpty(t, c, partialDir, leasesDir, damagedDir)
	v, err := c.Verify(ctx, nil)
	if err != nil || v.Blobs != testBlobs {
		t.Errorf("%+v, %v", v, err)
	}
	for i := range testBlobs {
		names, err := c.Names(ctx, lockfile.DigestOf(testBlob(i)))
		if want := "pool/" + strconv.Itoa(i) + ".deb"; err != nil || len(names) != 1 || names[0] != want {
			t.Errorf("names of %d: %v, %v", i, names, err)
		}
	}
}

func TestProcessesShareAColdCache(t *testing.T) {
	dir := t.TempDir()
	var outs []*bytes.Buffer
	var cmds []*exec.Cmd
	for range 4 {
		cmd, out := child(dir, 100*time.Microsecond)
		must(t, cmd.Start())
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	completed := 0
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, outs[i])
		}
		completed += strings.Count(outs[i].String(), "completed")
	}
	if completed != testBlobs {
		t.Errorf("%d blobs were completed, of %d", completed, testBlobs)
	}
	wantFilled(t, dir)
}

func TestKilledAtAnyMoment(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	killed := 0
	for range rounds {
		dir := t.TempDir()
		for range 2 {
			cmd, _ := child(dir, 50*time.Microsecond)
			must(t, cmd.Start())
			time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			cmd.Process.Signal(syscall.SIGKILL)
			if cmd.Wait() != nil {
				killed++
			}
		}
		cmd, out := child(dir, 0)
		if err := cmd.Run(); err != nil {
			t.Fatalf("the run after the kill: %v: %s", err, out)
		}
		wantFilled(t, dir)
	}
	t.Logf("killed %d of %d", killed, 2*rounds)
}

// tmpfs mounts a file system of its own for the test, which needs root.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "size=1m")
	err := fillAll(dir, 0)
	var full *FullError
	if !errors.As(err, &full) || full.Dir != dir || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	c := open(t, dir)
	if v, err := c.Verify(ctx, nil); err != nil || v.Blobs == 0 {
		t.Errorf("what is there: %+v, %v", v, err)
	}
	must(t, c.Close())
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"))
	must(t, fillAll(dir, 0))
	wantFilled(t, dir)
}

func TestReadOnly(t *testing.T) {
	dir := tmpfs(t, "size=16m")
	must(t, fillAll(dir, 0))
	remount := func(flags uintptr) { must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, "")) }
	remount(unix.MS_RDONLY)
	defer remount(0)
	c := open(t, dir)
	there := lockfile.DigestOf(testBlob(3))
	if p, err := c.Begin(ctx, there); p != nil || err != nil {
		t.Errorf("Begin of what is there: %v, %v", p, err)
	}
	f, err := c.Open(ctx, there)
	must(t, err)
	b, _ := io.ReadAll(f)
	must(t, f.Close())
	if !bytes.Equal(b, testBlob(3)) {
		t.Error("other bytes")
	}
	if blobs, err := c.List(ctx); err != nil || len(blobs) != testBlobs || len(blobs[0].Names) != 1 {
		t.Errorf("List: %d, %v", len(blobs), err)
	}
	if v, err := c.Verify(ctx, nil); err != nil || v.Blobs != testBlobs {
		t.Errorf("Verify: %+v, %v", v, err)
	}
	must(t, c.Sync(ctx))
	if p, err := c.Prune(ctx, PruneOptions{All: true, DryRun: true}); err != nil || len(p.Blobs)+p.InUse != testBlobs {
		t.Errorf("what would be pruned: %+v, %v", p, err)
	}
	lock := lockOf("a.deb=A")
	writes := map[string]func() error{
		"Begin":    func() error { _, err := c.Begin(ctx, lock.Entries[0].Digest); return err },
		"Remember": func() error { return c.Remember(ctx, lock.Entries) },
		"Pin":      func() error { return c.Pin(ctx, "p", lock) },
		"Unpin":    func() error { return c.Unpin(ctx, "p") },
		"Prune":    func() error { _, err := c.Prune(ctx, PruneOptions{All: true}); return err },
		"Rebuild":  func() error { return c.Rebuild(ctx) },
	}
	for name, write := range writes {
		var readOnly *ReadOnlyError
		if err := write(); !errors.As(err, &readOnly) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "choose another directory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(dir + "/new"); err == nil || !strings.Contains(err.Error(), "choose another directory") {
		t.Errorf("a new cache there: %v", err)
	}
}

// TestPruneSparesOtherProcesses prunes while another process is filling the
// cache, and kills that process in the end: its claim ends with it.
func TestPruneSparesOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	cmd, out := child(dir, time.Millisecond)
	must(t, cmd.Start())
	c := open(t, dir)
	for c.Has(lockfile.DigestOf(testBlob(2))) == false {
		if err := sleep(ctx, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if cmd.ProcessState != nil {
			t.Fatal(out)
		}
	}
	got, err := c.Prune(ctx, PruneOptions{All: true})
	if err != nil || len(got.Blobs) != 0 || got.InUse < 3 {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	got, err = c.Prune(ctx, PruneOptions{All: true})
	if err != nil || got.InUse != 0 || len(got.Blobs) < 3 {
		t.Errorf("after the kill: %+v, %v", got, err)
	}
}

func TestWaitIsCalledOff(t *testing.T) {
	c := open(t, t.TempDir())
	l, err := os.Open(c.path(lockFile))
	must(t, err)
	defer l.Close()
	must(t, flock(ctx, l, unix.LOCK_EX))
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for what, f := range map[string]func() error{
		"Path":  func() error { _, err := c.Path(short, lockfile.Digest{1}); return err },
		"Prune": func() error { _, err := c.Prune(short, PruneOptions{}); return err },
		"Names": func() error { _, err := c.Names(short, lockfile.Digest{1}); return err },
	} {
		if err := f(); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
