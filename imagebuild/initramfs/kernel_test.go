package initramfs

import (
	"errors"
	"strings"
	"testing"
)

// Kernels are found where each distribution has them.
func TestKernels(t *testing.T) {
	for name, c := range map[string]struct {
		system                    files
		release, image, initramfs string
	}{
		"Debian": {files{"lib": "-> usr/lib", "usr/lib/modules/6.1.0-9-amd64/x": "x", "boot/vmlinuz-6.1.0-9-amd64": "k", "boot/initrd.img-6.1.0-9-amd64": "i"},
			"6.1.0-9-amd64", "boot/vmlinuz-6.1.0-9-amd64", "boot/initrd.img-6.1.0-9-amd64"},
		"Debian for another machine": {files{"lib/modules/6.1.0-9-riscv64/x": "x", "boot/vmlinux-6.1.0-9-riscv64": "k"},
			"6.1.0-9-riscv64", "boot/vmlinux-6.1.0-9-riscv64", ""},
		"Alpine": {files{"lib/modules/6.6.7-0-virt/x": "x", "boot/vmlinuz-virt": "k", "boot/initramfs-virt": "i"},
			"6.6.7-0-virt", "boot/vmlinuz-virt", "boot/initramfs-virt"},
		"Arch": {files{"usr/lib/modules/6.9.1-arch1-1/pkgbase": "linux\n", "usr/lib/modules/6.9.1-arch1-1/vmlinuz": "k", "boot/initramfs-linux.img": "i", "boot/vmlinuz-linux": "k"},
			"6.9.1-arch1-1", "usr/lib/modules/6.9.1-arch1-1/vmlinuz", "boot/initramfs-linux.img"},
		"Fedora": {files{"lib": "-> usr/lib", "usr/lib/modules/6.8.5-301.fc40.x86_64/vmlinuz": "k", "boot/initramfs-6.8.5-301.fc40.x86_64.img": "i"},
			"6.8.5-301.fc40.x86_64", "usr/lib/modules/6.8.5-301.fc40.x86_64/vmlinuz", "boot/initramfs-6.8.5-301.fc40.x86_64.img"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := FindKernel(c.system.tree(t), "")
			if err != nil {
				t.Fatal(err)
			}
			if k.Release != c.release || k.Image.Path() != c.image {
				t.Errorf("it is %s at %s", k.Release, k.Image.Path())
			}
			if k.HasInitramfs != (c.initramfs != "") || k.HasInitramfs && k.Initramfs.Path() != c.initramfs {
				t.Errorf("its initramfs: %t", k.HasInitramfs)
			}
		})
	}
}

func TestSeveralKernels(t *testing.T) {
	image := files{
		"usr/lib/modules/6.2-b/x": "x", "boot/vmlinuz-6.2-b": "k",
		"lib/modules/6.1-a/x": "x", "boot/vmlinuz-6.1-a": "k",
		"lib/modules/6.0-gone/x": "x", "lib/modules/README": "no kernel",
	}.tree(t)
	var releases []string
	for _, k := range Kernels(image) {
		releases = append(releases, k.Release)
	}
	if got := strings.Join(releases, " "); got != "6.1-a 6.2-b" {
		t.Errorf("the kernels are %s", got)
	}
	if k, err := FindKernel(image, "6.2-b"); err != nil || k.Modules != "usr/lib/modules/6.2-b" {
		t.Errorf("%+v, %v", k, err)
	}
	_, err := FindKernel(image, "")
	wantError(t, err, "the image has the kernels 6.1-a, 6.2-b; say which is to boot")
	_, err = FindKernel(image, "6.3")
	wantError(t, err, "the image has no kernel 6.3, but 6.1-a, 6.2-b")
	if !errors.Is(err, ErrNoKernel) {
		t.Error("it is no ErrNoKernel")
	}
	for name, system := range map[string]files{
		"empty":          {"etc/hostname": "x"},
		"without image":  {"lib/modules/6.0/x": "x"},
		"loop of links":  {"lib": "-> usr/lib", "usr/lib": "-> ../lib", "boot/vmlinuz-6.0": "k"},
		"file for a dir": {"lib/modules": "x"},
	} {
		if _, err := FindKernel(system.tree(t), ""); !errors.Is(err, ErrNoKernel) || !strings.Contains(err.Error(), "lock a kernel's package") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is read has a bound.
func TestReadIsBounded(t *testing.T) {
	n, _ := files{"f": "12345"}.tree(t).Lookup("f")
	if data, err := read(n, 5); err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	_, err := read(n, 4)
	wantError(t, err, "/f: 5 bytes are more than the 4 that are read of such a file")
}

// wantError fails the test where an error does not say something.
func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, which does not say %q", err, want)
	}
}
