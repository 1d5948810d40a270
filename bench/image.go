package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// benchImage makes a minimal Debian of the same packages, with mmdebstrap and
// with samebits. Both have the packages at hand: mmdebstrap in a repository on
// the same disk, samebits in its cache. Each works where it does by default,
// and mmdebstrap in memory, too, where flushing to the disk costs nothing. Where
// one added file changed, the root was assembled before.
func benchImage(b *bench) error {
	if os.Geteuid() != 0 {
		fmt.Fprintln(b.out, "Left out: it wants root.")
		return nil
	}
	lock, names, err := b.imagePackages()
	if err != nil {
		return err
	}
	cache := filepath.Join(b.dir, "cache")
	if out, err := exec.Command(b.samebits, "lock", "fetch", "--offline", "--cache", cache, "--source", filepath.Join(b.dir, "repo"), lock).CombinedOutput(); err != nil {
		return fmt.Errorf("samebits lock fetch: %w\n%s", err, out)
	}
	out := filepath.Join(b.dir, "root.tar")
	changes := 0
	in := func(temp string, cmd *exec.Cmd) *exec.Cmd {
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "TMPDIR=") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		if temp != "" {
			cmd.Env = append(cmd.Env, "TMPDIR="+temp)
		}
		return cmd
	}
	spec := filepath.Join(b.dir, "image.yaml")
	ours := func(more ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			return in("", exec.Command(b.samebits, append([]string{"image", "build", "--offline", "--cache", cache, "--lock", lock, "--output", out}, more...)...))
		}
	}
	change := func() error {
		changes++
		return os.WriteFile(spec, fmt.Appendf(nil, "version: 1\nfiles:\n- {path: /etc/motd, content: \"%d\\n\"}\n", changes), 0o644)
	}
	theirs := func(temp string) func() *exec.Cmd {
		return func() *exec.Cmd {
			return in(temp, exec.Command("mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(names, ","), "bench", out, "deb [trusted=yes] copy:"+filepath.Join(b.dir, "repo")+" ./"))
		}
	}
	fmt.Fprintf(b.out, "%d packages.\n\n", len(names))
	if err := ours()().Run(); err != nil { // so that what it keeps is there
		return fmt.Errorf("samebits image build: %w", err)
	}
	return b.measure(
		contestant{"`mmdebstrap`", nil, theirs("")},
		contestant{"`samebits image build --no-cache`", nil, ours("--no-cache")},
		contestant{"`samebits image build`, packages unpacked before", func() error { return forgetRoots(cache) }, ours()},
		contestant{"`samebits image build`, one added file changed", change, ours(spec)},
		contestant{"`samebits image build --no-scripts --no-cache`", nil, ours("--no-scripts", "--no-cache")},
		contestant{"`mmdebstrap`, in memory", nil, theirs("/dev/shm")},
	)
}

// forgetRoots has samebits forget the assembled roots, but not the packages
// that it has unpacked.
func forgetRoots(cache string) error {
	records, err := filepath.Glob(filepath.Join(cache, "derived", "*"))
	if err != nil {
		return err
	}
	for _, name := range records {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte("\nlabel root of ")) {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// imagePackages downloads the packages of a minimal Debian, makes a repository
// of them and their lock.
func (b *bench) imagePackages() (lock string, names []string, err error) {
	repo := filepath.Join(b.dir, "repo")
	script := `set -e
mkdir -p "$1/partial"
apt-get -q -q -y --no-install-recommends --download-only -o Dir::State::status=/dev/null -o Dir::State::extended_states=/dev/null -o Dir::Cache::archives="$1" -o APT::Sandbox::User=root install '?essential' '?priority(required)' apt >/dev/null
rm -rf "$1/partial" "$1/lock"
cd "$1"
for f in *%3a*; do [ ! -e "$f" ] || mv "$f" "$(echo "$f" | sed s/%3a/./)"; done
apt-ftparchive packages . >Packages
apt-ftparchive -o APT::FTPArchive::Release::Codename=bench -o APT::FTPArchive::Release::Suite=bench release . >../Release
mv ../Release .
`
	if out, err := exec.Command("sh", "-c", script, "sh", repo).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("get the packages: %w\n%s", err, tail(out, 3000))
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return "", nil, err
	}
	debs, err := filepath.Glob(filepath.Join(repo, "*.deb"))
	if err != nil {
		return "", nil, err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# samebits lock v1\n#: distro debian 12 %s\n#: date 2026-11-15T09:12:33Z\n#: archive Debian\n", bytes.TrimSpace(arch))
	for _, name := range debs {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(&text, "%x  pool/%s\n", sha256.Sum256(data), filepath.Base(name))
		pkg, _, _ := strings.Cut(filepath.Base(name), "_")
		names = append(names, pkg)
	}
	lock = filepath.Join(b.dir, "LOCK")
	return lock, names, os.WriteFile(lock, text.Bytes(), 0o644)
}
