package cpio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

var lossy = cpio.Options{ClampTimes: true, DropXattrs: true}

// holdable is the odd tree as newc holds it, with hard links.
func holdable(t testing.TB) *tree.Tree {
	t.Helper()
	got, err := tree.Map(t.Context(), treetest.Odd(), func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		n.Xattrs = nil
		n.ModTime = tree.Time{Sec: min(max(n.ModTime.Sec, 0), 1<<32-1)}
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const golden = "245f8cef2bb7f9070344adcaf81c6ae514825a585cf44318a3c1cc8e00f7d513"

func TestWriter(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		Tree:   holdable(t),
		Write:  func(w io.Writer, tr *tree.Tree) error { return cpio.Write(context.Background(), w, tr, cpio.Options{}) },
		Golden: golden,
		Read:   func(f *os.File) (*tree.Tree, error) { return cpio.Read(context.Background(), f, &tree.MemoryStore{}) },
		Holds:  treetest.All,
	})
}

func TestOptionsLoseWhatTheySay(t *testing.T) {
	var plain, lost bytes.Buffer
	if err := cpio.Write(t.Context(), &plain, holdable(t), cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := cpio.Write(t.Context(), &lost, treetest.Odd(), lossy); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain.Bytes(), lost.Bytes()) {
		t.Error("clamping and dropping gives other bytes than a tree without")
	}
}

// one is a tree of one inode besides the root.
func one(t testing.TB, path string, n tree.Inode) *tree.Tree {
	t.Helper()
	return treetest.Of(t, map[string]tree.Inode{path: n})
}

func TestWhatNewcCannotHold(t *testing.T) {
	for complaint, tr := range map[string]*tree.Tree{
		"/large: cpio cannot hold a file of 4294967301 bytes": treetest.Large(),
		"/old: cpio cannot hold the time 1969-12-31":          one(t, "old", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: -1}}),
		"/new: cpio cannot hold the time 2106-02-07":          one(t, "new", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: 1 << 32}}),
		`/x: cpio cannot hold the extended attribute "u"`:     one(t, "x", tree.Inode{Mode: tree.Fifo, Xattrs: []tree.Xattr{{Name: "u"}}}),
		"/TRAILER!!!: cpio cannot hold a file named":          one(t, "TRAILER!!!", tree.Inode{Mode: tree.Fifo}),
		"/none: cpio cannot hold the owner 4294967295:0":      one(t, "none", tree.Inode{Mode: tree.Fifo, UID: 1<<32 - 1}),
	} {
		err := cpio.Write(t.Context(), io.Discard, tr, cpio.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// entryOf is an entry of newc: one of two links to a file.
func entryOf(name, content string) string {
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%s%08X%08X%s\x00", 7, 0o100644, 0, 0, 2, 0, len(content), strings.Repeat("0", 32), len(name)+1, 0, name)
	pad := func(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }
	return pad(head) + pad(content)
}

// Of several links, the kernel takes the content that came last, whichever of
// them has it.
func TestContentOfLinks(t *testing.T) {
	end := strings.Replace(entryOf("TRAILER!!!", ""), "0000000200000000", "0000000100000000", 1)
	for _, c := range []struct{ first, second, want string }{{"text", "", "text"}, {"", "text", "text"}, {"one", "two", "two"}, {"", "", ""}} {
		in := entryOf("a", c.first) + entryOf("b", c.second) + end
		tr, err := cpio.Read(t.Context(), strings.NewReader(in), &tree.MemoryStore{})
		if err != nil {
			t.Fatal(err)
		}
		n, _ := tr.Lookup("a")
		var got bytes.Buffer
		if err := n.CopyTo(&got); err != nil || got.String() != c.want || n.LinkCount() != 2 {
			t.Errorf("%q and %q make %q of %d links, %v", c.first, c.second, got.String(), n.LinkCount(), err)
		}
	}
}

// The kernel's rules, on the bytes: numbers, alignment, content on the last.
func TestBytes(t *testing.T) {
	var b tree.Builder
	for err := range slices.Values([]error{
		b.Add("b", treetest.File(0o4755, "hello")), b.Link("a", "b"),
		b.Add("s", tree.Inode{Mode: tree.Symlink, Target: "to"}),
	}) {
		if err != nil {
			t.Fatal(err)
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
	zero := "0000000000000000"
	want := "07070100000001000041ED" + zero + "0000000200000000000000000000000000000000" + zero + "0000000200000000.\x00" +
		"07070100000002000089ED" + zero + "0000000269A381800000000000000000000000000000000000000000" + "0000000200000000a\x00" +
		"07070100000002000089ED" + zero + "0000000269A38180000000050000000000000000" + zero + "0000000200000000b\x00hello\x00\x00\x00" +
		"070701000000030000A1FF" + zero + "0000000100000000000000020000000000000000" + zero + "0000000200000000s\x00to\x00\x00" +
		"0707010000000000000000" + zero + "0000000100000000000000000000000000000000" + zero + "0000000B00000000TRAILER!!!\x00"
	got := out.String()
	if len(got)%512 != 0 || strings.TrimRight(got, "\x00")+"\x00" != want {
		t.Errorf("got\n%q, want\n%q", strings.TrimRight(got, "\x00"), want)
	}
}

func TestOthersUnpackItEqually(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
	tr := holdable(t)
	var archive bytes.Buffer
	if err := cpio.Write(t.Context(), &archive, tr, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		argv  []string
		holds treetest.Mask // neither sets the time of the directory it is in, cpio none of links
	}{
		{[]string{"cpio", "-idm", "--quiet"}, treetest.All &^ treetest.DirTimes &^ treetest.LinkTimes &^ treetest.RootInode},
		{[]string{"bsdtar", "--numeric-owner", "-xpf", "-"}, treetest.All &^ treetest.RootInode},
	} {
		argv := c.argv
		t.Run(argv[0], func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			target := t.TempDir()
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Dir, cmd.Stdin = target, bytes.NewReader(archive.Bytes())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%.3000s", err, out)
			}
			got, err := dir.Read(t.Context(), target, dir.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			told := treetest.Compare(tr, got, c.holds)
			if argv[0] == "cpio" { // as the kernel, it makes a symbolic link anew at each path
				told = slices.DeleteFunc(told, func(d string) bool {
					return strings.HasPrefix(d, "/links/a/symlink: one") || strings.HasPrefix(d, "/links/symlink: one")
				})
			}
			treetest.Report(t, told)
		})
	}
}

func TestParts(t *testing.T) {
	first, second := one(t, "early", treetest.File(0o644, "microcode")), holdable(t)
	for _, profile := range []compress.Profile{compress.Gzip, compress.Zstd} {
		var out bytes.Buffer
		parts := []cpio.Part{{Tree: first}, {Tree: second, Compression: profile}, {Tree: first, Compression: profile}}
		if err := cpio.WriteParts(t.Context(), &out, parts, lossy); err != nil {
			t.Fatal(err)
		}
		var early bytes.Buffer
		if err := cpio.Write(t.Context(), &early, first, lossy); err != nil {
			t.Fatal(err)
		}
		rest, found := bytes.CutPrefix(out.Bytes(), early.Bytes())
		if !found {
			t.Fatal("the first part is not there as it is")
		}
		var packed bytes.Buffer
		if err := cpio.Write(t.Context(), &packed, second, lossy); err != nil {
			t.Fatal(err)
		}
		compressed, err := profile.Bytes(packed.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(rest, compressed) {
			t.Error("the second part is not there, compressed")
		}
		if rest = rest[(len(compressed)+511)/512*512:]; len(rest) == 0 || !bytes.Equal(rest[:2], compressed[:2]) {
			t.Error("the third part does not begin on a border")
		}
	}
}

func TestArchivesThatAreRefused(t *testing.T) {
	var b bytes.Buffer
	if err := cpio.Write(t.Context(), &b, one(t, "file", treetest.File(0o644, "content")), cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	for complaint, bad := range map[string]string{
		"unexpected EOF":                good[:200],
		"is not the beginning":          strings.Replace(good, "070701", "070702", 1),
		"is not a number":               strings.Replace(good, "070701", "070701x", 1),
		"a name with a NUL":             strings.Replace(good, "file\x00", "f\x00le\x00", 1),
		"an empty name":                 strings.ReplaceAll(good, "file\x00", "/ile\x00"),
		"a path of 4294967295":          strings.Replace(good, "0000000500000000file", "FFFFFFFF00000000file", 1),
		"does not end in a NUL":         strings.Replace(good, "file\x00", "filex", 1),
		"missing":                       strings.Replace(good, "file\x00", "f/le\x00", 1),
		"the root must be":              strings.Replace(good, "000041ED", "000001ED", 1),
		"a content of what is no file":  strings.Replace(good, "000081A4", "000011A4", 1),
		"/file: unexpected EOF":         strings.Replace(good, "00000007", "FFFFFFFF", 1),
		"reading a cpio archive: unexp": "",
	} {
		if bad == good {
			t.Errorf("nothing is bad for %q", complaint)
		}
		if _, err := cpio.Read(t.Context(), strings.NewReader(bad), &tree.MemoryStore{}); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	small := tree.Filter(treetest.Odd(), func(n tree.Node) bool {
		return strings.HasPrefix(n.Path(), "links") || strings.HasPrefix(n.Path(), "dev")
	})
	if err := cpio.Write(f.Context(), &b, small, lossy); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := cpio.Read(t.Context(), bytes.NewReader(data), &tree.MemoryStore{})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := cpio.Write(t.Context(), &out, got, cpio.Options{}); errors.Is(err, errors.ErrUnsupported) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		again, err := cpio.Read(t.Context(), &out, &tree.MemoryStore{})
		if err != nil {
			t.Fatal(err)
		}
		treetest.Report(t, treetest.Compare(got, again, treetest.All))
	})
}

func TestDirectoriesComeFirst(t *testing.T) {
	var b bytes.Buffer
	if err := cpio.Write(t.Context(), &b, holdable(t), cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "cpio", "-t", "--quiet")
	cmd.Stdin = bytes.NewReader(b.Bytes())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{".": true}
	for line := range strings.Lines(string(out)) {
		path := strings.TrimSuffix(line, "\n")
		if dir := filepath.Dir(path); !met[dir] && !strings.Contains(path, "\\") && dir != "." {
			t.Errorf("%q comes before %q", path, dir)
		}
		met[path] = true
	}
}
