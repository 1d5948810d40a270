package disk_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// lived is a tree with what partitions are made of, and a line of etc/fstab
// without its end.
func lived(t testing.TB) *tree.Tree {
	t.Helper()
	n := &nursery{TB: t, b: *plain(t).Edit()}
	n.put("home", tree.Inode{Mode: tree.Directory | 0o751, UID: 7, GID: 8, ModTime: treetest.Epoch})
	n.text("home/app/greeting", 0o600, "hello")
	if err := n.b.Link("home/again", "home/app/greeting"); err != nil {
		t.Fatal(err)
	}
	n.text("var/lib/state", 0o644, "known\n")
	n.text("var/tmp/rest", 0o644, "left\n")
	n.text("opt/manuals/first", 0o644, strings.Repeat("Read it. ", 1000))
	n.text("usr/sbin/fsck.ext4", 0o755, "")
	n.text("etc/fstab", 0o640, "# what there is\nproc /proc proc defaults 0 0")
	return freeze(t, n)
}

// all has each kind of partition, with one within another.
var all = []disk.Partition{
	{Type: "var", FileSystem: disk.EROFS, Label: "state"},
	{Type: "tmp", Size: 16 << 20, Label: "temporary"},
	{Type: "home", Size: 16 << 20},
	{Type: "swap", Size: 2 << 20, Label: "memory"},
	{Type: "data", Size: 16 << 20, From: "/opt/manuals", Label: "MANUALS"},
	{Type: "BC13C2FF-59E6-4262-A352-B275FD6F7172", FileSystem: disk.VFAT, Mount: "/boot/more kernels", Size: 8 << 20},
	{Type: "linux", Mount: "/srv/x", FileSystem: disk.Squashfs},
	{Type: "linux", FileSystem: disk.NoFileSystem, Size: 3 << 20},
}

// open is what a disk was written to, and where what is on it.
func open(t testing.TB, tr *tree.Tree, o disk.Options) (*os.File, *disk.Layout) {
	t.Helper()
	file, l := written(t, tr, options(o))
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l
}

// read is the tree of a file system that a partition has.
func read(t testing.TB, f io.ReaderAt, kind string, p gpt.Partition) *tree.Tree {
	t.Helper()
	ctx, r := t.Context(), at(f, p)
	var tr *tree.Tree
	var err error
	switch kind {
	case disk.Ext4:
		v, e := ext4.Read(ctx, r, p.Size)
		if err = e; e == nil {
			tr = v.Tree
		}
	case disk.EROFS:
		v, e := erofs.Read(ctx, r, p.Size)
		if err = e; e == nil {
			tr = v.Tree
		}
	case disk.Squashfs:
		v, e := squashfs.Read(ctx, r, p.Size)
		if err = e; e == nil {
			tr = v.Tree
		}
	case disk.VFAT:
		v, e := fat.Read(ctx, r, p.Size)
		if err = e; e == nil {
			tr = v.Tree
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// sub is a directory of a tree without some of what is in it.
func sub(t testing.TB, tr *tree.Tree, dir string, without ...string) *tree.Tree {
	t.Helper()
	if dir != "" {
		var err error
		if tr, err = tree.Sub(tr, dir); err != nil {
			t.Fatal(err)
		}
	}
	return tree.Filter(tr, func(n tree.Node) bool {
		for _, w := range without {
			if strings.HasPrefix(n.Path(), w+"/") {
				return false
			}
		}
		return true
	})
}

func TestPartitions(t *testing.T) {
	tr := lived(t)
	f, l := open(t, tr, disk.Options{Free: size(8 << 20), Partitions: all})
	table, err := gpt.Read(f, l.Size)
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for _, p := range table.Partitions {
		name := p.Name
		if strings.HasPrefix(name, "root-") {
			name = "root"
		}
		fmt.Fprintf(&told, "%s %s %d %x\n", name, gpt.TypeName(p.Type), p.Start>>20, p.Attributes>>56)
	}
	const want = `state var 1 10
temporary tmp 2 8
home home 18 8
memory swap 34 0
MANUALS microsoft-data 36 0
xbootldr xbootldr 52 0
linux linux-generic 60 10
linux linux-generic 61 0
root root-amd64 64 8
`
	if told.String() != want {
		t.Errorf("the partitions are\n%s, want\n%s", told.String(), want)
	}
	for i, want := range map[int]struct {
		kind string
		tree *tree.Tree
	}{
		0: {disk.EROFS, sub(t, tr, "var", "tmp")}, 1: {disk.Ext4, sub(t, tr, "var/tmp")},
		2: {disk.Ext4, sub(t, tr, "home")}, 4: {disk.VFAT, sub(t, tr, "opt/manuals")},
	} {
		mask := treetest.All
		if want.kind == disk.VFAT {
			mask = treetest.Content
		}
		for _, line := range treetest.Compare(want.tree, read(t, f, want.kind, table.Partitions[i]), mask) {
			t.Errorf("partition %d: %s", i+1, line)
		}
	}
	root := read(t, f, disk.Ext4, table.Partitions[8])
	changed := tr.Edit()
	for _, dir := range []string{"boot", "boot/more kernels", "srv", "srv/x"} {
		if err := changed.Add(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}); err != nil {
			t.Fatal(err)
		}
	}
	fstab := treetest.File(0o640, "# what there is\nproc /proc proc defaults 0 0\n"+mountsOfAll)
	if err := changed.Set("etc/fstab", fstab); err != nil {
		t.Fatal(err)
	}
	expected, err := changed.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range treetest.Compare(sub(t, expected, "", "var", "home", "opt/manuals"), root, treetest.All) {
		t.Error("the root: ", line)
	}
}

// mountsOfAll is what the root's etc/fstab tells of all.
const mountsOfAll = `UUID=92945098-80be-8d89-8bfc-99a78c6ef106 none swap defaults 0 0
UUID=51A4-04BD /boot/more\040kernels vfat defaults 0 0
UUID=4c6e8975-df7d-8ad1-8e9a-01b8a8117d70 /home ext4 defaults 0 2
PARTUUID=674592fe-4d9c-890c-8651-b07b80a34dc2 /srv/x squashfs ro 0 0
UUID=74865478-6377-8345-808c-dd4136e83b7b /var erofs ro 0 0
UUID=e43e735b-f88c-83db-bd88-680c45e3e24e /var/tmp ext4 defaults 0 2
`

// TestPartitionTools asks others what they think of a disk with more partitions,
// and finds what etc/fstab names.
func TestPartitionTools(t *testing.T) {
	f, l := open(t, lived(t), disk.Options{Free: size(8 << 20), Partitions: all})
	run := func(args ...string) string {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Skip("needs ", args[0])
		}
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("sgdisk", "-v", f.Name()); !strings.Contains(out, "No problems found") {
		t.Error(out)
	}
	if out := run("sfdisk", "-d", f.Name()); !strings.Contains(out, "BC13C2FF-59E6-4262-A352-B275FD6F7172") || !strings.Contains(out, `name="temporary"`) {
		t.Error(out)
	}
	found := map[string]bool{}
	for i, p := range l.Partitions {
		name := filepath.Join(t.TempDir(), fmt.Sprint(i))
		out, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, at(f, p)); err != nil {
			t.Fatal(err)
		}
		out.Close()
		found["PARTUUID="+string(p.ID)] = true
		if i != 7 {
			found["UUID="+strings.TrimSpace(run("blkid", "-p", "-o", "value", "-s", "UUID", name))] = true
		}
		switch i {
		case 0:
			run("fsck.erofs", name)
		case 1, 2, 8:
			run("e2fsck", "-fn", name)
		case 4, 5:
			run("fsck.vfat", "-n", name)
		case 6:
			run("unsquashfs", "-l", name)
		}
	}
	for line := range strings.Lines(mountsOfAll) {
		if what := strings.Fields(line)[0]; !found[what] {
			t.Errorf("nothing is %s", what)
		}
	}
}

// TestLinuxMountsPartitions has the kernel of this machine read what was moved.
func TestLinuxMountsPartitions(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	tr := lived(t)
	f, l := open(t, tr, disk.Options{Free: size(8 << 20), Partitions: all})
	for i, want := range map[int]*tree.Tree{1: sub(t, tr, "var/tmp"), 2: sub(t, tr, "home")} {
		where, p := t.TempDir(), l.Partitions[i]
		o := fmt.Sprintf("loop,ro,offset=%d,sizelimit=%d", p.Start, p.Size)
		if out, err := exec.Command("mount", "-o", o, f.Name(), where).CombinedOutput(); err != nil {
			t.Skipf("cannot mount here: %s", out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", "--lazy", where).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		got, err := dir.Read(t.Context(), where, dir.ReadOptions{Skip: func(path string) bool { return path == "lost+found" }})
		if err != nil {
			t.Fatal(err)
		}
		treetest.Report(t, treetest.Compare(want, got, treetest.All))
	}
}

// goldenParts is the digest of a disk of format version 1 with all partitions.
const goldenParts = "0ba86d1965cdfb1a2137d4bc6abb5c3561c8af3afe2bf65de41c743596ac9965"

func TestGoldenPartitions(t *testing.T) {
	f, _ := open(t, lived(t), disk.Options{Free: size(8 << 20), Partitions: all})
	if got := digest(t, f.Name()); got != goldenParts {
		t.Errorf("%s, want %s", got, goldenParts)
	}
}

// TestPartitionsBehindVerity has a guarded root know where its partitions are.
func TestPartitionsBehindVerity(t *testing.T) {
	f, l := open(t, lived(t), disk.Options{Verity: true, Size: 64 << 20, Partitions: []disk.Partition{{Type: "var", Size: 16 << 20}}})
	if len(l.Partitions) != 3 || l.Partitions[0].Type != gpt.Var || l.Partitions[2].Type != gpt.RootVerityX86_64 || l.Size != 64<<20 {
		t.Fatalf("the disk is %+v", l)
	}
	if n, ok := read(t, f, disk.EROFS, l.Partitions[1]).Lookup("etc/fstab"); !ok || n.Inode().Size < 50 {
		t.Error("the root does not tell where /var is")
	}
}

func TestWrongPartitions(t *testing.T) {
	tr := lived(t)
	n := &nursery{TB: t, b: *tr.Edit()}
	n.text("srv/file", 0o644, "")
	n.put("srv/link", tree.Inode{Mode: tree.Symlink | 0o777, Target: "file"})
	if err := n.b.Link("usr/share/shared", "home/again"); err != nil {
		t.Fatal(err)
	}
	odd := freeze(t, n)
	for complaint, list := range map[string][]disk.Partition{
		`partition 1 (root): "root" is no type of a partition; there are home, srv, var, tmp, swap, linux, data, and identifiers`: {{Type: "root"}},
		"partition 2 (linux): \"xfs\" is no file system for a partition":                                                          {{Type: "var"}, {Type: "linux", FileSystem: "xfs"}},
		"1000 bytes are no size":                                         {{Type: "var", Size: 1000}},
		"-1048576 bytes are no size":                                     {{Type: "var", Size: -1 << 20}},
		"no contents, so that its size has to be given":                  {{Type: "swap"}},
		"cannot have those of /home":                                     {{Type: "swap", Size: 1 << 20, From: "/home"}},
		"it holds no files":                                              {{Type: "home", FileSystem: disk.NoFileSystem, Size: 1 << 20, Mount: "/home"}},
		`mounted on "home", which is no path`:                            {{Type: "linux", Mount: "home"}},
		`made of "/a/../b"`:                                              {{Type: "linux", From: "/a/../b"}},
		"mounted on /usr, which the system needs":                        {{Type: "linux", Mount: "/usr"}},
		"mounted on /, which the system needs":                           {{Type: "linux", Mount: "/"}},
		"made of /proc/x, which the system needs":                        {{Type: "linux", From: "/proc/x"}},
		"partition 2 (linux): it is mounted on /home, as partition 1 is": {{Type: "home"}, {Type: "linux", Mount: "/home"}},
		"it is made of /home, as partition 1 is":                         {{Type: "home"}, {Type: "linux", From: "/home"}},
		"the image has no directory /nowhere":                            {{Type: "linux", From: "/nowhere"}},
		"the image has no directory /srv/link":                           {{Type: "linux", From: "/srv/link"}},
		"/srv/link is a link, on or below which nothing is mounted":      {{Type: "linux", Mount: "/srv/link/x"}},
		"/srv/file is a file, on or below which":                         {{Type: "linux", Mount: "/srv/file"}},
		"is a hard link to":                                              {{Type: "home"}},
		"/srv/file would be hidden by what is mounted on /srv":           {{Type: "srv", From: "/var"}},
		"/var/tmp/rest would be hidden by what is mounted on /var/tmp":   {{Type: "var"}, {Type: "tmp", From: "/opt"}},
		"the label \"12345678901234567\" is longer":                      {{Type: "var", Label: "12345678901234567"}},
		"the label \"1234567890123456\" is longer than one of swap":      {{Type: "swap", Size: 1 << 20, Label: "1234567890123456"}},
		`the label "manuals" has 'm' in it`:                              {{Type: "data", Label: "manuals"}},
		"there are 101 partitions, more than 100":                        make([]disk.Partition, 101),
	} {
		if _, err := disk.Write(t.Context(), sink{}, odd, options(disk.Options{Partitions: list})); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v; want %q", err, complaint)
		}
	}
}

// A file system that has no size of its own may be too large, and so may all
// partitions be.
func TestTooSmallForPartitions(t *testing.T) {
	n := &nursery{TB: t}
	n.put("srv/noise", tree.Inode{Mode: tree.Regular | 0o644, Size: 3 << 20, Content: tree.Bytes(treetest.Random(1, 3<<20))})
	tr := freeze(t, n)
	for complaint, o := range map[string]disk.Options{
		"partition 1 (srv): its contents take 4 MiB, and it has 1": {Partitions: []disk.Partition{{Type: "srv", FileSystem: disk.EROFS, Size: 1 << 20}}},
		"a disk of 32 MiB is too small":                            {Size: 32 << 20, Partitions: []disk.Partition{{Type: "swap", Size: 31 << 20}}},
		"a disk of 24 MiB is too small: 28 MiB are needed":         {Size: 24 << 20, FileSystem: disk.EROFS, Partitions: []disk.Partition{{Type: "swap", Size: 22 << 20}}},
	} {
		if _, err := disk.Write(t.Context(), sink{}, tr, options(o)); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v; want %q", err, complaint)
		}
	}
}

// An etc/fstab that mounts something there already is not added to, nor is one
// that is no file.
func TestOddFstab(t *testing.T) {
	for complaint, in := range map[string]tree.Inode{
		"partition 1 (home): /etc/fstab mounts LABEL=x on /home already": treetest.File(0o644, "# /dev/x /srv\nLABEL=x\t/home ext4\n"),
		"/etc/fstab: it is a link":                                       {Mode: tree.Symlink | 0o777, Target: "x"},
	} {
		n := &nursery{TB: t}
		n.put("etc/fstab", in)
		_, err := disk.Write(t.Context(), sink{}, freeze(t, n), options(disk.Options{Partitions: []disk.Partition{{Type: "home"}}}))
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v; want %q", err, complaint)
		}
	}
}

// TestNoMount has a partition that nothing is told of, and a root that stays as
// it is but for what was taken.
func TestNoMount(t *testing.T) {
	tr := lived(t)
	f, l := open(t, tr, disk.Options{Partitions: []disk.Partition{{Type: "home", Mount: disk.NoMount, From: "/home"}, {Type: "home", FileSystem: disk.NoFileSystem, Size: 1 << 20}}})
	for _, line := range treetest.Compare(sub(t, tr, "", "home"), read(t, f, disk.Ext4, l.Partitions[2]), treetest.All) {
		t.Error(line)
	}
	for _, line := range treetest.Compare(sub(t, tr, "home"), read(t, f, disk.Ext4, l.Partitions[0]), treetest.All) {
		t.Error(line)
	}
}

// TestMadeMountPoints has directories that the image does not have, on the root
// and on the partition, which are as those of the type mostly are.
func TestMadeMountPoints(t *testing.T) {
	f, l := open(t, plain(t), disk.Options{Free: size(8 << 20), Partitions: []disk.Partition{{Type: "tmp", Size: 16 << 20}, {Type: "srv", Size: 16 << 20}}})
	root := read(t, f, disk.Ext4, l.Partitions[2])
	for path, want := range map[string]tree.Mode{"var": 0o755, "var/tmp": 0o1777, "srv": 0o755} {
		if n, ok := root.Lookup(path); !ok || n.Mode() != tree.Directory|want {
			t.Errorf("%s is there: %t, with the mode %o", path, ok, n.Mode())
		}
	}
	for i, want := range []tree.Mode{0o1777, 0o755} {
		if got := read(t, f, disk.Ext4, l.Partitions[i]).Root().Mode(); got != tree.Directory|want {
			t.Errorf("the root of partition %d has the mode %o", i+1, got)
		}
	}
}

// sink takes what is written.
type sink struct{}

func (sink) ReadAt(b []byte, _ int64) (int, error)  { clear(b); return len(b), nil }
func (sink) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
