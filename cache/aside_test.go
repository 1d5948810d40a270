package cache

import (
	"errors"
	"os"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// What lies in a blob's place is set aside, of whatever kind it is and whatever
// was set aside before.
func TestSetsAsideWhateverIsThere(t *testing.T) {
	c, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	data := []byte("a package")
	d := lockfile.DigestOf(data)
	name := c.blobPath(d)
	if err := os.MkdirAll(c.path(blobsPath), 0o755); err != nil {
		t.Fatal(err)
	}
	directory := func() error { return errors.Join(os.Mkdir(name, 0o755), os.WriteFile(name+"/x", nil, 0o644)) }
	file := func() error { return os.WriteFile(name, []byte("another"), 0o644) }
	for i, make := range []func() error{file, directory, directory, file, file} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		var damaged *DamagedError
		if _, err := c.Open(t.Context(), d); !errors.As(err, &damaged) || damaged.SetAside == "" {
			t.Fatalf("%d: %v is not set aside", i, err)
		}
		if c.Has(d) {
			t.Fatalf("%d: it is still there", i)
		}
	}
	p, err := c.Begin(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
}
