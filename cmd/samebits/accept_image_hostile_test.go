package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An evilPackage is one of Alpine's that means harm.
type evilPackage struct {
	script string       // to run after it is installed
	files  []tar.Header // without contents
}

// write writes the package into a directory.
func (e evilPackage) write(t *testing.T, dir string) {
	t.Helper()
	pack := func(end bool, fill func(w *tar.Writer) error) []byte {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		tw := tar.NewWriter(zw)
		err := errors.Join(fill(tw), tw.Flush())
		if end {
			err = errors.Join(err, tw.Close())
		}
		if err := errors.Join(err, zw.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	data := pack(true, func(w *tar.Writer) (err error) {
		for _, h := range e.files {
			err = errors.Join(err, w.WriteHeader(&h))
		}
		return err
	})
	control := pack(false, func(w *tar.Writer) (err error) {
		for _, f := range [][2]string{
			{".PKGINFO", fmt.Sprintf("pkgname = evil\npkgver = 1-r0\npkgdesc = x\nurl = https://example.org\nlicense = MIT\nsize = 1\narch = noarch\ndepend = alpine-base\ndatahash = %x\n", sha256.Sum256(data))},
			{".post-install", "#!/bin/sh\n" + e.script + "\n"},
		} {
			err = errors.Join(err, w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o755, Size: int64(len(f[1])), Typeflag: tar.TypeReg}))
			_, wrote := io.WriteString(w, f[1])
			err = errors.Join(err, wrote)
		}
		return err
	})
	write(t, filepath.Join(dir, "evil-1-r0.apk"), string(control)+string(data))
}

// TestHostilePackages builds with packages that mean harm, as root: each build
// ends with an error that says why, and leaves nothing.
func TestHostilePackages(t *testing.T) {
	needs(t, true)
	victim := write(t, filepath.Join(t.TempDir(), "victim"), "untouched")
	if err := os.Chmod(victim, 0o666); err != nil {
		t.Fatal(err)
	}
	// One that fills the disk is to fill this one.
	disk, cache := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2g,mode=1777"); err != nil {
		t.Skipf("needs to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	const asleep = "31415.9"
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777}
	}
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o4755} }
	dir := func(name string) tar.Header {
		return tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}
	}
	for name, c := range map[string]struct {
		evil evilPackage
		want string
	}{
		"fails":         {evilPackage{script: "echo this is why; exit 7"}, "this is why"},
		"forks":         {evilPackage{script: "f() { f | f & }; f; sleep " + asleep}, "1000 processes"},
		"fills":         {evilPackage{script: "cat /dev/zero >/var/fill"}, "on the disk"},
		"kills":         {evilPackage{script: "(setsid sleep " + asleep + " &); kill -9 1; kill -9 $PPID; exit 3"}, "evil"},
		"network":       {evilPackage{script: "wget -T 2 http://127.0.0.1/ || exit 5"}, "evil"},
		"the host":      {evilPackage{script: "echo evil >" + victim}, "evil"},
		"mounts":        {evilPackage{script: "mount -t tmpfs x /mnt || exit 5"}, "evil"},
		"devices":       {evilPackage{script: "mknod /sda b 8 0 || exit 5"}, "evil"},
		"absolute":      {evilPackage{files: []tar.Header{file(victim)}}, "no path within the root"},
		"climbs":        {evilPackage{files: []tar.Header{file("../../../../../../../../.." + victim)}}, "no path within the root"},
		"through links": {evilPackage{files: []tar.Header{dir("opt"), link("opt/out", filepath.Dir(victim)), dir("opt/out"), file("opt/out/victim")}}, "evil"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			set, work := alpineSet(t), t.TempDir()
			debs := filepath.Join(work, "packages")
			set.files = slices.DeleteFunc(set.files, func(f string) bool {
				parts := strings.Split(f, "-")
				return !slices.Contains(alpineBase, strings.Join(parts[:len(parts)-2], "-"))
			})
			for _, f := range set.files {
				must(t, "install", "-D", "-t", debs, filepath.Join(set.dir, f))
			}
			c.evil.write(t, debs)
			set.dir, set.files = debs, append(set.files, "evil-1-r0.apk")
			cmd := command(t, cache, "image", "build", "--offline", "--lock", set.lock(t, work), "--source", debs, "-o", filepath.Join(work, "out.tar"))
			cmd.Env = append(cmd.Env, "TMPDIR="+disk)
			r := finish(t, cmd)
			if strings.Contains(r.stderr, "forbids user namespaces") {
				t.Skip(r.stderr)
			}
			if r.code != 1 || !strings.Contains(r.stderr, c.want) {
				t.Errorf("want %q of %v", c.want, r)
			}
			if left, err := filepath.Glob(filepath.Join(work, "out*")); err != nil || len(left) > 0 {
				t.Errorf("it wrote %v", left)
			}
			if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
			if got := read(t, victim); got != "untouched" {
				t.Errorf("the victim has %q", got)
			}
			if left := running(t, asleep); len(left) > 0 {
				t.Errorf("it left processes: %q", left)
			}
		})
	}
}

// running are the command lines of the processes that have a word in them.
func running(t *testing.T, word string) (out []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		line, err := os.ReadFile(name) // it may have ended
		if err == nil && bytes.Contains(line, []byte(word)) {
			out = append(out, string(line))
		}
	}
	return out
}
