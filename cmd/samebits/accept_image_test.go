package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// minimalLock downloads the packages of a minimal Debian through this machine's
// apt, into a directory beside which the lock of them is.
var minimalLock = sync.OnceValues(func() (string, error) {
	dir := builtDir
	if err := os.MkdirAll(filepath.Join(dir, "debs", "partial"), 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command("apt-get", "-q", "-y", "--no-install-recommends", "--download-only",
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::State::extended_states=/dev/null", "-o", "Dir::Cache="+dir, "-o", "Dir::Cache::archives=debs", "-o", "APT::Sandbox::User=root",
		"install", "?essential", "apt", "tzdata", "iputils-ping").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "debs", "*.deb"))
	if err != nil {
		return "", err
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# samebits lock v1\n#: distro debian 12 %s\n#: date 2026-11-15T09:12:33Z\n#: archive Debian\n", strings.TrimSpace(string(arch)))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%x  pool/%s\n", sha256.Sum256(data), filepath.Base(name))
	}
	lock := filepath.Join(dir, "LOCK")
	return lock, os.WriteFile(lock, []byte(b.String()), 0o644)
})

// imageBuilder is a place to build images of one lock in.
type imageBuilder struct {
	binary, lock, dir string
	outputs           []string
}

// newImageBuilder builds the minimal Debian.
func newImageBuilder(t *testing.T) *imageBuilder {
	t.Helper()
	needs(t, true, "apt-get", "dpkg", "setpriv", "unshare", "taskset")
	b := &imageBuilder{binary: builtBinary(t), dir: openDir(t), outputs: imageOutputs}
	var err error
	if b.lock, err = minimalLock(); err != nil {
		t.Skipf("the packages cannot be had (does this machine's apt have lists?): %v", err)
	}
	return b
}

// newSetBuilder builds a set of packages, which it copies to where all users
// may read them.
func newSetBuilder(t *testing.T, set packageSet, outputs []string) *imageBuilder {
	t.Helper()
	needs(t, true, "setpriv", "unshare", "taskset")
	b := &imageBuilder{binary: builtBinary(t), dir: openDir(t), outputs: outputs}
	source := filepath.Join(b.dir, "debs")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range set.files {
		must(t, "cp", filepath.Join(set.dir, f), source)
	}
	b.lock = set.lock(t, b.dir)
	return b
}

// openDir is a directory that other users reach.
func openDir(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	for dir := top; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// turned is the lock with its packages in the opposite order.
func (b *imageBuilder) turned(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(b.lock)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	slices.Reverse(lines[4:])
	return write(t, filepath.Join(b.dir, "turned"), strings.Join(lines, "\n")+"\n")
}

// imageOutputs are all forms, by the name of the file or directory.
var imageOutputs = []string{
	"root.tar", "root.tar.gz", "root.tar.zst", "root.cpio.gz", "root.mtree", "type=oci,dest=oci", "type=oci,dest=ocizstd,compress=zstd", "type=docker,dest=docker.tar", "type=dir,dest=dir",
}

// fewOutputs are those that tell all of a tree: for sets of which all forms
// would take long.
var fewOutputs = []string{"root.tar.zst", "root.mtree", "type=oci,dest=oci"}

// arguments are those of a build, with the packages in a directory.
func (b *imageBuilder) arguments(cache, source string) []string {
	args := []string{"image", "build", "--offline", "--cache", cache, "--source", source}
	for _, o := range b.outputs {
		args = append(args, "--output", o)
	}
	return args
}

// build builds all outputs by a shell command, in which "$@" is the build, and
// returns the digest of each file that came out.
func (b *imageBuilder) build(t *testing.T, name, shell string, more ...string) map[string]string {
	t.Helper()
	work := filepath.Join(b.dir, name)
	if err := os.Mkdir(work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(work, 0o777); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-c", shell, "sh", b.binary}, b.arguments(filepath.Join(work, "cache"), filepath.Join(filepath.Dir(b.lock), "debs"))...)
	if !slices.Contains(more, "--lock") {
		more = append(more, "--lock", b.lock)
	}
	cmd := exec.Command("/bin/sh", append(args, more...)...)
	cmd.Dir, cmd.Env = work, clean()
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "forbids user namespaces") {
			t.Skip(string(out))
		}
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return digests(t, work)
}

// digests are those of the outputs. Of a written root it is that of a listing,
// without owners and devices: those of another user's are that user's
// subordinate ids, and there are none.
func digests(t *testing.T, work string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	add := func(name string, r io.Reader) {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			t.Fatal(err)
		}
		sums[name] = hex.EncodeToString(h.Sum(nil))
	}
	err := filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(work, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (rel == "cache" || rel == "dir" || rel == "tmp"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		add(rel, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(work, "dir")); err == nil {
		list := strings.Split(must(t, "find", filepath.Join(work, "dir"), "(", "-type", "d", "-printf", "%P %y %m %T@\\n", ")", "-o", "(", "!", "-type", "c", "!", "-type", "b", "-printf", "%P %y %m %s %l %T@ %n\\n", ")"), "\n")
		slices.Sort(list)
		add("dir", strings.NewReader(strings.Join(list, "\n")))
	}
	return sums
}

func sameBits(t *testing.T, want, got map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s is %s, was %s", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the files are %v, were %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// otherUser adds a user with subordinate ids for the time of a test.
func otherUser(t *testing.T) string {
	t.Helper()
	needs(t, true, "newuidmap", "useradd", "userdel", "usermod")
	const user = "samebits-test"
	if out, err := exec.Command("useradd", "--no-create-home", "--shell", "/bin/sh", user).CombinedOutput(); err != nil {
		t.Skipf("no user can be added: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", user).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v %s", err, out)
		}
	})
	must(t, "usermod", "--add-subuids", "1200000-1265535", "--add-subgids", "1200000-1265535", user)
	return user
}

// shuffled runs a build in a directory whose entries come in an order of
// chance. That file system acts as who calls, so it is root who builds on it. It
// is told to let the kernel keep no attributes, or the first of two hard links
// would go on having one for a second.
const shuffled = `
disk=$(mktemp -d /dev/shm/samebits-shuffled-XXXXXX || mktemp -d)
trap 'umount -l "$disk/shuffled"; rm -rf "$disk"' EXIT
mkdir "$disk/plain" "$disk/shuffled"
disorderfs -q -o use_ino,attr_timeout=0,entry_timeout=0 --multi-user=yes --shuffle-dirents=yes "$disk/plain" "$disk/shuffled"
TMPDIR=$disk/shuffled "$@"`

// TestImageSameBits builds one image under conditions that differ, one by one,
// in all that must make no difference.
func TestImageSameBits(t *testing.T) {
	needs(t, true, "disorderfs")
	b := newSetBuilder(t, alpineSet(t), imageOutputs)
	first := b.build(t, "first", `exec "$@"`)
	if len(first) < len(imageOutputs)+2 {
		t.Fatalf("there are only %v", slices.Sorted(maps.Keys(first)))
	}
	for _, c := range []struct {
		name, shell string
		more        []string
	}{
		{"umask", `umask 077; exec "$@"`, nil},
		{"surroundings", `export TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=de_DE HOME=/root LD_LIBRARY_PATH=/lib; exec "$@" 7</dev/null`, nil},
		{"one-cpu", `export GOMAXPROCS=1; exec taskset -c 0 "$@"`, nil},
		{"host-name", `exec unshare --uts sh -c 'hostname somewhere-else; exec "$@"' sh "$@"`, nil},
		{"disk", `mkdir tmp; export TMPDIR=$PWD/tmp; exec "$@"`, nil},
		{"directory-order", shuffled, nil},
		{"lock-order", `exec "$@"`, []string{"--lock", b.turned(t)}},
	} {
		t.Run(c.name, func(t *testing.T) { sameBits(t, first, b.build(t, c.name, c.shell, c.more...)) })
	}
	t.Run("user", func(t *testing.T) {
		user := otherUser(t)
		sameBits(t, first, b.build(t, "user", `exec setpriv --reuid=`+user+` --regid=`+user+` --init-groups "$@"`))
	})
	t.Run("years", func(t *testing.T) { sameYears(t, b, first) })
}

// onAlpine builds on a host of another distribution, which has nothing but the
// binary and busybox.
func onAlpine(t *testing.T, b *imageBuilder) map[string]string {
	t.Helper()
	host := alpineHost(t)
	for _, dir := range []string{"work", "debs"} {
		if err := os.Mkdir(filepath.Join(host, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "cp", b.binary, filepath.Join(host, "bin/samebits"))
	must(t, "cp", "-r", filepath.Join(filepath.Dir(b.lock), "debs")+"/.", filepath.Join(host, "debs"))
	must(t, "cp", b.lock, filepath.Join(host, "LOCK"))
	// The kernel makes no user namespaces for who is in a chroot, so the root is
	// that of a mount namespace.
	args := append([]string{"--mount", "--propagation", "private", "sh", "-ec",
		`mount --bind "$1" "$1"; cd "$1"; shift; mount -t proc proc proc; mount --rbind /dev dev; pivot_root . mnt; umount -l /mnt; cd /work; exec "$@"`, "sh", host,
		"/bin/samebits"}, b.arguments("/work/cache", "/debs")...)
	cmd := exec.Command("unshare", append(args, "--lock", "/LOCK")...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR=/work"}
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("forbids user namespaces")) {
			t.Skip(string(out))
		}
		t.Fatalf("%v\n%s", err, out)
	}
	return digests(t, filepath.Join(host, "work"))
}

// alpineHost unpacks a root of Alpine from the test data.
func alpineHost(t *testing.T) string {
	t.Helper()
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	roots, _ := filepath.Glob(filepath.Join(data, "alpine/minirootfs/*3.19*x86_64*.tar.gz"))
	if len(roots) == 0 {
		t.Skip("no root of Alpine in SAMEBITS_TEST_DATA")
	}
	host := t.TempDir()
	must(t, "tar", "-C", host, "-xzf", roots[0])
	return host
}
