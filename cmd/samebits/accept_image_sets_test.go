package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/fetch/fetchtest"
)

// A packageSet is packages at hand, of which a lock can be made.
type packageSet struct {
	name, dir string
	system    string // as the lock has it
	files     []string
}

// lock writes the lock of a set into a directory.
func (p packageSet) lock(t *testing.T, dir string) string {
	t.Helper()
	arch := p.system[strings.LastIndex(p.system, " ")+1:]
	var b strings.Builder
	fmt.Fprintf(&b, "# samebits lock v1\n#: distro %s\n#: date 2026-11-15T09:12:33Z\n#: archive Test\n", p.system)
	for _, name := range p.files {
		data, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%x  pool/%s\n", sha256.Sum256(data), name)
	}
	return write(t, filepath.Join(dir, "LOCK-"+arch), b.String())
}

// filesIn are the files of a directory with an ending.
func filesIn(t *testing.T, dir, ending string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", ending, dir, err)
	}
	for i, f := range found {
		found[i] = filepath.Base(f)
	}
	return found
}

var alpineNames = strings.Fields(`alpine-base alpine-baselayout alpine-baselayout-data alpine-conf alpine-keys alpine-release
	apk-tools busybox busybox-binsh busybox-mdev-openrc busybox-openrc busybox-suid ca-certificates-bundle chrony
	chrony-openrc gmp gnutls ifupdown-ng libc-utils libcap2 libcrypto3 libedit libffi libidn2 libncursesw libseccomp
	libssl3 libtasn1 libunistring mdev-conf musl musl-utils ncurses-terminfo-base nettle openrc openssh
	openssh-client-common openssh-client-default openssh-keygen openssh-server openssh-server-common
	openssh-server-common-openrc openssh-sftp-server p11-kit scanelf ssl_client zlib`)

// alpineSet is a system of 47 packages of Alpine.
func alpineSet(t *testing.T) packageSet {
	t.Helper()
	p := packageSet{name: "alpine", dir: realData(t, "alpine/iso-3.19.1/x86_64"), system: "alpine 3.19.1 x86_64"}
	for _, name := range filesIn(t, p.dir, ".apk") {
		parts := strings.Split(strings.TrimSuffix(name, ".apk"), "-")
		if slices.Contains(alpineNames, strings.Join(parts[:len(parts)-2], "-")) {
			p.files = append(p.files, name)
		}
	}
	if len(p.files) != 47 {
		t.Fatalf("the set has %d packages", len(p.files))
	}
	return p
}

// raspberrySet is some packages of Alpine for another architecture.
func raspberrySet(t *testing.T) packageSet {
	t.Helper()
	p := packageSet{name: "raspberry", dir: realData(t, "alpine/rpi-3.13.4-aarch64/apks/aarch64"), system: "alpine 3.13.4 aarch64"}
	for _, name := range filesIn(t, p.dir, ".apk") {
		if !strings.HasPrefix(name, "vlan-") && !strings.HasPrefix(name, "network-extras-") {
			p.files = append(p.files, name)
		}
	}
	return p
}

// archSet is a system of 70 packages of Arch.
func archSet(t *testing.T) packageSet {
	t.Helper()
	p := packageSet{name: "arch", dir: realData(t, "arch/2017-12-x86_64/pkg"), system: "arch - x86_64"}
	if p.files = filesIn(t, p.dir, ".pkg.tar.xz"); len(p.files) != 70 {
		t.Fatalf("the set has %d packages", len(p.files))
	}
	return p
}

// webNames are a web server with its surroundings, some 180 packages. A
// database is not among them: those that its scripts make have random
// identities.
var webNames = strings.Fields("?essential apt nginx-light php-fpm certbot")

var webPackages = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(builtDir, "web")
	if err := os.MkdirAll(filepath.Join(dir, "debs", "partial"), 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command("apt-get", append([]string{"-q", "-y", "--no-install-recommends", "--download-only",
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::State::extended_states=/dev/null", "-o", "Dir::Cache=" + dir, "-o", "Dir::Cache::archives=debs", "-o", "APT::Sandbox::User=root",
		"install"}, webNames...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(dir, "debs"), nil
})

// webSet is a web server of Debian, as apt puts it together.
func webSet(t *testing.T) packageSet {
	t.Helper()
	needs(t, true, "apt-get", "dpkg")
	builtBinary(t)
	dir, err := webPackages()
	if err != nil {
		t.Skipf("the packages cannot be had (does this machine's apt have lists?): %v", err)
	}
	arch := strings.TrimSpace(must(t, "dpkg", "--print-architecture"))
	p := packageSet{name: "debian web server", dir: dir, system: "debian 12 " + arch, files: filesIn(t, dir, ".deb")}
	if len(p.files) < 150 {
		t.Fatalf("the set has %d packages, not 150", len(p.files))
	}
	return p
}

// startOpenRegistry starts a docker-registry that wants no login.
func startOpenRegistry(t *testing.T, host string) {
	t.Helper()
	program, dir := fetchtest.Program(t, "docker-registry"), t.TempDir()
	config := write(t, filepath.Join(dir, "config.yml"), fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", dir, host))
	cmd := exec.Command(program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	fetchtest.Start(t, cmd, fetchtest.Listens(host))
}

// elsewhere runs a build under conditions that differ from those of a test:
// another user, who is the first argument, and another language, time zone,
// umask, host name and temporary directory, and one CPU.
const elsewhere = `
user=$1; shift
mkdir -m 777 tmp
hostname somewhere-else
umask 077
export TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=de_DE TMPDIR=$PWD/tmp GOMAXPROCS=1 HOME=/nowhere
exec taskset -c 0 setpriv --reuid="$user" --regid="$user" --init-groups "$@"`

// TestImageSetsSameBits builds each set twice: the second time all that must
// make no difference differs. For each by itself see [TestImageSameBits].
func TestImageSetsSameBits(t *testing.T) {
	needs(t, true, "disorderfs")
	user := otherUser(t)
	for _, c := range []struct {
		name  string
		with  func(*testing.T) *imageBuilder
		first string
	}{
		{"debian", newImageBuilder, `exec "$@"`},
		{"debian-web", func(t *testing.T) *imageBuilder { return newSetBuilder(t, webSet(t), fewOutputs) }, `exec "$@"`},
		{"arch", func(t *testing.T) *imageBuilder { return newSetBuilder(t, archSet(t), fewOutputs) }, shuffled},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.with(t)
			first := b.build(t, "first", c.first)
			script := write(t, filepath.Join(b.dir, "elsewhere"), elsewhere)
			second := b.build(t, "second", "exec unshare --uts sh -e "+script+" "+user+` "$@"`, "--lock", b.turned(t))
			sameBits(t, first, second)
			if c.name == "debian" {
				t.Run("on-alpine", func(t *testing.T) { sameBits(t, first, onAlpine(t, b)) })
				t.Run("directory-order", func(t *testing.T) { sameBits(t, first, b.build(t, "shuffled", shuffled)) })
			}
		})
	}
}
