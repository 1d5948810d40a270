package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// dataDir is where real data of other distributions is; see docs/benchmarks.md.
func dataDir() (string, error) {
	dir := cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../shared/data")
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the real data of Alpine, Arch and Fedora is needed: %w", err)
	}
	return dir, nil
}

// generateIn locks a root. Packages that are missing are no failure.
func (b *bench) generateIn(name, root, cache string, fresh bool, more ...string) contestant {
	c := contestant{name: name, command: func() *exec.Cmd {
		return exec.Command(b.samebits, append([]string{"lock", "generate", "--root", root, "--allow-missing", "--quiet", "--no-snapshot", "--cache", cache, "-o", filepath.Join(b.dir, "lock")}, more...)...)
	}}
	if fresh {
		c.prepare = func() error { return os.RemoveAll(cache) }
	}
	return c
}

// benchAlpine locks a root of all packages of a release's ISO, which have to be
// hashed since no index of Alpine has a file's SHA-256. The peer only downloads
// them.
func benchAlpine(b *bench) error {
	data, err := dataDir()
	if err != nil {
		return err
	}
	iso := filepath.Join(data, "alpine/iso-3.19.1")
	base, err := b.serve(iso)
	if err != nil {
		return err
	}
	root := filepath.Join(b.dir, "alpine")
	if err := alpineRoot(root, data, iso, base); err != nil {
		return err
	}
	files, err := filepath.Glob(iso + "/x86_64/*.apk")
	if err != nil {
		return err
	}
	s := &shelf{}
	for _, f := range files {
		s.files = append(s.files, filepath.Base(f))
	}
	curl := b.curlAt(s, base+"/x86_64/", 16)
	curl.name += fmt.Sprintf(" of the %d packages", len(files))
	warm := filepath.Join(b.dir, "warm")
	if out, err := b.generateIn("", root, warm, false).command().CombinedOutput(); err != nil {
		return fmt.Errorf("fill a cache: %w: %s", err, out)
	}
	return b.measure(
		curl,
		b.generateIn("`samebits lock generate`, packages to be fetched and hashed", root, filepath.Join(b.dir, "cold"), true),
		b.generateIn("`samebits lock generate`, packages at hand", root, warm, false),
	)
}

// alpineRoot makes a root in which all packages of a repository are installed,
// as far as its database tells, which is written as its index is.
func alpineRoot(root, data, repository, base string) error {
	index, err := os.Open(repository + "/x86_64/APKINDEX.tar.gz")
	if err != nil {
		return err
	}
	defer index.Close()
	z, err := gzip.NewReader(index)
	if err != nil {
		return err
	}
	tr := tar.NewReader(z)
	var installed []byte
	for installed == nil {
		h, err := tr.Next()
		if err != nil {
			return err
		}
		if h.Name == "APKINDEX" {
			if installed, err = io.ReadAll(tr); err != nil {
				return err
			}
		}
	}
	files := map[string][]byte{
		"lib/apk/db/installed": installed,
		"etc/apk/arch":         []byte("x86_64\n"),
		"etc/apk/world":        []byte("alpine-base\n"),
		"etc/apk/repositories": []byte(base + "\n"),
		"etc/os-release":       []byte("ID=alpine\nVERSION_ID=3.19.1\n"),
	}
	keys, err := filepath.Glob(data + "/alpine/keys/*.pub")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if files["etc/apk/keys/"+filepath.Base(k)], err = os.ReadFile(k); err != nil {
			return err
		}
	}
	var errs []error
	for name, content := range files {
		path := filepath.Join(root, name)
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
	}
	return errors.Join(errs...)
}

// benchGenerateOthers locks real states of Arch and Fedora, offline. The peers
// list what is installed.
func benchGenerateOthers(b *bench) error {
	data, err := dataDir()
	if err != nil {
		return err
	}
	arch := filepath.Join(data, "arch/local-2026-03-x86_64")
	fedora := filepath.Join(b.dir, "fedora")
	db, err := os.ReadFile(filepath.Join(data, "rpm/fedora35/rpmdb.sqlite"))
	if err != nil {
		return err
	}
	err = errors.Join(os.MkdirAll(fedora+"/var/lib/rpm", 0o755), os.WriteFile(fedora+"/var/lib/rpm/rpmdb.sqlite", db, 0o644))
	if err != nil {
		return err
	}
	pacman := filepath.Join(b.dir, "pacman")
	if err := os.CopyFS(pacman, os.DirFS(arch)); err != nil {
		return err
	}
	cache := filepath.Join(b.dir, "cache")
	return b.measure(
		b.generateIn("`samebits lock generate`, Arch with 160 packages", arch, cache, false, "--offline"),
		contestant{name: "`pacman -Q`", command: func() *exec.Cmd {
			return exec.Command("pacman", "--root", pacman, "--dbpath", pacman+"/var/lib/pacman", "-Q")
		}},
		b.generateIn("`samebits lock generate`, Fedora with 137 packages", fedora, cache, false, "--offline"),
		contestant{name: "`rpm -qa`", command: func() *exec.Cmd {
			return exec.Command("rpm", "--dbpath", strings.TrimSuffix(fedora, "/")+"/var/lib/rpm", "-qa")
		}},
	)
}
