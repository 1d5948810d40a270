package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

// keepFor lets a build use and keep what other builds from the same packages
// made, in the cache.
func (s *session) keepFor(plan *imagebuild.Plan, c *cache.Cache) error {
	if s.Bool("no-cache") {
		return nil
	}
	program, err := programDigest()
	if err != nil {
		return fmt.Errorf("find out which program this is: %w; build with --no-cache", err)
	}
	plan.Store, plan.Unpacked, plan.Program = c, unpacked{c}, program.String()
	return nil
}

// imageMemory is what the program keeps to while it builds, in bytes, so that
// with what Go does not count it stays below 256 MiB.
const imageMemory = 160 << 20

// boundMemory has garbage collected in time, unless the environment decides.
func (s *session) boundMemory() {
	if s.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(imageMemory)
	}
}

// programDigest is that of the running program. What it assembled follows from
// its code too, whatever version it calls itself.
func programDigest() (d lockfile.Digest, err error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}

// unpacked is a cache that keeps what packages decompress to.
type unpacked struct{ c *cache.Cache }

var _ distro.Unpacked = unpacked{}

// unpackedKey stands for the first format of what is kept: the data of a
// package, decompressed.
func unpackedKey(d lockfile.Digest) lockfile.Digest {
	return lockfile.DigestOf([]byte("unpacked 1\n" + d.String() + "\n"))
}

// Open implements [distro.Unpacked].
func (u unpacked) Open(ctx context.Context, d lockfile.Digest) (io.ReadCloser, error) {
	blobs, err := u.c.Derived(ctx, unpackedKey(d))
	if err != nil {
		return nil, err
	}
	return u.c.Open(ctx, blobs[0])
}

// Keep implements [distro.Unpacked].
func (u unpacked) Keep(ctx context.Context, d lockfile.Digest, r io.Reader) error {
	blob, err := u.c.Add(ctx, r, -1, nil)
	if err != nil {
		return err
	}
	return u.c.SetDerived(ctx, unpackedKey(d), "unpacked "+d.String(), []lockfile.Digest{blob})
}

func noCacheFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-cache", Usage: "use nothing that earlier builds made, and keep nothing for later ones; packages still come from the cache"}
}
