package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Blob is what the cache knows of one blob without reading it.
type Blob struct {
	Digest lockfile.Digest `json:"sha256"`
	Size   int64           `json:"size"` // in bytes
	// Used is when the blob was last asked for.
	Used time.Time `json:"used"`
	// Names are the paths that the file is known by, sorted, then what it was
	// derived of.
	Names []string `json:"names,omitempty"`
	// Pins are the names of the pins that keep it, sorted.
	Pins []string `json:"pins,omitempty"`
}

// List returns all blobs, sorted by digest.
func (c *Cache) List(ctx context.Context) ([]Blob, error) {
	blobs, err := c.scan(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := c.pinned()
	if err != nil {
		return nil, err
	}
	names, err := c.allNames(ctx)
	if err != nil {
		return nil, err
	}
	derived, err := c.derivedNames()
	if err != nil {
		return nil, err
	}
	for i := range blobs {
		blobs[i].Names = slices.Concat(names[blobs[i].Digest], derived[blobs[i].Digest])
		blobs[i].Pins = pins[blobs[i].Digest]
	}
	return blobs, nil
}

// scan reads the directory of blobs. Files that are named otherwise than a
// blob are none of ours and are passed over.
func (c *Cache) scan(ctx context.Context) ([]Blob, error) {
	entries, err := os.ReadDir(c.path(blobsPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	blobs := make([]Blob, 0, len(entries))
	for _, e := range entries {
		d, ok := blobName(e.Name())
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, Blob{Digest: d, Size: info.Size(), Used: info.ModTime()})
	}
	return blobs, nil
}

// blobName reads a file name as that of a blob: 64 lower-case digits.
func blobName(name string) (lockfile.Digest, bool) {
	d, err := lockfile.ParseDigest(name)
	return d, err == nil && d.String() == name
}

// Info sums up a cache. Sizes are in bytes.
type Info struct {
	Dir          string `json:"dir"`
	Format       int    `json:"format"`
	Blobs        int    `json:"blobs"`
	Bytes        int64  `json:"bytes"`
	PinnedBlobs  int    `json:"pinned_blobs"`
	PinnedBytes  int64  `json:"pinned_bytes"`
	Pins         int    `json:"pins"`
	Partials     int    `json:"partials"`
	PartialBytes int64  `json:"partial_bytes"`
	Damaged      int    `json:"damaged"`
	DamagedBytes int64  `json:"damaged_bytes"`
}

// Info counts what is in the cache.
func (c *Cache) Info(ctx context.Context) (Info, error) {
	info := Info{Dir: c.dir, Format: version}
	blobs, err := c.scan(ctx)
	if err != nil {
		return info, err
	}
	pins, err := c.Pins()
	if err != nil {
		return info, err
	}
	keeps := map[lockfile.Digest]bool{}
	for _, p := range pins {
		for _, e := range p.Lock.Entries {
			keeps[e.Digest] = true
		}
	}
	info.Pins = len(pins)
	for _, b := range blobs {
		info.Blobs++
		info.Bytes += b.Size
		if keeps[b.Digest] {
			info.PinnedBlobs++
			info.PinnedBytes += b.Size
		}
	}
	if info.Partials, info.PartialBytes, err = c.count(partialDir); err != nil {
		return info, err
	}
	info.Damaged, info.DamagedBytes, err = c.count(damagedDir)
	return info, err
}

// count counts the files of a folder and their bytes.
func (c *Cache) count(dir string) (files int, bytes int64, err error) {
	err = c.each(dir, func(_ string, info fs.FileInfo) error {
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}

// each calls f for each file of a folder, in the order of names.
func (c *Cache) each(dir string, f func(path string, info fs.FileInfo) error) error {
	entries, err := os.ReadDir(c.path(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f(c.path(dir+"/"+e.Name()), info); err != nil {
			return err
		}
	}
	return nil
}
