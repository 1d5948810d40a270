package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImageForeign builds an image for an architecture that is not this
// machine's, with the scripts of its packages and commands of its spec: as root
// and as another user, elsewhere.
func TestImageForeign(t *testing.T) {
	needs(t, true, "qemu-aarch64-static")
	b := newSetBuilder(t, raspberrySet(t), fewOutputs)
	spec := write(t, filepath.Join(b.dir, "image.yaml"), `version: 1
users: [{name: someone}]
run:
  - script: |
      uname -m >/etc/machine
      printf '#!/bin/cat\nsecond\n' >/etc/itself
      chmod +x /etc/itself
      /etc/itself >/etc/said
      apk audit --system | grep -v ' etc/' >/etc/audit || true
`)
	first := b.build(t, "first", `exec "$@" `+spec)
	list := read(t, filepath.Join(b.dir, "first", "root.mtree"))
	for _, want := range []string{"./bin/cat type=link", "./sbin/init type=link", "./etc/chrony type=dir mode=0755 uid=100 "} {
		if !strings.Contains(list, "\n"+want) {
			t.Errorf("scripts did not make %s", want)
		}
	}
	for name, want := range map[string]string{"etc/machine": "aarch64\n", "etc/audit": "", "etc/said": "#!/bin/cat\nsecond\n"} {
		if got := must(t, "tar", "-xOf", filepath.Join(b.dir, "first", "root.tar.zst"), name); got != want {
			t.Errorf("/%s is %q", name, got)
		}
	}
	script := write(t, filepath.Join(b.dir, "elsewhere"), elsewhere)
	sameBits(t, first, b.build(t, "second", "exec unshare --uts sh -e "+script+" "+otherUser(t)+` "$@" `+spec, "--lock", b.turned(t)))

	// Where no qemu is to be found, and the kernel does not know one either.
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/qemu-aarch64"); err == nil {
		return
	}
	cmd := command(t, filepath.Join(b.dir, "first", "cache"), "image", "build", "--offline", "--no-cache", "--lock", b.lock, "--output", filepath.Join(t.TempDir(), "root.tar"))
	cmd.Env = append(cmd.Env, "PATH=/nowhere")
	if r := finish(t, cmd); r.code != 1 || !strings.Contains(r.stderr, "is a program for aarch64, which this machine cannot run; install qemu-user-static") || !strings.Contains(r.stderr, "--no-scripts") {
		t.Errorf("without qemu: %v", r)
	}
}
