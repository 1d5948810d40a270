package initramfs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/verity"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// rootInit is the first process of the roots of the tests, which tells what it
// sees and does what the test's words of the command line say.
const rootInit = `#!/bin/busybox sh
bb=/bin/busybox
echo "TEST started as $0 with $*"
while read -r what where type options; do
	echo "TEST mount $where $type $options"
	[ "$where" = / ] && echo "TEST source $what"
done </proc/mounts
if echo written >/written; then echo "TEST written"; else echo "TEST not written"; fi
for word in $($bb cat /proc/cmdline); do
	case "$word" in
	test.read) $bb sha256sum /large ;;
	esac
done
$bb sync
$bb mount -o remount,ro /
echo TEST done
$bb poweroff -f
`

// root is a small root whose init tells what it sees.
func root(t testing.TB) *tree.Tree {
	t.Helper()
	static, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs the package busybox-static: ", err)
	}
	if o, err := readObject(bytes.NewReader(static), "bin"); err != nil || o.loader != "" {
		t.Skip("needs the package busybox-static")
	}
	var b tree.Builder
	add := func(name string, in tree.Inode) {
		if err := b.Add(name, in); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "dev", "proc", "sys", "run", "sbin"} {
		add(name, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch})
	}
	add("bin/busybox", treetest.File(0o755, string(static)))
	add("sbin/init", treetest.File(0o755, rootInit))
	add("sbin/other", treetest.File(0o755, rootInit))
	add("large", treetest.File(0o644, string(treetest.Random(1, largeSize))))
	out, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// medium is an ISO with a squashfs of the root and its hash tree.
func medium(t testing.TB) (path, hash string) {
	t.Helper()
	scratch := t.TempDir()
	create := func(name string) *os.File {
		f, err := os.Create(filepath.Join(scratch, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	image, hashes, out := create("root"), create("hashes"), create("iso")
	size, err := squashfs.Write(t.Context(), image, root(t), squashfs.Options{})
	if err == nil {
		err = image.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, hashSize, err := verity.Write(t.Context(), image, size, hashes, verity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b tree.Builder
	for name, in := range map[string]tree.Inode{
		"live":                      {Mode: tree.Directory | 0o755},
		"live/root.squashfs":        {Mode: tree.Regular | 0o644, Size: size, Content: tree.Section(image, 0, size)},
		"live/root.squashfs-verity": {Mode: tree.Regular | 0o644, Size: hashSize, Content: tree.Section(hashes, 0, hashSize)},
	} {
		if err := b.Add(name, in); err != nil {
			t.Fatal(err)
		}
	}
	files, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iso.Write(t.Context(), out, files, iso.Options{VolumeID: "LIVE"}); err != nil {
		t.Fatal(err)
	}
	return out.Name(), tree.Digest(sum).String()
}

const largeSize = 1 << 20

// largeDigest is the sum of the root's file large.
func largeDigest() string {
	return fmt.Sprintf("%x", sha256.Sum256(treetest.Random(1, largeSize)))
}

// flip changes a byte of the root's file large.
func flip(t testing.TB, disk string, p gpt.Partition) {
	t.Helper()
	data, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	large := treetest.Random(1, largeSize)
	i := bytes.Index(data[p.Start:p.Start+p.Size], large[largeSize/2:largeSize/2+64])
	if i < 0 {
		t.Fatal("the file is not on the disk")
	}
	data[p.Start+int64(i)] ^= 4
	if err := os.WriteFile(disk, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func fileDigest(t testing.TB, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// checkVolume has e2fsck look at a partition.
func checkVolume(t testing.TB, disk string, p gpt.Partition) {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	volume := filepath.Join(t.TempDir(), "volume")
	out, err := os.Create(volume)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(f, p.Start, p.Size)); err != nil {
		t.Fatal(err)
	}
	if told, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", volume).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, told)
	}
}

// at is a place on a disk.
type at struct {
	f     *os.File
	start int64
}

func (a at) WriteAt(p []byte, offset int64) (int, error) { return a.f.WriteAt(p, a.start+offset) }
func (a at) ReadAt(p []byte, offset int64) (int, error)  { return a.f.ReadAt(p, a.start+offset) }

const partitionSize = 32 << 20

// disk writes a disk with the partitions esp, root-verity and root, of which
// the last one has a file system of a kind, and others. It returns the hash
// tree's root.
func disk(t testing.TB, kind string, others ...gpt.Partition) (path, hash string, table *gpt.Table) {
	t.Helper()
	types, _ := gpt.TypesOf("amd64")
	table, err := gpt.Table{ID: gpt.FormatGUID([16]byte{1}), Partitions: append([]gpt.Partition{
		{Type: gpt.ESP, ID: gpt.FormatGUID([16]byte{2}), Name: "esp", Size: 1 << 20},
		{Type: types.RootVerity, ID: gpt.FormatGUID([16]byte{3}), Name: "root-verity", Size: verity.Size(partitionSize)},
		{Type: types.Root, ID: gpt.FormatGUID([16]byte{4}), Name: "root", Size: partitionSize},
	}, others...)}.Layout()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(table.Size); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	place, tr := at{f, table.Partitions[2].Start}, root(t)
	switch kind {
	case "ext4":
		_, err = ext4.Write(t.Context(), place, tr, ext4.Options{UUID: [16]byte{15: 5}, Label: "thelabel", Time: treetest.Epoch, Size: partitionSize - 8<<20})
	case "erofs":
		_, err = erofs.Write(t.Context(), place, tr, erofs.Options{Compression: erofs.LZ4})
	case "squashfs":
		_, err = squashfs.Write(t.Context(), place, tr, squashfs.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, _, err := verity.Write(t.Context(), place, partitionSize, at{f, table.Partitions[1].Start}, verity.Options{Salt: []byte("salt")})
	if err != nil {
		t.Fatal(err)
	}
	return f.Name(), tree.Digest(sum).String(), table
}

// boot boots a disk and returns what the machine says.
func boot(t testing.TB, initrd, cmdline string, disks ...string) string {
	t.Helper()
	return vmtest.Run(t, vmtest.Machine{Kernel: vmtest.Kernel(t), Initrd: initrd, Disks: disks,
		Cmdline: "console=ttyS0 quiet panic=-1 " + cmdline})
}

// says fails the test where a machine did not say something.
func says(t testing.TB, out string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(out, want) {
			t.Errorf("the machine does not say %q:\n%s", want, out[max(0, len(out)-6000):])
		}
	}
}

// never fails the test where a machine said what it should not.
func never(t testing.TB, out, unwanted string) {
	t.Helper()
	if strings.Contains(out, unwanted) {
		t.Errorf("the machine says %q:\n%s", unwanted, out[max(0, len(out)-6000):])
	}
}
