package initramfs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

const wantExt4 = `/
bin/
bin/busybox
dev/
dev/console
init
lib/
lib/x86_64-linux-gnu/
lib/x86_64-linux-gnu/libc.so.6
lib64/
lib64/ld-linux-x86-64.so.2
lower/
medium/
modules/
modules/crc32c_test.ko
modules/ext4.ko
modules/jbd2.ko
modules/mbcache.ko
modules/order
modules/virtio.ko
modules/virtio_blk.ko
over/
proc/
root/
run/
sys/
`

// What is in an initramfs is what boots the root and nothing else.
func TestWhatIsInIt(t *testing.T) {
	got, err := made(t, synthetic(), Options{FileSystem: "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	if paths(got) != wantExt4 {
		t.Errorf("it has\n%s", paths(got))
	}
	if content(t, got, "init") != script {
		t.Error("init is not the script")
	}
	for n := range got.All() {
		in := n.Inode()
		want := tree.Mode(0o755)
		switch {
		case strings.HasPrefix(n.Path(), "modules/"):
			want = 0o644
		case n.Path() == "dev/console":
			want = 0o600
		}
		if in.Mode.Bits() != want || in.UID != 0 || in.GID != 0 || in.ModTime != treetest.Epoch {
			t.Errorf("%s is %s", n.Path(), n.Describe())
		}
	}
}

// Options bring their programs, with what these are linked with.
func TestProgramsOfOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want []string
	}{
		"verity": {Options{Verity: true}, []string{"bin/veritysetup -> /sbin/veritysetup", "sbin/veritysetup",
			"lib/x86_64-linux-gnu/libcryptsetup.so.12", "lib/x86_64-linux-gnu/libcrypto.so.3"}},
		"grow": {Options{Grow: true}, []string{"bin/sfdisk -> /sbin/sfdisk", "bin/resize2fs -> /sbin/resize2fs", "sbin/sfdisk", "sbin/resize2fs",
			"lib/x86_64-linux-gnu/libfdisk.so.1", "lib/x86_64-linux-gnu/libext2fs.so.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.FileSystem = "squashfs"
			got, err := made(t, synthetic(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(paths(got), "\n"+want+"\n") {
					t.Errorf("it has no %s:\n%s", want, paths(got))
				}
			}
		})
	}
}

// Alpine's busybox is linked with musl, which is its loader, too, and stays one
// file; Debian's static one is taken where there are both.
func TestOtherBusyboxes(t *testing.T) {
	const musl = "lib/ld-musl-x86_64.so.1"
	alpine := files{
		"bin/busybox":               string(fake{interp: "/" + musl, needed: []string{"libc.musl-x86_64.so.1"}, text: allApplets}.bytes()),
		musl:                        string(fake{}.bytes()),
		"lib/libc.musl-x86_64.so.1": "-> ld-musl-x86_64.so.1",
		"boot/vmlinuz-virt":         "kernel",
		"lib/modules/6.6.7-0-virt/modules.builtin":           "",
		"lib/modules/6.6.7-0-virt/kernel/fs/ext4/ext4.ko.gz": packGzip(ko("depends=")),
	}
	got, err := made(t, alpine, Options{FileSystem: "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nbin/busybox\n", "\n" + musl + "\n", "\nlib/libc.musl-x86_64.so.1 == " + musl + "\n", "\nmodules/ext4.ko\n"} {
		if !strings.Contains(paths(got), want) {
			t.Errorf("it has no %q:\n%s", want, paths(got))
		}
	}
	got, err = made(t, alpine.with(files{"bin/busybox.static": string(fake{text: allApplets}.bytes())}), Options{FileSystem: "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	if all := paths(got); !strings.Contains(all, "bin/busybox -> /bin/busybox.static\n") || strings.Contains(all, "musl") {
		t.Errorf("it has\n%s", all)
	}
}

func TestProgramsThatAreMissing(t *testing.T) {
	for name, c := range map[string]struct {
		o       Options
		changes files
		want    string
	}{
		"busybox":     {Options{}, files{"usr/bin/busybox": ""}, "the image lacks a program that the initramfs wants: busybox; lock the package busybox-static or busybox (Debian)"},
		"applets":     {Options{}, files{"usr/bin/busybox": string(fake{text: "\x00sh\x00mount\x00insmod\x00cat\x00mkdir\x00sleep\x00reboot\x00readlink\x00losetup\x00"}.bytes())}, "/usr/bin/busybox has no applet findfs, switch_root; lock"},
		"hexdump":     {Options{MBR: true}, nil, "/usr/bin/busybox has no applet hexdump; lock"},
		"veritysetup": {Options{Verity: true}, files{"usr/sbin/veritysetup": ""}, "wants: veritysetup; lock the package cryptsetup-bin"},
		"sfdisk":      {Options{Grow: true}, files{"usr/sbin/sfdisk": ""}, "wants: sfdisk; lock the package fdisk"},
		"resize2fs":   {Options{Grow: true}, files{"usr/sbin/resize2fs": "-> /nowhere"}, "wants: resize2fs; lock the package e2fsprogs"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.FileSystem = "ext4"
			_, err := made(t, synthetic().with(c.changes), c.o)
			wantError(t, err, c.want)
			if !errors.Is(err, ErrNoProgram) {
				t.Error("it is no ErrNoProgram")
			}
		})
	}
	_, err := made(t, synthetic().with(files{"usr/lib/x86_64-linux-gnu/libcrypto.so.3": ""}), Options{FileSystem: "ext4", Verity: true})
	wantError(t, err, "/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12.7.0 is linked with libcrypto.so.3, which is not in the image")
	_, err = made(t, synthetic().with(files{"usr/bin/busybox": "#!/bin/sh" + allApplets}), Options{FileSystem: "ext4"})
	wantError(t, err, "/usr/bin/busybox: it is no program of Linux")
}

// golden is the SHA-256 of the archive of all that an initramfs can have, made
// of the synthetic system. It changes only with the format version, and so does
// the script.
const golden = "b97c1e01b7a888104e7e9ddaeece67681ac2c2c3dd7768f522978ff920de342b"

// An initramfs is the same in whatever order its system came together, and on
// however many CPUs.
func TestSameBits(t *testing.T) {
	system := synthetic().with(files{modulesDir + "isofs.ko": ko(), modulesDir + "loop.ko": ko()})
	o := Options{FileSystem: "ext4", Verity: true, Overlay: true, Grow: true, Medium: "iso9660"}
	var first *tree.Tree
	for _, cpus := range []int{1, 2, 7, 1} {
		before := runtime.GOMAXPROCS(cpus)
		got, err := made(t, system, o) // a map, whose order is another each time
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		} else if got.Digest() != first.Digest() {
			t.Fatal("a second initramfs is another")
		}
	}
	var archive bytes.Buffer
	if err := cpio.Write(t.Context(), &archive, first, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(archive.Bytes())); got != golden {
		t.Errorf("the archive is %s, not %s", got, golden)
	}
	other := o
	other.Overlay = false
	if got, err := made(t, system, other); err != nil || got.Digest() == first.Digest() {
		t.Errorf("other options make the same initramfs, %v", err)
	}
}

// The script is one that busybox reads, and calls the applets that are asked for.
func TestScript(t *testing.T) {
	if path, err := exec.LookPath("busybox"); err == nil {
		cmd := exec.CommandContext(t.Context(), path, "sh", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	called := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$bb ([a-z_]+)`).FindAllStringSubmatch(script, -1) {
		called[m[1]] = true
	}
	for name := range called {
		if !slices.Contains(applets, name) && !slices.Contains(ofMBR, name) {
			t.Errorf("the script calls %s, which no busybox is asked for", name)
		}
	}
	if len(called) != len(applets)+len(ofMBR) {
		t.Errorf("the script calls %d applets, and %d are asked for", len(called), len(applets)+len(ofMBR))
	}
}
