package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	manyCount = 10_000
	manySize  = 4 << 10
)

// benchMany looks through a cache of many small files, with its index and
// without. sha256sum does what verify has to do in any case.
func benchMany(b *bench) error {
	s, err := b.newShelf()
	if err != nil {
		return err
	}
	for i := range manyCount {
		if err := s.fill(fmt.Sprintf("many-%05d_1_all.deb", i), manySize); err != nil {
			return err
		}
	}
	cache := filepath.Join(b.dir, "cache")
	samebits := func(args ...string) func() *exec.Cmd {
		return func() *exec.Cmd { return (&depot{}).command(b, cache, append([]string{"cache"}, args...)...) }
	}
	if err := quiet(samebits("import", s.dir)()); err != nil {
		return err
	}
	contestants := []contestant{
		{"`samebits cache list`", nil, samebits("list")},
		{"`samebits cache verify`", nil, samebits("verify")},
		{"`samebits cache prune --all --dry-run`", nil, samebits("prune", "--all", "--dry-run")},
		{"`samebits cache prune --max-size 20M --dry-run`", nil, samebits("prune", "--max-size", "20M", "--dry-run")},
		{"`samebits cache info`", nil, samebits("info")},
		{"`sha256sum` of all files", nil, func() *exec.Cmd {
			return exec.Command("find", filepath.Join(cache, "blobs"), "-type", "f", "-exec", "sha256sum", "{}", "+")
		}},
	}
	if err := b.measure(contestants...); err != nil {
		return err
	}
	for i, c := range contestants[:5] {
		contestants[i].prepare = func() error { return withoutIndex(cache) }
		contestants[i].name = c.name + ", no index"
	}
	fmt.Fprint(b.out, "Where the index was deleted:\n\n")
	return b.measure(contestants[:5]...)
}

func withoutIndex(cache string) error {
	for _, name := range []string{"index.db", "index.sum"} {
		if err := os.RemoveAll(filepath.Join(cache, name)); err != nil {
			return err
		}
	}
	return nil
}
