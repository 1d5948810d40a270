package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestImagePlaces refuses before it builds what could not be written, and
// leaves nothing where the disk is full.
func TestImagePlaces(t *testing.T) {
	needs(t, true, "mount", "umount")
	set, work := alpineSet(t), t.TempDir()
	lock, cache := set.lock(t, work), filepath.Join(work, "cache")
	small := filepath.Join(work, "small")
	write(t, filepath.Join(work, "full", "x"), "")
	write(t, filepath.Join(work, "noversion.yaml"), "locks: [x]\n")
	write(t, filepath.Join(work, "nosource.yaml"), "version: 1\nfiles: [{path: /etc/x, source: absent}]\n")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "mount", "-t", "tmpfs", "-o", "size=1m", "none", small)
	t.Cleanup(func() { must(t, "umount", small) })
	for _, c := range []struct {
		name string
		args []string
		env  string
		code int
		want string
	}{
		{"no directory above", []string{"-o", "none/root.tar"}, "", 1, "there is no directory none; make it first"},
		{"a directory", []string{"-o", "type=tar,dest=full"}, "", 1, "it is a directory"},
		{"not empty", []string{"-o", "type=oci,dest=full"}, "", 1, `it has "x" in it already`},
		{"nowhere to work", []string{"-o", "root.tar"}, "TMPDIR=/nowhere", 1, "TMPDIR is /nowhere"},
		{"no version", []string{"-o", "root.tar", "noversion.yaml"}, "", 2, `noversion.yaml:1:1: it is not said for which version of specs this was written; begin it with "version: 1"`},
		{"no source", []string{"-o", "root.tar", "nosource.yaml"}, "", 1, "the source of /etc/x: lstat absent"},
		{"read-only", []string{"-o", "/proc/sys/root.tar"}, "", 1, "output /proc/sys/root.tar: "},
		{"no registry", []string{"-o", "oci://127.0.0.1:9/team/web:1"}, "", 1, "2 of 2 blobs could not be sent, so the image was not published"},
		{"full, a file", []string{"-o", "small/root.tar"}, "", 1, "no space left on device"},
		{"full, a layout", []string{"-o", "type=oci,dest=small/oci"}, "", 1, "no space left on device"},
		{"full, a directory", []string{"-o", "type=dir,dest=small/dir"}, "", 1, "no space left on device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := command(t, cache, append([]string{"image", "build", "--lock", lock, "--source", set.dir, "--no-snapshot", "--no-scripts"}, c.args...)...)
			cmd.Dir = work
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			r := finish(t, cmd)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) {
				t.Errorf("%v", r)
			}
			if early := !strings.Contains(c.want, "no space") && c.name != "no registry"; early == strings.Contains(r.stderr, "unpacking") && !strings.Contains(r.stderr, "assembled before") {
				t.Errorf("it is said too late or too early: %v", r)
			}
		})
	}
	if left, err := os.ReadDir(small); err != nil || len(left) > 0 {
		t.Errorf("left on the disk that was full: %v, %v", left, err)
	}
}

// TestImageWithoutIDs builds an image of files alone as a user who has no
// subordinate ids, with the bits that root gets.
func TestImageWithoutIDs(t *testing.T) {
	const nobody = "65534"
	b := newSetBuilder(t, alpineSet(t), fewOutputs)
	first := b.build(t, "first", `exec "$@" --no-scripts`)
	as := `exec setpriv --reuid=` + nobody + ` --regid=` + nobody + ` --clear-groups "$@"`
	sameBits(t, first, b.build(t, "second", as+" --no-scripts"))

	out := openDir(t)
	if err := os.Chmod(out, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]string{"scripts": "-o root.tar", "directory": "--no-scripts -o type=dir,dest=root"} {
		cmd := exec.Command("sh", "-c", as+" "+more, "sh", b.binary, "image", "build", "--offline", "--cache", filepath.Join(out, "cache"), "--source", filepath.Join(b.dir, "debs"), "--lock", b.lock)
		cmd.Dir, cmd.Env = out, clean()
		if r := finish(t, cmd); r.code != 1 || !strings.Contains(r.stderr, "usermod --add-subuids") && !strings.Contains(r.stderr, "forbids user namespaces") {
			t.Errorf("%s: %v", name, r)
		}
	}
}
