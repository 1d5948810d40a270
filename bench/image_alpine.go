package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// alpinePackages are 47 of a release's ISO: a system with OpenRC, OpenSSH and
// chrony.
const alpinePackages = `alpine-base alpine-baselayout alpine-baselayout-data alpine-conf alpine-keys alpine-release apk-tools
busybox busybox-binsh busybox-mdev-openrc busybox-openrc busybox-suid ca-certificates-bundle chrony chrony-openrc gmp gnutls
ifupdown-ng libc-utils libcap2 libcrypto3 libedit libffi libidn2 libncursesw libseccomp libssl3 libtasn1 libunistring mdev-conf
musl musl-utils ncurses-terminfo-base nettle openrc openssh openssh-client-common openssh-client-default openssh-keygen
openssh-server openssh-server-common openssh-server-common-openrc openssh-sftp-server p11-kit scanelf tzdata zlib`

// benchImageAlpine makes an OCI image of Alpine's packages, with apko if it is
// at hand and with samebits. Both have the packages and what they keep of an
// earlier build: apko packages that are unpacked, samebits the whole root but
// where --no-cache says otherwise.
func benchImageAlpine(b *bench) error {
	if os.Geteuid() != 0 {
		fmt.Fprintln(b.out, "Left out: it wants root.")
		return nil
	}
	data, err := dataDir()
	if err != nil {
		return err
	}
	iso := filepath.Join(data, "alpine/iso-3.19.1")
	lock, names, err := b.alpineLock(iso)
	if err != nil {
		return err
	}
	cache, out := filepath.Join(b.dir, "cache"), filepath.Join(b.dir, "oci")
	if text, err := exec.Command(b.samebits, "lock", "fetch", "--offline", "--cache", cache, "--source", iso, lock).CombinedOutput(); err != nil {
		return fmt.Errorf("samebits lock fetch: %w\n%s", err, text)
	}
	empty := func() error { return os.RemoveAll(out) }
	ours := func(more ...string) contestant {
		return contestant{strings.Join(append([]string{"`samebits image build"}, more...), " ") + "`", empty, func() *exec.Cmd {
			return exec.Command(b.samebits, append([]string{"image", "build", "--offline", "--cache", cache, "--lock", lock, "--output", "type=oci,dest=" + out}, more...)...)
		}}
	}
	contestants := []contestant{ours("--no-scripts", "--no-cache"), ours("--no-scripts"), ours("--no-cache"), ours()}
	if apko, err := exec.LookPath("apko"); err != nil {
		fmt.Fprintln(b.out, "Without apko, which is not here.")
	} else {
		config, err := apkoConfig(b.dir, data, iso, names)
		if err != nil {
			return err
		}
		peer := contestant{"`apko build`", func() error { return os.MkdirAll(out, 0o755) }, func() *exec.Cmd {
			cmd := exec.Command(apko, "build", "--arch", "x86_64", "--sbom=false", "--cache-dir", filepath.Join(b.dir, "apko"), config, "image:latest", out+"/")
			cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1706291505")
			return cmd
		}}
		clear := peer.prepare
		peer.prepare = func() error {
			if err := empty(); err != nil {
				return err
			}
			return clear()
		}
		contestants = append([]contestant{peer}, contestants...)
	}
	for _, c := range contestants { // fill what is kept
		if _, err := c.once(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Fprintf(b.out, "%d packages.\n\n", len(names))
	return b.measure(contestants...)
}

// alpineLock locks the packages, and returns them as apk is asked for them.
func (b *bench) alpineLock(iso string) (lock string, names []string, err error) {
	var text bytes.Buffer
	text.WriteString("# samebits lock v1\n#: distro alpine 3.19.1 x86_64\n#: date 2024-01-26T17:51:45Z\n#: archive bench http://127.0.0.1:9/\n")
	for _, name := range strings.Fields(alpinePackages) {
		files, err := filepath.Glob(iso + "/x86_64/" + name + "-[0-9]*.apk")
		if err != nil || len(files) != 1 {
			return "", nil, fmt.Errorf("the package %s: %d files, %w", name, len(files), err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			return "", nil, err
		}
		base := filepath.Base(files[0])
		fmt.Fprintf(&text, "%x  x86_64/%s\n", sha256.Sum256(data), base)
		version := strings.TrimSuffix(strings.TrimPrefix(base, name+"-"), ".apk")
		if !regexp.MustCompile(`^[0-9]\S*-r[0-9]+$`).MatchString(version) {
			return "", nil, fmt.Errorf("%s has the version %q", base, version)
		}
		names = append(names, name+"="+version)
	}
	lock = filepath.Join(b.dir, "LOCK")
	return lock, names, os.WriteFile(lock, text.Bytes(), 0o644)
}

// apkoConfig writes what apko is to build.
func apkoConfig(dir, data, iso string, names []string) (string, error) {
	keys, err := filepath.Glob(data + "/alpine/keys/*.pub")
	if err != nil {
		return "", err
	}
	text := "contents:\n  keyring:\n"
	for _, k := range keys {
		text += fmt.Sprintf("    - %q\n", k)
	}
	text += fmt.Sprintf("  repositories: [%q]\n  packages:\n", iso)
	for _, n := range names {
		text += fmt.Sprintf("    - %q\n", n)
	}
	name := filepath.Join(dir, "apko.yaml")
	return name, os.WriteFile(name, []byte(text+"archs: [x86_64]\n"), 0o644)
}
