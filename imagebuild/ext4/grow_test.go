package ext4_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// growScript is the first process of a machine that grows what it has mounted,
// and writes into it before and after.
const growScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
for m in /modules/*.ko; do insmod "$m"; done
mount -t ext4 /dev/vda /mounted && echo GROW mounted
dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\0' a >/mounted/before
resize2fs /dev/vda && echo GROW resized
dd if=/dev/zero bs=1M count=32 2>/dev/null | tr '\0' b >/mounted/after && echo GROW written
i=0; while [ $i -lt 200 ]; do mkdir "/mounted/many/new $i"; i=$((i+1)); done
ls /mounted/many | wc -l
df -m /mounted | tail -n 1
umount /mounted && echo GROW unmounted
poweroff -f
`

// withPrograms is an initramfs to add to vmtest's, whose first process it
// replaces: busybox, a script, and programs of this machine.
func withPrograms(t *testing.T, script string, programs ...string) []byte {
	t.Helper()
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		for i := range path {
			if path[i] == '/' && !has(&b, path[:i]) {
				if err := b.Add(path[:i], tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if has(&b, path) {
			return
		}
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	copyIn := func(from, to string) {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		add(to, treetest.File(0o755, string(content)))
	}
	add("init", treetest.File(0o755, script))
	add("mounted/", tree.Inode{})
	add("sbin/", tree.Inode{})
	for _, p := range append([]string{"busybox"}, programs...) {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Skip(err)
		}
		copyIn(path, "bin/"+p)
		libraries, _ := exec.Command("ldd", path).Output() // a static one has none
		for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(libraries, -1) {
			copyIn(string(m[1]), string(m[1][1:]))
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cpio.Write(t.Context(), &out, tr, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var made = map[*tree.Builder]map[string]bool{}

// has reports whether a path was asked for before.
func has(b *tree.Builder, path string) bool {
	if made[b] == nil {
		made[b] = map[string]bool{}
	}
	was := made[b][path] || path == "" || strings.HasSuffix(path, "/")
	made[b][path] = true
	return was
}

// A machine grows the file system from 350 MB to 10 GiB while it is mounted, by
// resize2fs as it has no resize inode, and it is sound afterwards.
func TestGrowsWhileMounted(t *testing.T) {
	f := image(t, treetest.Odd(), golden())
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(10 << 30); err != nil {
		t.Fatal(err)
	}
	kernel := vmtest.Kernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	both := slices.Concat(vmtest.Initramfs(t, kernel, vmtest.Virtio, nil), withPrograms(t, growScript, "resize2fs"))
	if err := os.WriteFile(initrd, both, 0o600); err != nil {
		t.Fatal(err)
	}
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: initrd, Disks: []string{f.Name()}, Cmdline: "console=ttyS0 panic=-1 quiet"})
	for _, want := range []string{"GROW mounted", "on-line resizing required", "GROW resized", "GROW written", "6200", "GROW unmounted"} {
		if !strings.Contains(out, want) {
			t.Fatalf("the machine does not say %q:\n%s", want, out)
		}
	}
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	s, err := ext4.ReadSuper(f, 10<<30)
	if err != nil {
		t.Fatal(err)
	}
	if s.Size != 10<<30 || s.Size == info.Size() || !slices.Contains(s.Features, "meta_bg") {
		t.Errorf("%d bytes became %d, with the features %q", info.Size(), s.Size, s.Features)
	}
}

// The journal is one that Linux writes and e2fsck plays back: what was synced
// before the machine lost its power is there.
func TestJournalIsPlayedBack(t *testing.T) {
	f := image(t, treetest.Odd(), golden())
	at := mount(t, f.Name())
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(at, "order", fmt.Sprint(i)), treetest.Random(uint64(i), 5000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	imagetest.Tool(t, "sync", "-f", at)
	// As it is now, while Linux goes on.
	now := filepath.Join(t.TempDir(), "now")
	imagetest.Tool(t, "cp", "--sparse=always", f.Name(), now)
	crashed, err := os.Open(now)
	if err != nil {
		t.Fatal(err)
	}
	defer crashed.Close()
	if _, err := readFrom(crashed); err == nil || !strings.Contains(err.Error(), "its journal is to be played back") {
		t.Errorf("reading what has a journal to be played back: %v", err)
	}
	cmd := exec.Command("e2fsck", "-fp", now)
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() > 1 || !bytes.Contains(out, []byte("recovering journal")) {
		t.Fatalf("%v: %s", err, out)
	}
	imagetest.Tool(t, "e2fsck", "-fn", now)
	got, err := readFrom(crashed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		n, found := got.Lookup(fmt.Sprint("order/", i))
		if !found || n.Inode().Size != 5000 {
			t.Fatalf("the file %d that was synced is not there", i)
		}
	}
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
}

// What Linux made of the file system is read as Linux sees it.
func TestReadsWhatLinuxChanged(t *testing.T) {
	f := image(t, treetest.Odd(), golden())
	at := mount(t, f.Name())
	for i := range 2000 {
		if err := os.Remove(filepath.Join(at, "many", fmt.Sprintf("file-%04d.txt", 3*i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(at, "grown"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 1500 {
		if err := os.Symlink(strings.Repeat("t", 1+i), filepath.Join(at, "grown", strings.Repeat("n", 1+i%200)+fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	holes, err := os.Create(filepath.Join(at, "grown", "holes"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(700) { // more extents than an inode has, and a block of them
		if _, err := holes.WriteAt([]byte("data"), i*16384); err != nil {
			t.Fatal(err)
		}
	}
	if err := holes.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := dir.Read(t.Context(), at, dir.ReadOptions{Skip: func(path string) bool { return path == "lost+found" }})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "mount", "-o", "remount,ro", at)
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(want, got, treetest.All))
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
}

// A content of a volume can be read at any place, with its holes.
func TestContentsAtRandom(t *testing.T) {
	n := treetest.Holes(3<<20+77, []tree.Extent{{Offset: 5, Length: 4000}, {Offset: 1 << 20, Length: 100_000}, {Offset: 3 << 20, Length: 77}})
	got, err := readFrom(image(t, build(t, "file", n), ext4.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	file, _ := got.Lookup("file")
	r, err := file.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	whole, err := io.ReadAll(r)
	if err != nil || int64(len(whole)) != n.Size {
		t.Fatal(len(whole), err)
	}
	sparse, ok := file.Inode().Content.(tree.Sparse)
	if !ok {
		t.Fatal("the content does not know its holes")
	}
	covered := int64(0)
	rest := bytes.Clone(whole)
	for _, x := range sparse.Extents() {
		covered += x.Length
		clear(rest[x.Offset : x.Offset+x.Length])
	}
	if covered > 150_000 || strings.Trim(string(rest), "\x00") != "" {
		t.Errorf("the extents have %d bytes, or there is data besides", covered)
	}
	for _, at := range []int64{0, 4, 4094, 1<<20 - 3, 1<<20 + 99_990, 3<<20 - 1, n.Size - 5, n.Size} {
		part := make([]byte, 5000)
		k, err := r.(io.ReaderAt).ReadAt(part, at)
		if want := whole[at:min(at+5000, n.Size)]; !bytes.Equal(part[:k], want) || (err == io.EOF) != (len(want) < 5000) {
			t.Errorf("at %d: %d bytes, want %d, %v", at, k, len(want), err)
		}
	}
}
