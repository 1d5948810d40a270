package alpine

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// maxTool bounds the bytes of an apk that is unpacked, its libraries included.
const maxTool = 512 << 20

// toolNames are the packages that have an apk, the best first: one that is
// linked statically needs nothing else.
var toolNames = []string{"apk-tools-static", "apk-tools"}

// unpackTool unpacks apk and what it needs out of the packages to install, and
// readies it to run without changing its root: by its own dynamic linker,
// which is told where the libraries are.
func unpackTool(dir string, jobs []*job) (*tool, error) {
	needed := toolJobs(jobs)
	if len(needed) == 0 {
		return nil, errors.New("the lock has no apk-tools")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	left := int64(maxTool)
	for _, j := range needed {
		if err := unpack(root, j.blob, &left); err != nil {
			return nil, fmt.Errorf("%s: %w", j.entry.Path, err)
		}
	}
	t, err := newTool(dir)
	if err == nil {
		err = t.probe()
	}
	return t, err
}

// toolJobs returns the jobs of apk and of what it needs.
func toolJobs(jobs []*job) []*job {
	records := make([]apk.Record, len(jobs))
	for i, j := range jobs {
		records[i] = j.record
	}
	g := newGraph(records)
	for _, name := range toolNames {
		i, ok := g.byName[name]
		if !ok {
			continue
		}
		taken := make([]bool, len(jobs))
		taken[i] = true
		g.close(taken, false)
		var out []*job
		for i, j := range jobs {
			if taken[i] {
				out = append(out, j)
			}
		}
		return out
	}
	return nil
}

// newTool finds apk in the directory that it was unpacked into.
func newTool(dir string) (*tool, error) {
	find := func(patterns ...string) string {
		for _, p := range patterns {
			// The directory's own name is no pattern.
			if found, _ := fs.Glob(os.DirFS(dir), p); len(found) > 0 {
				return filepath.Join(dir, found[0])
			}
		}
		return ""
	}
	if static := find("sbin/apk.static", "usr/bin/apk.static"); static != "" {
		return &tool{command: []string{static}}, nil
	}
	program := find("sbin/apk", "usr/sbin/apk", "usr/bin/apk", "bin/apk")
	linker := find("lib/ld-musl-*.so.1", "usr/lib/ld-musl-*.so.1", "lib*/ld-linux*.so.*", "usr/lib*/ld-linux*.so.*")
	if program == "" || linker == "" {
		return nil, errors.New("its packages have no apk, or no dynamic linker for it")
	}
	var libraries []string
	for _, d := range []string{"lib", "usr/lib", "lib64", "usr/lib64"} {
		libraries = append(libraries, filepath.Join(dir, d))
	}
	return &tool{command: []string{linker, "--library-path", strings.Join(libraries, ":"), program}}, nil
}

// toolDirs are the directories of which files are unpacked.
var toolDirs = []string{"bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"}

// unpack unpacks the programs and libraries of a package of apk 2: three gzip
// members that make up one tar. Nothing is written outside root. left is how
// many bytes may come.
func unpack(root *os.Root, name string, left *int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	head := bufio.NewReader(f)
	zr, err := gzip.NewReader(head)
	if err != nil {
		return fmt.Errorf("only packages of apk 2 can be unpacked: %w", err)
	}
	limited := &io.LimitedReader{R: zr, N: *left}
	tr := tar.NewReader(limited)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			*left = limited.N
			return nil
		}
		if limited.N == 0 {
			return fmt.Errorf("more than %d bytes", maxTool)
		}
		if err != nil {
			return err
		}
		to := path.Clean(h.Name)
		if !slices.Contains(toolDirs, path.Dir(to)) {
			continue
		}
		if err := unpackFile(root, to, h, tr); err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, to string, h *tar.Header, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if strings.HasPrefix(h.Linkname, "/") {
			return nil // of no use where the root is not changed
		}
		if err := root.Symlink(h.Linkname, to); !errors.Is(err, fs.ErrExist) {
			return err
		}
	case tar.TypeReg:
		f, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	}
	return nil
}
