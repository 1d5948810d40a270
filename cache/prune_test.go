package cache

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// aged adds a blob of four bytes that was last used so long ago.
func aged(t testing.TB, c *Cache, text string, age time.Duration) lockfile.Digest {
	t.Helper()
	d := add(t, c, text)
	at := time.Now().Add(-age)
	must(t, os.Chtimes(c.blobPath(d), at, at))
	return d
}

func TestPrune(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name string
		opts PruneOptions
		want string // which of new, mid, old, pin stay
	}{
		{"nothing asked", PruneOptions{}, "new mid old pin"},
		{"all", PruneOptions{All: true}, "pin"},
		{"dry run", PruneOptions{All: true, DryRun: true}, "new mid old pin"},
		{"by age", PruneOptions{MaxAge: 5 * day}, "new mid pin"},
		{"by size", PruneOptions{MaxBytes: 8}, "new pin"},
		{"size that fits", PruneOptions{MaxBytes: 12}, "new mid old pin"},
		{"size below the pins", PruneOptions{MaxBytes: 1}, "pin"},
		{"both", PruneOptions{MaxAge: 5 * day, MaxBytes: 6}, "new pin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			blobs := []lockfile.Digest{
				aged(t, c, "new", 1*day), aged(t, c, "mid", 3*day), aged(t, c, "old", 8*day), aged(t, c, "pin", 9*day),
			}
			must(t, c.Pin(ctx, "p", &lockfile.Lock{Entries: []lockfile.Entry{{Digest: blobs[3], Path: "pin"}}}))
			got, err := c.Prune(ctx, tt.opts)
			must(t, err)
			left, stay := 0, ""
			for i, name := range []string{"new", "mid", "old", "pin"} {
				if c.Has(blobs[i]) {
					left++
					stay += " " + name
				}
			}
			if stay[1:] != tt.want {
				t.Errorf("%s stay, not %s", stay, tt.want)
			}
			if gone := 4 - left; !tt.opts.DryRun && (len(got.Blobs) != gone || got.Bytes != int64(3*gone)) {
				t.Errorf("got %+v", got)
			}
			if tt.opts.DryRun && len(got.Blobs) != 3 {
				t.Errorf("the dry run would remove %d", len(got.Blobs))
			}
		})
	}
}

func TestPruneSparesWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	used, unused := aged(t, c, "used", 48*time.Hour), aged(t, c, "unused", 48*time.Hour)
	user := open(t, dir)
	_, err := user.Path(ctx, used)
	must(t, err)
	got, err := c.Prune(ctx, PruneOptions{All: true})
	must(t, err)
	if !c.Has(used) || c.Has(unused) || got.InUse != 1 {
		t.Errorf("used: %v, unused: %v, %+v", c.Has(used), c.Has(unused), got)
	}
	must(t, user.Close())
	must(t, c.Close())
	if _, err = open(t, dir).Prune(ctx, PruneOptions{All: true}); err != nil || c.Has(used) {
		t.Errorf("still there after its user closed (%v)", err)
	}
}

// TestPruneSparesWhatIsHeld is for users who can have no lease, as they may
// not write into the cache.
func TestPruneSparesWhatIsHeld(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	d := aged(t, c, "held", 48*time.Hour)
	must(t, c.Close())
	user := open(t, dir)
	user.noLease = true
	for range 2 {
		_, err := user.Path(ctx, d)
		must(t, err)
	}
	pruner := open(t, dir)
	if got, err := pruner.Prune(ctx, PruneOptions{All: true}); err != nil || !pruner.Has(d) || got.InUse != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, user.Close())
	if _, err := pruner.Prune(ctx, PruneOptions{All: true}); err != nil || pruner.Has(d) {
		t.Errorf("still there: %v", err)
	}
}

// Who asks what would go changes nothing, not even the lease of a dead process.
func TestDryRunChangesNothing(t *testing.T) {
	c := open(t, t.TempDir())
	aged(t, c, "old", 48*time.Hour)
	dead := c.path(leasesDir + "/dead")
	must(t, os.WriteFile(dead, nil, 0o644))
	must(t, c.Close())
	asked := open(t, c.Dir())
	for _, dry := range []bool{true, false} {
		got, err := asked.Prune(ctx, PruneOptions{All: true, DryRun: dry})
		if err != nil || len(got.Blobs) != 1 || got.InUse != 0 {
			t.Errorf("dry %v: %+v, %v", dry, got, err)
		}
		if _, err := os.Lstat(dead); (err == nil) != dry {
			t.Errorf("dry %v: the dead lease: %v", dry, err)
		}
	}
}

func TestPruneLeftovers(t *testing.T) {
	c := open(t, t.TempDir())
	d := add(t, c, "soon damaged")
	must(t, os.WriteFile(c.blobPath(d), []byte("bad"), 0o644))
	c.Path(ctx, d)
	p, err := c.Begin(ctx, lockfile.DigestOf([]byte("x")))
	must(t, err)
	must(t, write(p, "y"))
	name := p.f.Name()
	old := time.Now().Add(-2 * staleAfter)
	must(t, os.Chtimes(name, old, old))
	for i, dry := range []bool{true, false} {
		got, err := c.Prune(ctx, PruneOptions{DryRun: dry})
		must(t, err)
		if got.Leftovers != 1 || got.LeftoverBytes != 3 {
			t.Errorf("%d: %+v", i, got)
		}
	}
	wantEmpty(t, c, damagedDir)
	must(t, errors.Join(p.Close()))
	if _, err := c.Prune(ctx, PruneOptions{}); err != nil {
		t.Error(err)
	}
	wantEmpty(t, c, partialDir)
}

// TestPruneWhileUsed prunes without pause while blobs are added and used: none
// may vanish between its Begin and its Path.
func TestPruneWhileUsed(t *testing.T) {
	dir := t.TempDir()
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		pruner, err := Open(dir)
		for err == nil {
			select {
			case <-stop:
				done <- pruner.Close()
				return
			default:
				_, err = pruner.Prune(ctx, PruneOptions{All: true})
			}
		}
		done <- err
	}()
	for i := range 60 {
		c := open(t, dir)
		d := add(t, c, fmt.Sprint("shared ", i%3))
		if _, err := c.Path(ctx, d); err != nil {
			t.Fatal(err)
		}
		must(t, c.Close())
	}
	close(stop)
	must(t, <-done)
}
