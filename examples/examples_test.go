// Package examples_test runs the examples as their readers would.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDocker(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: it builds images")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for buildah and mmdebstrap")
	}
	for _, p := range []string{"buildah", "mmdebstrap", "go"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
	b := builder{t: t, dir: t.TempDir(), context: t.TempDir()}
	b.base()
	b.command("go", "build", "-trimpath", "-o", filepath.Join(b.context, "samebits"), "github.com/samebits/samebits/cmd/samebits")
	for _, name := range []string{"generate.Dockerfile", "install.Dockerfile"} {
		text, err := os.ReadFile(filepath.Join("docker", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.context, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	b.build("generate.Dockerfile", "--output", b.context)
	lock, err := os.ReadFile(filepath.Join(b.context, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#: distro debian 12 ", "/hello_", "/gawk_", "/base-files_"} {
		if !strings.Contains(string(lock), want) {
			t.Errorf("the lock has no %q:\n%s", want, lock)
		}
	}

	b.build("install.Dockerfile", "-t", "example")
	ctr := strings.TrimSpace(b.buildah("from", "--pull-never", "example"))
	run := func(args ...string) string {
		return b.buildah(append([]string{"run", "--isolation", "chroot", "--network", "host", ctr, "--"}, args...)...)
	}
	state := run("dpkg-query", "-W", "-f=${Package}_${Version}_${Architecture}\n")
	for _, p := range strings.Fields(state) {
		name, rest, _ := strings.Cut(p, "_")
		if _, short, ok := strings.Cut(rest, ":"); ok {
			rest = short // archives leave the epoch out
		}
		if !strings.Contains(string(lock), "/"+name+"_"+rest+".deb\n") {
			t.Errorf("%s is installed and not in the lock", p)
		}
	}
	if n := strings.Count(string(lock), ".deb\n"); n != len(strings.Fields(state)) {
		t.Errorf("the lock has %d packages, the image %d", n, len(strings.Fields(state)))
	}
	if got := run("hello"); !strings.Contains(got, "Hello") {
		t.Errorf("hello says %q", got)
	}
	// Nothing is to be done a second time, so nothing is needed for it.
	run("samebits", "lock", "install", "--offline", "/SHA256SUMS")
}

// A builder builds images with buildah and a storage of its own.
type builder struct {
	t            *testing.T
	dir, context string
}

func (b builder) command(name string, args ...string) string {
	b.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

func (b builder) buildah(args ...string) string {
	b.t.Helper()
	storage := []string{"--storage-driver", "vfs", "--root", filepath.Join(b.dir, "storage"), "--runroot", filepath.Join(b.dir, "run")}
	return b.command("buildah", append(storage, args...)...)
}

// base makes an image of a minimal Debian from the archive that this machine
// uses.
func (b builder) base() {
	b.t.Helper()
	sources, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if _, err := os.Stat("/etc/apt/sources.list"); err == nil {
		sources = append(sources, "/etc/apt/sources.list")
	}
	tar := filepath.Join(b.dir, "base.tar")
	args := append([]string{"--variant=minbase", "bookworm", tar}, sources...)
	if out, err := exec.Command("mmdebstrap", args...).CombinedOutput(); err != nil {
		b.t.Skipf("no base can be made: %v\n%s", err, out)
	}
	ctr := strings.TrimSpace(b.buildah("from", "scratch"))
	b.buildah("add", ctr, tar, "/")
	b.buildah("commit", "--rm", ctr, "base")
}

func (b builder) build(file string, more ...string) {
	b.t.Helper()
	args := []string{"build", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers=false",
		"--build-arg", "BASE=localhost/base", "-f", filepath.Join(b.context, file)}
	b.buildah(append(append(args, more...), b.context)...)
}
