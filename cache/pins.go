package cache

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/samebits/samebits/lockfile"
)

// A Pin keeps the files that its lock names from being pruned.
type Pin struct {
	Name string         `json:"name"`
	Lock *lockfile.Lock `json:"-"`
}

// checkPinName allows what is safe as a file name and easy to type.
func checkPinName(name string) error {
	for i, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case i > 0 && (r == '.' || r == '-' || r == '_' || r == '+' || r == '@'):
		default:
			return fmt.Errorf("%q cannot be the name of a pin: it may have letters, digits and, not first, any of .-_+@", name)
		}
	}
	if name == "" || len(name) > 128 {
		return fmt.Errorf("the name of a pin has 1 to 128 characters, this has %d", len(name))
	}
	return nil
}

// Pin keeps what the lock names from being pruned until [Cache.Unpin]. A pin
// of the same name is replaced. The files need not be in the cache yet.
func (c *Cache) Pin(ctx context.Context, name string, lock *lockfile.Lock) error {
	if err := checkPinName(name); err != nil {
		return err
	}
	sorted := *lock
	if err := sorted.Sort(); err != nil {
		return fmt.Errorf("pin %s: %w", name, err)
	}
	err := c.exclusive(ctx, func() error {
		return c.replace(pinsDir+"/"+name, sorted.Format())
	})
	if err != nil {
		return fmt.Errorf("pin %s: %w", name, err)
	}
	return nil
}

// Unpin removes a pin. One that is not there is a [*NoPinError].
func (c *Cache) Unpin(ctx context.Context, name string) error {
	if err := checkPinName(name); err != nil {
		return err
	}
	return c.exclusive(ctx, func() error {
		err := os.Remove(c.path(pinsDir + "/" + name))
		if errors.Is(err, fs.ErrNotExist) {
			return &NoPinError{Dir: c.dir, Name: name}
		}
		return c.explain(err)
	})
}

// Pins returns all pins, sorted by name. A pin that cannot be read is an
// error: what it names must not be forgotten.
func (c *Cache) Pins() ([]Pin, error) {
	entries, err := os.ReadDir(c.path(pinsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pins []Pin
	for _, e := range entries {
		if checkPinName(e.Name()) != nil {
			continue // such as what a crash left of one being written
		}
		b, err := os.ReadFile(c.path(pinsDir + "/" + e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed just now
		}
		if err != nil {
			return nil, fmt.Errorf("read the pin %s: %w", e.Name(), err)
		}
		lock, err := lockfile.Parse(c.path(pinsDir+"/"+e.Name()), bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("the pin is damaged; pin its lock again or remove it: %w", err)
		}
		pins = append(pins, Pin{Name: e.Name(), Lock: lock})
	}
	slices.SortFunc(pins, func(a, b Pin) int { return cmp.Compare(a.Name, b.Name) })
	return pins, nil
}

// pinned returns, for each digest that pins name, the names of those pins.
func (c *Cache) pinned() (map[lockfile.Digest][]string, error) {
	pins, err := c.Pins()
	if err != nil {
		return nil, err
	}
	by := map[lockfile.Digest][]string{}
	for _, p := range pins {
		for _, e := range p.Lock.Entries {
			if names := by[e.Digest]; len(names) == 0 || names[len(names)-1] != p.Name {
				by[e.Digest] = append(names, p.Name)
			}
		}
	}
	return by, nil
}

// replace writes a file that is either the old or the new one after a crash,
// and on the disk when replace returns. The caller has the exclusive lock, so
// one temporary name is enough, and a left-over one is written over.
func (c *Cache) replace(name string, data []byte) error {
	temporary := c.path(pinsDir + "/.new")
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, blobMode)
	if err != nil {
		return c.explain(err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, c.path(name))
	}
	if err != nil {
		os.Remove(temporary)
		return c.explain(err)
	}
	return syncDir(c.path(pinsDir))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
