package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

// layoutOCI is the layout that the cache leaves to others.
const layoutOCI cache.Layout = "oci"

func (p *program) cacheExport() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "copy the files of a lock out of the cache",
		ArgsUsage: "FILE DEST",
		Description: "Copies the files that a lock names from the cache to DEST, each hashed on the way. The layout \"pool\" has each file at its path, with the lock as SHA256SUMS, so that \"sha256sum -c SHA256SUMS\" passes there; \"flat\" has all files in one directory; \"tar\" is one file with what pool has, - for standard output; \"oci\" is an OCI image layout, which skopeo and oras copy to registries, with the lock in it. " +
			"Each can be a --source for others.\n\n" +
			"Examples:\n" +
			"  samebits cache export SHA256SUMS /mnt/usb/debs\n" +
			"  samebits cache export --layout flat SHA256SUMS ./debs\n" +
			"  samebits cache export --layout tar SHA256SUMS debs.tar\n" +
			"  samebits cache export --layout oci --tag web SHA256SUMS ./layout",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "layout", Value: string(cache.LayoutPool), Usage: "the form of DEST: `LAYOUT` is pool, flat, tar or oci"},
			&cli.StringFlag{Name: "tag", Usage: "what the lock is called in an OCI layout: `TAG`"},
			cacheFlag(),
		},
		Action: p.verb((*session).cacheExport),
	}
}

func (s *session) cacheExport() error {
	layout := cache.Layout(s.String("layout"))
	switch layout {
	case cache.LayoutFlat, cache.LayoutPool, cache.LayoutTar, layoutOCI:
	default:
		return s.usagef("%q is not a layout: pool, flat, tar or oci", layout)
	}
	if s.IsSet("tag") && layout != layoutOCI {
		return s.usagef("--tag is for --layout oci")
	}
	name, dest := s.Args().Get(0), s.Args().Get(1)
	if dest == "-" && layout != cache.LayoutTar {
		return s.usagef("only --layout tar can be written to standard output")
	}
	if info, err := os.Stat(dest); err == nil && !info.IsDir() && layout != cache.LayoutTar {
		return fmt.Errorf("export to %s: it is no directory; name one, or choose --layout tar", dest)
	}
	lock, err := s.readLock(name)
	if err != nil {
		return err
	}
	s.noteMissing(name, lock)
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	if layout == layoutOCI {
		return s.exportLayout(c, lock, dest)
	}
	if dest == "-" {
		err = c.WriteTar(s.ctx, lock, s.stdout)
	} else {
		err = c.Export(s.ctx, lock, dest, layout)
	}
	var missing *cache.MissingError
	if errors.As(err, &missing) {
		return missingf("%s", s.notCached(missing))
	}
	if err != nil {
		return err
	}
	s.say("%s exported", count(len(lock.Entries), "file"))
	return nil
}

// exportLayout adds a lock with its files to an OCI image layout.
func (s *session) exportLayout(c *cache.Cache, lock *lockfile.Lock, dest string) error {
	layout, err := oci.NewLayout(dest, s.String("tag"))
	if err != nil {
		return err
	}
	return s.push(c, layout, []*lockfile.Lock{lock})
}

func (s *session) notCached(e *cache.MissingError) string {
	return fmt.Sprintf("%s of the lock %s not in the cache %s: %s; run \"samebits lock fetch\" first",
		count(len(e.Entries), "file"), are(len(e.Entries)), e.Dir, s.some(bases(e.Entries)))
}

func bases(entries []lockfile.Entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Base()
	}
	return names
}
