package dir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
}

func TestDirectoryHoldsEverything(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"odd", "socket"} {
		want := map[string]*tree.Tree{"odd": treetest.Odd(), "socket": treetest.WithSocket()}[name]
		path := filepath.Join(t.TempDir(), "new")
		if err := dir.Write(t.Context(), path, want, dir.Options{}); err != nil {
			t.Fatal(err)
		}
		got, err := dir.Read(t.Context(), path, dir.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		treetest.Report(t, treetest.Compare(want, got, treetest.All))
		if err := treetest.Read(got); err != nil {
			t.Error(err)
		}
	}
}

func TestHolesStayHoles(t *testing.T) {
	path := t.TempDir()
	want := tree.Filter(treetest.Odd(), func(n tree.Node) bool { return strings.HasPrefix("sizes/sparse", n.Path()) })
	var record bytes.Buffer
	if err := dir.Write(t.Context(), path, want, dir.Options{Record: &record}); err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Stat(path+"/sizes/sparse", &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Size != 8<<20 || stat.Blocks*512 > 1<<20 {
		t.Errorf("the file of %d bytes takes %d blocks of 512", stat.Size, stat.Blocks)
	}
}

const asUser = "SAMEBITS_TEST_AS_USER"

// TestOrdinaryUserRecords runs itself again as nobody, if it is root.
func TestOrdinaryUserRecords(t *testing.T) {
	if os.Geteuid() == 0 && os.Getenv(asUser) == "" {
		defer func() { runAsNobody(t) }()
	}
	path := filepath.Join(t.TempDir(), "new")
	var record bytes.Buffer
	if err := dir.Write(t.Context(), path, treetest.Odd(), dir.Options{Record: &record}); err != nil {
		t.Fatal(err)
	}
	was, err := tree.ReadManifest(&record, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dir.Read(t.Context(), path, dir.ReadOptions{Recorded: was})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All))
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
	setuid, err := os.Stat(path + "/modes/4755")
	if err != nil || setuid.Mode() != 0o755 {
		t.Errorf("a set-user-ID program became %v of an ordinary user, %v", setuid.Mode(), err)
	}
	if err := os.WriteFile(path+"/modes/4755", []byte("changed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Read(t.Context(), path, dir.ReadOptions{Recorded: was}); err == nil || !strings.Contains(err.Error(), "/modes/4755: its content is not the one") {
		t.Errorf("a content that changed: %v", err)
	}
	if os.Geteuid() != 0 {
		err := dir.Write(t.Context(), filepath.Join(t.TempDir(), "owned"), treetest.Odd(), dir.Options{})
		if err == nil || !strings.Contains(err.Error(), "recorded") {
			t.Errorf("without a record: %v", err)
		}
	}
}

func runAsNobody(t *testing.T) {
	t.Helper()
	work, err := os.MkdirTemp("", "as-nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	if err := os.Chmod(work, 0o777); err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(work+"/test", binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), work+"/test", "-test.run=^TestOrdinaryUserRecords$")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), asUser+"=1", "TMPDIR="+work)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func one(t *testing.T, path string, n tree.Inode) *tree.Tree {
	t.Helper()
	var b tree.Builder
	if err := b.Add(path, n); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTargetsThatAreRefused(t *testing.T) {
	base := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(base+"/full/dir", 0o755), os.Mkdir(base+"/empty", 0o755),
		os.Symlink("empty", base+"/link"), os.WriteFile(base+"/file", nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr := one(t, "f", treetest.File(0o644, "x"))
	for name, complaint := range map[string]string{"full": "must be empty", "link": "not a directory", "file": "not a directory", "no/parent": "no such file"} {
		err := dir.Write(t.Context(), filepath.Join(base, name), tr, dir.Options{Record: &bytes.Buffer{}})
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: the error is %v, want one of %q", name, err, complaint)
		}
	}
	if err := dir.Write(t.Context(), base+"/empty", tr, dir.Options{Record: &bytes.Buffer{}}); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfContents(t *testing.T) {
	broken := errors.New("broken")
	n := treetest.File(0o644, "x")
	n.Digest = tree.Digest{1}
	err := dir.Write(t.Context(), t.TempDir(), one(t, "file", n), dir.Options{Record: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "/file: the content changed") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if err := dir.Write(ctx, t.TempDir(), treetest.Odd(), dir.Options{Record: &bytes.Buffer{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// A directory cannot have an owner that chown(2) takes for "as before".
func TestOwnerThatIsNone(t *testing.T) {
	n := treetest.File(0o644, "x")
	n.GID = 1<<32 - 1
	err := dir.Write(t.Context(), t.TempDir(), one(t, "file", n), dir.Options{})
	if err == nil || !strings.Contains(err.Error(), "/file: a directory cannot hold the owner 0:4294967295; Linux knows none above") {
		t.Errorf("the error is %v", err)
	}
}

func TestContentsThatChangeAreErrors(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"changed", "gone", "linked", "fifo"} {
		if err := os.WriteFile(filepath.Join(base, name), []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := dir.Read(t.Context(), base, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(base+"/changed", []byte("CONTENT"), 0o644), os.Remove(base + "/gone"),
		os.WriteFile(base+"/other", []byte("content"), 0o644), os.Remove(base + "/linked"), os.Symlink("other", base+"/linked"),
		os.Remove(base + "/fifo"), unix.Mkfifo(base+"/fifo", 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"changed", "gone", "linked", "fifo"} {
		n, _ := tr.Lookup(name)
		if err := n.CopyTo(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "/"+name) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestSymlinkedParentIsNotFollowed(t *testing.T) {
	base := t.TempDir()
	for _, err := range []error{
		os.Mkdir(base+"/dir", 0o755), os.WriteFile(base+"/dir/f", []byte("x"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := dir.Read(t.Context(), base, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Rename(base+"/dir", base+"/moved"), os.Symlink("moved", base+"/dir")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f, _ := tr.Lookup("dir/f")
	if err := f.CopyTo(&bytes.Buffer{}); err == nil {
		t.Error("a content was read through a symbolic link")
	}
}

func TestBoundsAndSkips(t *testing.T) {
	base := t.TempDir()
	for i := range 10 {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", base, i), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dir.Read(t.Context(), base, dir.ReadOptions{Entries: 10}); err == nil || !strings.Contains(err.Error(), "more than the 10 paths") {
		t.Errorf("the error is %v", err)
	}
	got, err := dir.Read(t.Context(), base, dir.ReadOptions{Entries: 10, Skip: func(path string) bool { return path == "5" }})
	if err != nil {
		t.Fatal(err)
	}
	if _, found := got.Lookup("5"); found || got.Len() != 10 {
		t.Errorf("%d paths", got.Len())
	}
}

func TestMountPointsAreRefused(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	if err := os.Mkdir(base+"/mnt", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", base+"/mnt", "tmpfs", 0, ""); err != nil {
		t.Skip("cannot mount: ", err)
	}
	defer func() {
		if err := unix.Unmount(base+"/mnt", 0); err != nil {
			t.Error(err)
		}
	}()
	if _, err := dir.Read(t.Context(), base, dir.ReadOptions{}); err == nil || !strings.Contains(err.Error(), "/mnt: another file system") {
		t.Errorf("the error is %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	needRoot(b)
	for b.Loop() {
		if err := dir.Write(b.Context(), b.TempDir()+"/new", treetest.Odd(), dir.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestContentsAreReadAtRandom(t *testing.T) {
	base := t.TempDir()
	if err := os.WriteFile(base+"/file", []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := dir.Read(t.Context(), base, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := tr.Lookup("file")
	r, err := n.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := r.(io.ReaderAt)
	b := make([]byte, 4)
	if n, err := at.ReadAt(b, 3); n != 4 || err != nil || string(b) != "3456" {
		t.Errorf("read %q, %d, %v", b, n, err)
	}
	if n, err := at.ReadAt(b, 8); n != 2 || err != io.EOF || string(b[:n]) != "89" {
		t.Errorf("read %q at the end, %d, %v", b[:n], n, err)
	}
}
