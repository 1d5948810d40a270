package initramfs

import (
	"strings"
	"testing"
)

// What is in an initramfs is what boots the root and nothing else.
func TestWhatIsInIt(t *testing.T) {
	got, err := made(t, synthetic(), Options{FileSystem: "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `/
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
	if paths(got) != want {
		t.Errorf("it has\n%s", paths(got))
	}
	if order := content(t, got, "modules/order"); order != "virtio\nvirtio_blk\ncrc32c_test\nmbcache\njbd2\next4\n" {
		t.Errorf("the modules are loaded in the order %q", strings.Fields(order))
	}
}
