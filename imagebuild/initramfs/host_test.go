package initramfs

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// hostFile is a file of the machine of the test as a content.
type hostFile string

func (f hostFile) Open() (io.ReadCloser, error) { return os.Open(string(f)) }

// A system is a tree that is being made, of what real packages have.
type system struct {
	testing.TB
	tree.Builder
}

// put puts an inode where there is none, and the directories that it is in.
func (s *system) put(name string, in tree.Inode) {
	s.Helper()
	if parent := filepath.Dir(name); parent != "." {
		s.put(parent, tree.Inode{Mode: tree.Directory | 0o755})
	}
	if err := s.Add(name, in); err != nil && !errors.Is(err, tree.ErrExists) {
		s.Fatal(err)
	}
}

func (s *system) file(name string, content tree.Content) {
	s.Helper()
	s.put(strings.TrimPrefix(name, "/"), tree.Inode{Mode: tree.Regular | 0o755, Size: tree.Unknown, Content: content})
}

func (s *system) tree() *tree.Tree {
	s.Helper()
	frozen, err := s.Freeze(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return frozen
}

// apk puts the files of an Alpine package.
func (s *system) apk(path string) {
	s.Helper()
	f, err := os.Open(path)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		s.Fatal(err)
	}
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			s.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(r)
			if err != nil {
				s.Fatal(err)
			}
			s.file(h.Name, tree.Bytes(content))
		case tar.TypeSymlink:
			s.put(h.Name, tree.Inode{Mode: tree.Symlink | 0o777, Target: h.Linkname})
		}
	}
}

// hostPrograms are where the machine of the test has what is in an initramfs.
func hostPrograms(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"busybox", "veritysetup", "sfdisk", "resize2fs"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip("needs a program of the packages busybox-static, cryptsetup-bin, fdisk, e2fsprogs: ", err)
		}
		out = append(out, path)
	}
	return out
}

// hostTree is the tree that host gives, once for all tests.
var hostTree struct {
	sync.Once
	*tree.Tree
}

// host is a tree of what the machine of the test has for an initramfs: kernel,
// modules, and programs with what ldd says that they are linked with.
func host(t testing.TB) (*tree.Tree, Kernel) {
	t.Helper()
	kernel, programs := vmtest.Kernel(t), hostPrograms(t)
	release := vmtest.Release(kernel)
	hostTree.Do(func() {
		modules, err := dir.Read(t.Context(), filepath.Join("/lib/modules", release), dir.ReadOptions{Skip: func(path string) bool {
			return strings.HasPrefix(path, "kernel/drivers/net") || strings.HasPrefix(path, "kernel/net")
		}})
		if err != nil {
			t.Fatal(err)
		}
		s := &system{TB: t}
		for n := range modules.All() {
			s.put(filepath.Join("usr/lib/modules", release, n.Path()), n.Inode())
		}
		s.file(kernel, hostFile(kernel))
		for _, path := range programs {
			s.file(path, hostFile(path))
			for _, lib := range ldd(t, path) {
				s.file(lib, hostFile(lib))
			}
		}
		hostTree.Tree = s.tree()
	})
	if hostTree.Tree == nil {
		t.Fatal("there is no tree of this machine")
	}
	k, err := FindKernel(hostTree.Tree, release)
	if err != nil {
		t.Fatal(err)
	}
	return hostTree.Tree, k
}

// ldd are the paths that ldd says that a program is linked with.
func ldd(t testing.TB, program string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ldd", program).CombinedOutput()
	if err != nil {
		return nil // a static program
	}
	return regexp.MustCompile(`/\S+`).FindAllString(string(out), -1)
}

// alpine is a system of Alpine's packages, of whose kernels there is none: it
// has the host's, with modules packed as Alpine has them.
func alpine(t testing.TB) (*tree.Tree, Kernel) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../shared/data"), "alpine/iso-3.19.1/x86_64"))
	if err != nil {
		t.Fatal(err)
	}
	s := &system{TB: t}
	for _, name := range []string{"busybox-1.36.1-r15", "musl-1.2.4_git20230717-r4", "sfdisk-2.39.3-r0", "libfdisk-2.39.3-r0", "libblkid-2.39.3-r0",
		"libuuid-2.39.3-r0", "libsmartcols-2.39.3-r0", "libncursesw-6.4_p20231125-r0", "e2fsprogs-extra-1.47.0-r5", "e2fsprogs-libs-1.47.0-r5",
		"libcom_err-1.47.0-r5", "libedit-20230828.3.1-r3"} {
		path := filepath.Join(folder, name+".apk")
		if _, err := os.Stat(path); err != nil {
			t.Skip("the real data is not there: ", err)
		}
		s.apk(path)
	}
	image, k := host(t)
	all, err := Make(t.Context(), image, k, Options{FileSystem: "ext4", Overlay: true})
	if err != nil {
		t.Fatal(err)
	}
	modules := "lib/modules/" + k.Release + "/"
	for n := range all.All() {
		if name, ok := strings.CutPrefix(n.Path(), "modules/"); ok && strings.HasSuffix(name, ".ko") {
			s.file(modules+"kernel/"+name+".gz", tree.Bytes([]byte(packGzip(content(t, all, n.Path())))))
		}
	}
	builtin, _ := image.Lookup(k.Modules + "/modules.builtin")
	s.put(modules+"modules.builtin", builtin.Inode())
	s.put("boot/vmlinuz-"+k.Release, k.Image.Inode())
	frozen := s.tree()
	k, err = FindKernel(frozen, "")
	if err != nil {
		t.Fatal(err)
	}
	return frozen, k
}

// initrd writes the initramfs of some options of the host.
func initrd(t testing.TB, o Options) string {
	t.Helper()
	image, k := host(t)
	return initrdOf(t, image, k, o)
}

func initrdOf(t testing.TB, image *tree.Tree, k Kernel, o Options) string {
	t.Helper()
	o.Time = treetest.Epoch
	got, err := Make(t.Context(), image, k, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "initrd"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cpio.Write(t.Context(), f, got, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
