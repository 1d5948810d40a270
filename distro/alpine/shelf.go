package alpine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// reader keeps the signature of a check short.
type reader = io.Reader

// A shelf knows the package files that are at hand on this machine: those in
// the caches of the root, and those in directories that the user names. What
// a file is called there is only a reason to look into it.
type shelf struct {
	s *System
	// byStem has the paths of files by name and version; those of the root's
	// caches are paths below the root.
	byStem map[string][]shelved
	others []string // files in directories whose names tell nothing
	// contents has the files of all directories by identity. They are looked
	// into when that is first asked.
	contents func() map[string][]string
}

// A shelved is one file.
type shelved struct {
	name   string
	hash   string // the digits in its name; empty for none
	inRoot bool
}

// maxShelved bounds how many files of a directory are looked at.
const maxShelved = 1 << 20

func (s *System) newShelf(directories []string) *shelf {
	h := &shelf{s: s, byStem: map[string][]shelved{}}
	for _, dir := range cacheDirs {
		entries, err := s.Files.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.events.Warning(fmt.Sprintf("the package cache %s is not used: %v", s.Files.Join(dir), err))
			}
			continue
		}
		for _, e := range entries {
			h.add(dir+"/"+e.Name(), true)
		}
	}
	for _, dir := range directories {
		n := 0
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
				return err
			}
			if n++; n > maxShelved {
				return fmt.Errorf("more than %d packages", maxShelved)
			}
			h.add(path, false)
			return nil
		})
		if err != nil {
			s.events.Warning(fmt.Sprintf("the directory %s is not used to its end: %v", dir, err))
		}
	}
	h.contents = sync.OnceValue(h.lookInto)
	return h
}

func (h *shelf) add(path string, inRoot bool) {
	name, version, hash, ok := splitName(path[strings.LastIndexByte(path, '/')+1:])
	if ok {
		stem := name + "-" + version
		h.byStem[stem] = append(h.byStem[stem], shelved{path, hash, inRoot})
	}
	if !inRoot {
		h.others = append(h.others, path)
	}
}

// named returns the URLs of the files that are called as the record's would
// be. In apk's cache the name has the beginning of the identity.
func (h *shelf) named(r apk.Record) []string {
	var urls []string
	for _, f := range h.byStem[r.Name+"-"+r.Version] {
		switch {
		case f.hash != "" && !strings.HasPrefix(hex.EncodeToString(r.Identity), f.hash):
		case f.inRoot:
			urls = append(urls, h.inRoot(f.name)...)
		default:
			urls = append(urls, fileURL(f.name))
		}
	}
	return urls
}

// inRoot returns the URL of a file of the root by its true path, since links
// of the root lead elsewhere on the host. It is none where there is no file.
func (h *shelf) inRoot(name string) []string {
	f, err := h.s.Files.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil || !strings.HasPrefix(path, "/") {
		path = h.s.Files.Join(name)
	}
	return []string{fileURL(path)}
}

func fileURL(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// of returns the URLs of the files in directories that hold the package of
// this identity, whatever they are called.
func (h *shelf) of(r apk.Record) []string {
	var urls []string
	for _, path := range h.contents()[string(r.Identity)] {
		urls = append(urls, fileURL(path))
	}
	return urls
}

// lookInto reads which package each file of the directories holds. A file
// that is none is passed over.
func (h *shelf) lookInto() map[string][]string {
	identities := make([]string, len(h.others))
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for i, path := range h.others {
		group.Go(func() error {
			if r, err := readPackageFile(path); err == nil {
				identities[i] = string(r.Identity)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	out := make(map[string][]string, len(h.others))
	for i, id := range identities {
		if id != "" {
			out[id] = append(out[id], h.others[i])
		}
	}
	return out
}

func readPackageFile(path string) (apk.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return apk.Record{}, err
	}
	defer f.Close()
	return apk.ReadPackage(f)
}

// atHand identifies what lies on this machine, for those who have no cache.
type atHand struct{}

// Identify implements [distro.Identifier].
func (atHand) Identify(_ context.Context, want distro.Unhashed) (lockfile.Digest, error) {
	var errs []error
	for _, raw := range want.URLs {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "file" {
			continue
		}
		d, err := hashChecked(u.Path, want)
		if err == nil {
			return d, nil
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return lockfile.Digest{}, errors.Join(errs...)
	}
	return lockfile.Digest{}, fmt.Errorf("it is not at hand: %w", fs.ErrNotExist)
}

func hashChecked(path string, want distro.Unhashed) (lockfile.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return lockfile.Digest{}, err
	}
	defer f.Close()
	h, n := sha256.New(), counter(0)
	if err := want.Check(io.TeeReader(f, io.MultiWriter(h, &n))); err != nil {
		return lockfile.Digest{}, fmt.Errorf("%s: %w", path, err)
	}
	if want.Size >= 0 && int64(n) != want.Size {
		return lockfile.Digest{}, fmt.Errorf("%s has %d bytes, not %d", path, n, want.Size)
	}
	return lockfile.Digest(h.Sum(nil)), nil
}

// A counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
