package tar_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	ours "github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// written is the odd tree as an archive in a file.
func written(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ours.Write(t.Context(), f, tr, ours.Options{Times: ours.Nanoseconds}); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpackers are told not to warn of times and keywords. What each cannot do is
// excepted by the beginning of the difference.
var unpackers = []struct {
	what         string
	argv, except []string
}{
	// A directory's time is set when a member comes that is not in it, unless
	// told to wait: order/a-b stands between order/a and order/a/c.
	{"GNU tar", []string{"tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-owner", "--delay-directory-restore",
		"--warning=no-timestamp", "--warning=no-unknown-keyword", "-xpf"}, nil},
	// libarchive knows ACLs as text only, reads -0.5 as 0.5, and does not set
	// the time of the directory that it is in.
	{"bsdtar", []string{"bsdtar", "--numeric-owner", "--xattrs", "-xpf"}, []string{
		"/: time", "/times/02: time", "/xattrs/acl: ext", "/xattrs/all: ext", "/xattrs/default: ext", "/xattrs/same: ext"}},
}

// without leaves out the differences that begin so.
func without(differences, except []string) []string {
	return slices.DeleteFunc(differences, func(d string) bool {
		return slices.ContainsFunc(except, func(e string) bool { return strings.HasPrefix(d, e) })
	})
}

func TestOthersUnpackItEqually(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
	archive := written(t, treetest.Odd())
	for _, c := range unpackers {
		t.Run(c.what, func(t *testing.T) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				t.Skip(err)
			}
			target := t.TempDir()
			cmd := exec.CommandContext(t.Context(), c.argv[0], append(c.argv[1:], archive)...)
			cmd.Dir = target
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
			got, err := dir.Read(t.Context(), target, dir.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			treetest.Report(t, without(treetest.Compare(treetest.Odd(), got, treetest.All), c.except))
		})
	}
}

// lossy is what packers do not pack: GNU tar hard links of what has no content,
// bsdtar some, too; it escapes the names of attributes.
var lossy = []string{"/links/a/device: one", "/links/device: one", "/links/fifo: one", "/links/z/fifo: one",
	"/times/02: time", "/xattrs/user: extended attributes: \"user.with space"}

var packers = [][]string{
	{"tar", "--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "-cf", "-", "."},
	{"tar", "--format=gnu", "--sparse", "-cf", "-", "."},
	{"bsdtar", "--format=pax", "--xattrs", "--no-acls", "--exclude=./xattrs/a*", "--exclude=./xattrs/default", "--exclude=./xattrs/same", "-cf", "-", "."},
}

func TestArchivesOfOthersAreRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := dir.Write(t.Context(), source, treetest.Odd(), dir.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, argv := range packers {
		t.Run(strings.Join(argv[:2], " "), func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Dir = source
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.Read(t.Context(), bytes.NewReader(out), &tree.MemoryStore{}, ours.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			holds := treetest.All
			if strings.Contains(argv[1], "gnu") {
				holds &^= treetest.Xattrs | treetest.Nanoseconds
			}
			except := lossy
			if argv[0] == "bsdtar" { // which were excluded, for their ACLs would be lost
				except = append(slices.Clone(lossy), "/xattrs/a", "/xattrs/default", "/xattrs/same")
			}
			treetest.Report(t, without(treetest.Compare(treetest.Odd(), got, holds), except))
		})
	}
}

func BenchmarkTenThousandFiles(b *testing.B) {
	source := filepath.Join(b.TempDir(), "source")
	var builder tree.Builder
	for _, d := range []string{"0", "1", "2", "3"} {
		if err := builder.Add(d, tree.Root); err != nil {
			b.Fatal(err)
		}
		for i := range 2500 {
			n := treetest.File(0o644, string(treetest.Random(uint64(i), i*4)))
			if err := builder.Add(filepath.Join(d, "file"+strings.Repeat("x", i%50)+string(rune('a'+i%26))+strings.Repeat("y", i/50)), n); err != nil {
				b.Fatal(err)
			}
		}
	}
	tr, err := builder.Freeze(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := dir.Write(b.Context(), source, tr, dir.Options{Record: &bytes.Buffer{}}); err != nil {
		b.Fatal(err)
	}
	if tr, err = dir.Read(b.Context(), source, dir.ReadOptions{}); err != nil {
		b.Fatal(err)
	}
	// Into a pipe or nothing: disks are measured elsewhere. GNU tar reads nothing
	// at all when it writes to /dev/null.
	write := func(b *testing.B, tr *tree.Tree) {
		if err := ours.Write(b.Context(), io.Discard, tr, ours.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			write(b, tr)
		}
	})
	b.Run("read and written", func(b *testing.B) {
		for b.Loop() {
			tr, err := dir.Read(b.Context(), source, dir.ReadOptions{})
			if err != nil {
				b.Fatal(err)
			}
			write(b, tr)
		}
	})
	b.Run("GNU tar", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), "tar", "--sort=name", "--format=pax", "-cf", "-", ".")
			cmd.Dir, cmd.Stdout = source, struct{ io.Writer }{io.Discard}
			if err := cmd.Run(); err != nil {
				b.Skip(err)
			}
		}
	})
}
