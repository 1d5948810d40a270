package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/lockfile"
)

// checkAgain builds an image a second time and names what came out otherwise.
func (s *session) checkAgain(img *imagebuild.Image, plan imagebuild.Plan, name string) error {
	plan.Store, plan.Unpacked = nil, nil
	plan.Temp, plan.Limits = "", sandbox.Limits{} // elsewhere than the first, where that is in memory
	diffs, err := img.Check(s.ctx, plan)
	if err != nil {
		return err
	}
	if len(diffs) == 0 {
		s.say("a second build of %s has the same bits", name)
		return nil
	}
	var b strings.Builder
	for _, d := range diffs {
		b.WriteString("/" + d.Path + ": " + strings.Join(d.What, ", ") + "\n")
	}
	if err := s.writeOutput("-", []byte(printable(b.String()))); err != nil {
		return err
	}
	return missingf("a second build of %s differs in %s; remove them by the spec (\"remove:\"), or have its commands make them alike", name, count(len(diffs), "path"))
}

// shm is memory as a directory, on every Linux.
const shm = "/dev/shm"

// Packages unpack to some five times their size; the rest is for what scripts
// make.
const (
	unpackedRatio = 8
	unpackedExtra = 256 << 20
)

// workDir is where to make the root: in memory if there is plenty of it, since
// package managers flush to the disk so often that most of the time would go
// there; empty for the system's directory for temporary files. TMPDIR decides
// where it is set. A script may not fill the memory: limit is what one command
// may take of it, 0 for no limit of its own.
func (s *session) workDir(c *cache.Cache, lock *lockfile.Lock) (dir string, limit int64, err error) {
	if s.getenv("TMPDIR") != "" {
		return "", 0, nil
	}
	need := int64(unpackedExtra)
	for _, e := range lock.Entries {
		size, err := c.Size(e.Digest)
		if errors.Is(err, fs.ErrNotExist) {
			continue // whoever opens it says so
		}
		if err != nil {
			return "", 0, err
		}
		need += unpackedRatio * size
	}
	var st unix.Statfs_t
	if unix.Statfs(shm, &st) != nil || st.Type != unix.TMPFS_MAGIC || st.Flags&unix.ST_NOEXEC != 0 || unix.Access(shm, unix.W_OK) != nil {
		return "", 0, nil
	}
	if int64(st.Bavail)*int64(st.Bsize) < need || availableMemory() < 2*need {
		return "", 0, nil
	}
	return shm, need, nil
}

// availableMemory is what the kernel could give without swapping, in bytes; 0
// where that is not known.
func availableMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
