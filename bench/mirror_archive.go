package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/lockfile"
)

const (
	stockCount  = 100_000 // files that the mirror has at the start
	stockSize   = 4 << 10
	coldCount   = 300
	coldClients = 8
)

// An archive is one of Debian's form: files in pool, an index of them and of
// those that only the mirror has any more, and a Release that nobody signed.
type archive struct {
	dir   string
	url   string // where nginx serves it
	index strings.Builder
	// Those that are fetched cold are also in a suite of their own, so that
	// clients need not read of all others.
	cold      []string // paths
	coldIndex strings.Builder
}

// The suites of an archive.
const (
	allSuite  = "stable"
	coldSuite = "cold"
)

// newArchive makes one: a file of each hot size, and those that are fetched
// cold, which are as small and as large as Debian's packages mostly are.
func (b *bench) newArchive() (*archive, error) {
	a := &archive{dir: filepath.Join(b.dir, "archive")}
	if err := os.MkdirAll(filepath.Join(a.dir, "pool"), 0o755); err != nil {
		return nil, err
	}
	for _, hot := range hotSizes {
		if err := a.add(hotPath(hot.size), hot.size); err != nil {
			return nil, err
		}
	}
	for i := range coldCount {
		path := fmt.Sprintf("pool/cold-%03d_1_all.deb", i)
		a.cold = append(a.cold, path)
		// From 4 KiB to some 1 MB, half of them below 130 KB.
		if err := a.add(path, 4<<10+int64(i*i*i/27)); err != nil {
			return nil, err
		}
	}
	a.coldIndex.WriteString(strings.Join(strings.SplitAfter(a.index.String(), "\n\n")[len(hotSizes):], ""))
	for i := range stockCount {
		data := noise(stockPath(i), stockSize)
		a.name(stockPath(i), lockfile.DigestOf(data), stockSize)
	}
	return a, a.publish()
}

func hotPath(size int64) string { return fmt.Sprintf("pool/hot-%d_1_all.deb", size) }

func stockPath(i int) string { return fmt.Sprintf("pool/stock-%06d_1_all.deb", i) }

// noise is so many bytes that do not compress, and follow from the name.
func noise(name string, size int64) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(data)
	return data
}

// add puts a file into the pool, and into the index.
func (a *archive) add(path string, size int64) error {
	data := noise(path, size)
	a.name(path, lockfile.DigestOf(data), size)
	return os.WriteFile(filepath.Join(a.dir, path), data, 0o644)
}

func (a *archive) name(path string, d lockfile.Digest, size int64) {
	name, _, _ := strings.Cut(filepath.Base(path), "_")
	fmt.Fprintf(&a.index, "Package: %s\nVersion: 1\nArchitecture: all\nFilename: %s\nSize: %d\nSHA256: %s\n\n", name, path, size, d)
}

// publish writes the indexes and a Release for each.
func (a *archive) publish() error {
	return errors.Join(a.publishSuite(allSuite, a.index.String()), a.publishSuite(coldSuite, a.coldIndex.String()))
}

func (a *archive) publishSuite(suite, index string) error {
	const packages = "main/binary-amd64/Packages"
	dists := filepath.Join(a.dir, "dists", suite)
	if err := os.MkdirAll(filepath.Join(dists, filepath.Dir(packages)), 0o755); err != nil {
		return err
	}
	release := fmt.Sprintf("Origin: Bench\nLabel: Bench\nSuite: %[1]s\nCodename: %[1]s\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n %s %d %s\n",
		suite, lockfile.DigestOf([]byte(index)), len(index), packages)
	if err := os.WriteFile(filepath.Join(dists, packages), []byte(index), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dists, "Release"), []byte(release), 0o644)
}

// stock puts the files into a mirror's cache that only it has.
func (a *archive) stock(s *served) error {
	c, err := cache.Open(filepath.Join(s.dir, "cache"))
	if err != nil {
		return err
	}
	defer c.Close()
	blobs := filepath.Join(c.Dir(), "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	for i := range stockCount {
		data := noise(stockPath(i), stockSize)
		if err := os.WriteFile(filepath.Join(blobs, lockfile.DigestOf(data).String()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// copyAway reads to the end.
func copyAway(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
