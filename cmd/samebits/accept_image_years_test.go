package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/vmtest"
)

// yearsInit is the first process of a machine that builds the same image in
// two years, one of them before the lock was made. The first root of a machine
// cannot be left by the sandbox, so it moves into another.
const yearsInit = `#!/bin/sh
set -e
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /new
mount -t tmpfs -o size=90% tmpfs /new
mkdir /new/proc /new/sys /new/dev /new/tmp /new/work
cp -a /bin /etc /lib /sbin /usr /set /new/
for d in proc sys dev; do mount -o move /$d /new/$d; done
exec switch_root /new /bin/sh /set/build
`

const yearsBuild = `
cd /work
for now in '2003-02-01 04:05:06' '2041-06-30 23:59:50'; do
	date -s "$now" >/dev/null
	rm -rf root.tar oci
	/set/samebits image build --offline --no-cache --cache /work/cache --source /set/debs --lock /set/LOCK -o root.tar -o type=oci,dest=oci >log 2>&1 || cat log
	echo "YEAR $(date +%Y)" $(sha256sum root.tar oci/index.json | cut -c1-64) >/dev/console
done
sleep 1
poweroff -f
`

// sameYears builds in an emulated machine, whose clock can be any.
func sameYears(t *testing.T, b *imageBuilder, want map[string]string) {
	needs(t, true, "qemu-system-x86_64")
	kernel, work := vmtest.Kernel(t), t.TempDir()
	set := filepath.Join(work, "set")
	must(t, "cp", "-r", filepath.Join(filepath.Dir(b.lock), "debs"), set+"-debs")
	if err := os.Mkdir(set, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{set + "-debs": "debs", b.binary: "samebits", b.lock: "LOCK"} {
		must(t, "cp", "-r", from, filepath.Join(set, to))
	}
	write(t, filepath.Join(set, "build"), yearsBuild)
	write(t, filepath.Join(work, "init"), yearsInit)
	imageOf(t, alpineSet(t), work, `version: 1
files:
  - {path: /init, source: init, mode: 0755}
  - {path: /set, source: set}
outputs:
  - {type: cpio, dest: initramfs.cpio, compress: none}
`)
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: work + "/initramfs.cpio", Cmdline: "console=ttyS0 panic=-1 quiet"})
	for _, year := range []int{2003, 2041} {
		line := fmt.Sprintf("YEAR %d %s %s", year, want["root.tar"], want[filepath.Join("oci", "index.json")])
		if !strings.Contains(out, line) {
			t.Errorf("want %q of what the machine says:\n%s", line, out)
		}
	}
}
