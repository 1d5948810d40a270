package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// BenchmarkFill completes 50 blobs of 1 MB, in pieces of 32 KiB as a network
// client has them, with and without waiting for the disk at the end.
func BenchmarkFill(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			const size = 1 << 20
			data := make([]byte, size)
			b.SetBytes(50 * size)
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				dir := b.TempDir()
				c := open(b, dir)
				b.StartTimer()
				for i := range 50 {
					binary.LittleEndian.PutUint64(data, uint64(n*50+i))
					b.StopTimer()
					d := lockfile.DigestOf(data)
					b.StartTimer()
					p, err := c.Begin(ctx, d)
					must(b, err)
					for rest := data; len(rest) > 0; rest = rest[32<<10:] {
						if _, err := p.Write(rest[:32<<10]); err != nil {
							b.Fatal(err)
						}
					}
					must(b, errors.Join(p.Commit(), p.Close()))
				}
				if sync {
					must(b, c.Sync(ctx))
				}
				b.StopTimer()
				must(b, errors.Join(c.Close(), os.RemoveAll(dir)))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkMany works on 10,000 blobs of 4 KiB with a name each.
func BenchmarkMany(b *testing.B) {
	const blobs = 10000
	c := open(b, b.TempDir())
	data := make([]byte, 4<<10)
	var entries []lockfile.Entry
	for i := range blobs {
		binary.LittleEndian.PutUint64(data, uint64(i))
		d := lockfile.DigestOf(data)
		must(b, os.WriteFile(c.blobPath(d), data, blobMode))
		entries = append(entries, lockfile.Entry{Digest: d, Path: fmt.Sprintf("pool/main/p/package%d/package%d_1.0-1_amd64.deb", i, i)})
	}
	must(b, c.Remember(ctx, entries))
	run := func(name string, f func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := f(); err != nil || n != blobs {
					b.Fatal(n, err)
				}
			}
		})
	}
	run("list", func() (int, error) { l, err := c.List(ctx); return len(l), err })
	run("verify", func() (int, error) { v, err := c.Verify(ctx, nil); return v.Blobs, err })
	run("path", func() (int, error) {
		for i, e := range entries {
			if _, err := c.Path(ctx, e.Digest); err != nil {
				return i, err
			}
		}
		return blobs, nil
	})
	run("remember again", func() (int, error) { return blobs, c.Remember(ctx, entries) })
	run("names of one", func() (int, error) { n, err := c.Names(ctx, entries[7].Digest); return len(n) * blobs, err })
	run("rebuild", func() (int, error) { return blobs, c.Rebuild(ctx) })
	must(b, c.Close())
	c = open(b, c.Dir())
	run("prune dry run", func() (int, error) {
		p, err := c.Prune(ctx, PruneOptions{All: true, DryRun: true})
		return len(p.Blobs), err
	})
}
