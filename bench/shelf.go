package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// A shelf is a directory of packages, in the folder pool, with a lock of them
// and an index that apt reads.
type shelf struct {
	dir   string
	lock  string   // the path of the lock
	files []string // the names in pool
	size  int64
}

// shelfArchive is one that no other source serves: what is measured is how fast
// the shelf is read, not who else could be asked.
var shelfArchive = lockfile.Archive{Name: "Shelf"}

func (b *bench) newShelf() (*shelf, error) {
	s := &shelf{dir: filepath.Join(b.dir, "shelf"), lock: filepath.Join(b.dir, "shelf.SHA256SUMS")}
	return s, os.MkdirAll(filepath.Join(s.dir, "pool"), 0o755)
}

func (s *shelf) String() string {
	return fmt.Sprintf("%d files, %.1f MB", len(s.files), float64(s.size)/1e6)
}

// An offer is a package that apt could download.
type offer struct {
	spec string // as apt-get takes it, "name:arch=version"
	size int64
}

// downloadable asks apt for the sizes of packages; those it cannot download
// are left out.
func downloadable(specs []string) ([]offer, error) {
	sizes := map[string]int64{}
	out, err := exec.Command("apt-cache", append([]string{"show"}, specs...)...).Output()
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("apt-cache show: %w", err)
	}
	for stanza := range strings.SplitSeq(string(out), "\n\n") {
		f := map[string]string{}
		for line := range strings.Lines(stanza) {
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
				f[key] = strings.TrimSpace(value)
			}
		}
		if size, err := strconv.ParseInt(f["Size"], 10, 64); err == nil && f["Filename"] != "" {
			sizes[f["Package"]+"="+f["Version"]] = size
		}
	}
	var offers []offer
	for _, spec := range specs {
		name, version, _ := strings.Cut(spec, "=")
		name, _, _ = strings.Cut(name, ":")
		if size, ok := sizes[name+"="+version]; ok {
			offers = append(offers, offer{spec, size})
		}
	}
	return offers, nil
}

// spread picks count offers, small and large, that come to about total bytes:
// evenly spaced among the smallest that suffice.
func spread(offers []offer, count int, total int64) []offer {
	slices.SortFunc(offers, func(a, b offer) int {
		if a.size != b.size {
			return int(a.size - b.size)
		}
		return strings.Compare(a.spec, b.spec)
	})
	if len(offers) <= count {
		return offers
	}
	var picked []offer
	for n := count; n <= len(offers); n++ {
		picked = picked[:0]
		var sum int64
		for i := range count {
			o := offers[i*(n-1)/(count-1)]
			picked = append(picked, o)
			sum += o.size
		}
		if sum >= total {
			break
		}
	}
	return picked
}

// download has apt fetch the packages onto the shelf.
func (s *shelf) download(offers []offer) error {
	specs := make([]string, len(offers))
	for i, o := range offers {
		specs[i] = o.spec
	}
	cmd := exec.Command("apt-get", append([]string{"-q", "-q", "-o", "APT::Sandbox::User=root", "download"}, specs...)...)
	cmd.Dir, cmd.Stderr = filepath.Join(s.dir, "pool"), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get download: %w", err)
	}
	return s.seal()
}

// fill adds a file of incompressible bytes that are the same in every run.
func (s *shelf) fill(name string, size int64) error {
	f, err := os.Create(filepath.Join(s.dir, "pool", name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8(sha256.Sum256([]byte(name))), size); err != nil {
		return err
	}
	return f.Close()
}

// seal writes the lock and the index of what is on the shelf. File names lose
// their epochs, as in Debian's pool.
func (s *shelf) seal() error {
	pool := filepath.Join(s.dir, "pool")
	entries, err := os.ReadDir(pool)
	if err != nil {
		return err
	}
	l := &lockfile.Lock{System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".deb") {
			continue
		}
		name := e.Name()
		if before, after, ok := strings.Cut(name, "%3a"); ok {
			name = before[:strings.LastIndexByte(before, '_')+1] + after
			if err := os.Rename(filepath.Join(pool, e.Name()), filepath.Join(pool, name)); err != nil {
				return err
			}
		}
		digest, size, err := hashFile(filepath.Join(pool, name))
		if err != nil {
			return err
		}
		s.files = append(s.files, name)
		s.size += size
		l.Entries = append(l.Entries, lockfile.Entry{Digest: digest, Path: "pool/" + name, Archive: shelfArchive})
	}
	if err := l.Sort(); err != nil {
		return err
	}
	var text bytes.Buffer
	if _, err := l.WriteTo(&text); err != nil {
		return err
	}
	return os.WriteFile(s.lock, text.Bytes(), 0o644)
}

// read reads the lock.
func (s *shelf) read() (*lockfile.Lock, error) {
	f, err := os.Open(s.lock)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return lockfile.Parse(s.lock, f)
}

func hashFile(path string) (d lockfile.Digest, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return d, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return lockfile.Digest(h.Sum(nil)), size, err
}

// index writes the Packages file of the shelf.
func (s *shelf) index() error {
	cmd := exec.Command("apt-ftparchive", "packages", "pool")
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("apt-ftparchive: %w", err)
	}
	return os.WriteFile(filepath.Join(s.dir, "Packages"), out, 0o644)
}

func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}
