package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	fetchCount = 49
	fetchBytes = 45 << 20
	latency    = 100 * time.Millisecond
)

// fetchLock is the command that fills an empty cache from base.
func (b *bench) fetchLock(s *shelf, base string) contestant {
	cache := filepath.Join(b.dir, "fetch-cache")
	return contestant{
		name:    "`samebits lock fetch`",
		prepare: func() error { return os.RemoveAll(cache) },
		command: func() *exec.Cmd {
			return exec.Command(b.samebits, "lock", "fetch", "--cache", cache, "--source", base+"/{{.Path}}", s.lock)
		},
	}
}

// curl downloads all files of the shelf with as many requests at once.
func (b *bench) curl(s *shelf, base string, parallel int) contestant {
	return b.curlAt(s, base+"/pool/", parallel)
}

// curlAt does so where the files are right below a URL.
func (b *bench) curlAt(s *shelf, base string, parallel int) contestant {
	dir := filepath.Join(b.dir, "curl")
	var config strings.Builder
	for _, f := range s.files {
		fmt.Fprintf(&config, "url = %q\noutput = %q\n", base+f, filepath.Join(dir, f))
	}
	name := fmt.Sprintf("`curl --parallel --parallel-max %d`", parallel)
	args := []string{"--silent", "--fail", "--config", "-", "--parallel", "--parallel-max", fmt.Sprint(parallel)}
	if parallel == 1 {
		name, args = "`curl`, one after another", args[:4]
	}
	return contestant{name: name, prepare: func() error { return emptyDir(dir) }, command: func() *exec.Cmd {
		cmd := exec.Command("curl", args...)
		cmd.Stdin = strings.NewReader(config.String())
		return cmd
	}}
}

// benchFetch compares with curl, which neither hashes nor stores by hash, and
// with apt-get, which does hash.
func benchFetch(b *bench) error {
	s, base, err := b.fetchShelf()
	if err != nil {
		return err
	}
	apt, err := b.aptDownload(s, base)
	if err != nil {
		return err
	}
	return b.measure(b.curl(s, base, 8), b.fetchLock(s, base), apt)
}

func benchLatency(b *bench) error {
	s, base, err := b.fetchShelf()
	if err != nil {
		return err
	}
	if base, err = b.delayed(base, latency); err != nil {
		return err
	}
	return b.measure(b.fetchLock(s, base), b.curl(s, base, 8), b.curl(s, base, 1))
}

// fetchShelf downloads some of the packages that are installed here and serves
// them.
func (b *bench) fetchShelf() (*shelf, string, error) {
	installed, err := exec.Command("dpkg-query", "-W", "-f", "${binary:Package}=${Version}\n").Output()
	if err != nil {
		return nil, "", err
	}
	offers, err := downloadable(strings.Fields(string(installed)))
	if err != nil {
		return nil, "", err
	}
	picked := spread(offers, fetchCount, fetchBytes)
	s, err := b.newShelf()
	if err != nil {
		return nil, "", err
	}
	if err := s.download(picked); err != nil {
		return nil, "", err
	}
	base, err := b.serve(s.dir)
	fmt.Fprintf(b.out, "%s.\n\n", s)
	return s, base, err
}

// benchMemory fetches files that no memory limit of ours could hold.
func benchMemory(b *bench) error {
	s, err := b.newShelf()
	if err != nil {
		return err
	}
	for i := range 14 {
		if err := s.fill(fmt.Sprintf("big-%02d_1_all.deb", i), 50<<20); err != nil {
			return err
		}
	}
	if err := s.seal(); err != nil {
		return err
	}
	base, err := b.serve(s.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%s.\n\n", s)
	return b.measure(b.fetchLock(s, base), b.curl(s, base, 8))
}
