package tar_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	ours "github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func readBack(f *os.File) (*tree.Tree, error) {
	return ours.Read(context.Background(), f, &tree.MemoryStore{}, ours.Limits{})
}

func TestWriter(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		Write: func(w io.Writer, tr *tree.Tree) error {
			return ours.Write(context.Background(), w, tr, ours.Options{})
		},
		Golden: "f3376222d00f8ee06636be4e8790a23689011b091277960b7c4886095a119a99",
		Read:   readBack,
		Holds:  treetest.All &^ treetest.Nanoseconds,
	})
}

func TestWriterWithNanoseconds(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		Write: func(w io.Writer, tr *tree.Tree) error {
			return ours.Write(context.Background(), w, tr, ours.Options{Times: ours.Nanoseconds})
		},
		Golden: "74b274e93ecff9af42905e6656f7781832d1a9e75a2349a4526903508e568420",
		Read:   readBack,
		Holds:  treetest.All,
	})
}

func TestLargeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads 4 GiB")
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(ours.Write(t.Context(), w, treetest.Large(), ours.Options{})) }()
	got, err := ours.Read(t.Context(), r, digestOnly{}, ours.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Large(), got, treetest.All))
}

// digestOnly stores nothing.
type digestOnly struct{}

func (digestOnly) Keep(r io.Reader) (tree.Content, int64, tree.Digest, error) {
	n, err := io.Copy(io.Discard, r)
	var digest tree.Digest
	for file := range treetest.Large().All() {
		digest = file.Inode().Digest
	}
	return nil, n, digest, err
}

// write makes a tree of one inode and writes it.
func write(t *testing.T, path string, n tree.Inode) ([]byte, error) {
	t.Helper()
	var b tree.Builder
	if err := b.Add(path, n); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = ours.Write(t.Context(), &out, tr, ours.Options{Times: ours.Nanoseconds})
	return out.Bytes(), err
}

func TestWhatTarCannotHold(t *testing.T) {
	for complaint, n := range map[string]tree.Inode{
		"a socket":          {Mode: tree.Socket},
		"device numbers":    {Mode: tree.CharDev, Minor: 1 << 21},
		"a = in its name":   {Mode: tree.Fifo, Xattrs: []tree.Xattr{{Name: "user.a=b"}}},
		"bytes of extended": {Mode: tree.Fifo, Xattrs: manyXattrs()},
	} {
		_, err := write(t, "path", n)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "/path: ") {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func manyXattrs() []tree.Xattr {
	var all []tree.Xattr
	for i := range 20 {
		all = append(all, tree.Xattr{Name: fmt.Sprint("user.", i), Value: strings.Repeat("x", 60_000)})
	}
	return all
}

func TestHeaderIsUstar(t *testing.T) {
	out, err := write(t, "dir-of-1", tree.Inode{Mode: tree.Directory | 0o1755, UID: 1000, GID: 7, ModTime: tree.Time{Sec: 1772323200}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 4*512 {
		t.Fatalf("the archive has %d bytes", len(out))
	}
	member := out[512:1024]
	want := "dir-of-1/" + strings.Repeat("\x00", 91) + "0001755\x000001750\x000000007\x0000000000000\x0015150700600\x00"
	if string(member[:148]) != want {
		t.Errorf("the header begins %q, want %q", member[:148], want)
	}
	if got, want := string(member[156:345]), "5"+strings.Repeat("\x00", 100)+"ustar\x0000"+strings.Repeat("\x00", 64)+"0000000\x000000000\x00"; got != want {
		t.Errorf("the header goes on %q, want %q", got, want)
	}
}

func TestExtendedHeaders(t *testing.T) {
	long := strings.Repeat("p", 101)
	for _, c := range []struct {
		path string
		n    tree.Inode
		want string
	}{
		{"p", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: -1, Nsec: 500_000_000}}, "14 mtime=-0.5\n"},
		{"p", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: -3, Nsec: 250_000_000}}, "15 mtime=-2.75\n"},
		{"p", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: 5, Nsec: 7}}, "21 mtime=5.000000007\n"},
		{"p", tree.Inode{Mode: tree.Fifo, ModTime: tree.Time{Sec: 1 << 33}}, "20 mtime=8589934592\n"},
		{"p", tree.Inode{Mode: tree.Fifo, UID: 1 << 21, GID: 1<<32 - 1}, "18 gid=4294967295\n15 uid=2097152\n"},
		{long, tree.Inode{Mode: tree.Fifo}, "111 path=" + long + "\n"},
		{"p", tree.Inode{Mode: tree.Symlink, Target: long + "\xff"}, "21 hdrcharset=BINARY\n116 linkpath=" + long + "\xff\n"},
		{"p", tree.Inode{Mode: tree.Fifo, Xattrs: []tree.Xattr{{Name: "user.b", Value: "\n="}, {Name: "user.a"}, {Name: "trusted.overlay.opaque", Value: "y"}}},
			"24 SCHILY.xattr.user.a=\n26 SCHILY.xattr.user.b=\n=\n"},
	} {
		out, err := write(t, c.path, c.n)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(out[1024:][:len(c.want)]); got != c.want || out[1024+len(c.want)] != 0 {
			t.Errorf("the records are %q, want %q", got, c.want)
		}
		if name := "././@PaxHeader\x00"; string(out[512:512+len(name)]) != name || out[512+156] != 'x' {
			t.Errorf("the extended header is %q", out[512:1024])
		}
	}
}

// pack makes an archive with Go's writer.
func pack(t *testing.T, headers ...tar.Header) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Uname // a place for it that does not matter
		h.Uname, h.Size = "", int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func TestArchivesThatAreRefused(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Uname: "x"} }
	for _, c := range []struct {
		complaint string
		members   []tar.Header
	}{
		{"absolute", []tar.Header{file("/etc/passwd")}},
		{"leads out", []tar.Header{file("a/../../b")}},
		{"leads out", []tar.Header{file("..")}},
		{"leads out", []tar.Header{file("a"), {Name: "b", Typeflag: tar.TypeLink, Linkname: "../a"}}},
		{"absolute", []tar.Header{file("a"), {Name: "b", Typeflag: tar.TypeLink, Linkname: "/a"}}},
		{"not there", []tar.Header{{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}}},
		{"which is a directory", []tar.Header{{Name: "a/", Typeflag: tar.TypeDir}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}}},
		{"/a is not a directory", []tar.Header{file("a"), file("a/b")}},
		{"/a is not a directory", []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, file("a/passwd")}},
		{"/a is not a directory", []tar.Header{file("a/b"), file("a")}},
		{"a path of", []tar.Header{file(strings.Repeat("a/", 2100) + "b")}},
		{"a name of", []tar.Header{file(strings.Repeat("a", 256))}},
		{"the root must", []tar.Header{file(".")}},
		{"to nothing", []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink}}},
		{"an ACL as text", []tar.Header{{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.acl.access": "user::rwx"}}}},
		{"a global header", []tar.Header{{Name: "g", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x"}}}},
		{"larger than what is allowed: contents", []tar.Header{{Name: "a", Typeflag: tar.TypeReg, Uname: strings.Repeat("x", 600)}, {Name: "b", Typeflag: tar.TypeReg, Uname: strings.Repeat("x", 600)}}},
		{"larger than what is allowed: more", []tar.Header{file("1/2/3/4/5/6/7/8/9/10/11"), file("b"), file("c")}},
	} {
		_, err := ours.Read(t.Context(), pack(t, c.members...), &tree.MemoryStore{}, ours.Limits{Entries: 12, Bytes: 1000})
		if err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%q: the error is %v, want one of %q", c.members[0].Name, err, c.complaint)
		}
	}
}

func TestCutArchivesAreErrors(t *testing.T) {
	whole, err := io.ReadAll(pack(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Uname: strings.Repeat("x", 2000)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 511, 512, 600, 2511} {
		if _, err := ours.Read(t.Context(), bytes.NewReader(whole[:n]), &tree.MemoryStore{}, ours.Limits{}); err == nil && n != 512 {
			t.Errorf("an archive cut off at %d bytes is no error", n)
		}
	}
}

func TestLaterMembersReplace(t *testing.T) {
	dir := tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}
	closed := dir
	closed.Mode = 0o700
	got, err := ours.Read(t.Context(), pack(t, dir,
		tar.Header{Name: "./d//./f", Typeflag: tar.TypeReg, Uname: "first"},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "d/f"},
		tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Uname: "second"},
		closed,
		tar.Header{Name: "g", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "a commit"}},
		tar.Header{Name: "without/parents", Typeflag: tar.TypeReg},
	), &tree.MemoryStore{}, ours.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range got.All() {
		fmt.Fprintf(&b, "%s %o", n.Path(), n.Mode())
		if n.Mode().IsRegular() {
			b.WriteString(" ")
			if err := n.CopyTo(&b); err != nil {
				t.Fatal(err)
			}
		}
		b.WriteString("\n")
	}
	if want := " 40755\nd 40700\nd/f 100000 second\nhard 100000 first\nwithout 40755\nwithout/parents 100000 \n"; b.String() != want {
		t.Errorf("got %s, want %s", b.String(), want)
	}
}

func TestOwnersAndTimesOfGNU(t *testing.T) {
	most := uint32(1<<32 - 2)
	got, err := ours.Read(t.Context(), pack(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Format: tar.FormatGNU, Uid: int(most), Mode: 0o100644,
		Gid: 1 << 22}), &tree.MemoryStore{}, ours.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := got.Lookup("a")
	if n := a.Inode(); n.UID != most || n.GID != 1<<22 || n.Mode != tree.Regular|0o644 {
		t.Errorf("got %s", a.Describe())
	}
}

// TestOwnersOfPax has numbers that an int of 32 bits has not.
func TestOwnersOfPax(t *testing.T) {
	const some = 1 << 30
	archive, err := io.ReadAll(pack(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Format: tar.FormatPAX, Uid: some, Gid: 1000}))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"1073741824": true, "2147483648": true, "4294967295": true, "4294967296": false, "9999999999": false, "-000000001": false} {
		said := bytes.Replace(archive, []byte(fmt.Sprint("uid=", some)), []byte("uid="+id), 1)
		got, err := ours.Read(t.Context(), bytes.NewReader(said), &tree.MemoryStore{}, ours.Limits{})
		if (err == nil) != want {
			t.Errorf("the owner %s: %v", id, err)
			continue
		}
		if !want {
			continue
		}
		a, _ := got.Lookup("a")
		if n := a.Inode(); fmt.Sprint(n.UID) != id || n.GID != 1000 {
			t.Errorf("the owner %s is read as %s", id, a.Describe())
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("no tar"))
	small := tree.Filter(treetest.Odd(), func(n tree.Node) bool {
		return !strings.HasPrefix(n.Path(), "many/") && !strings.HasPrefix(n.Path(), "sizes/") && !strings.HasPrefix(n.Path(), "deep/")
	})
	var b bytes.Buffer
	if err := ours.Write(f.Context(), &b, small, ours.Options{Times: ours.Nanoseconds}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ours.Read(t.Context(), bytes.NewReader(data), &tree.MemoryStore{}, ours.Limits{Entries: 5000, Bytes: 1 << 20})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := ours.Write(t.Context(), &out, got, ours.Options{Times: ours.Nanoseconds}); errors.Is(err, errors.ErrUnsupported) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		again, err := ours.Read(t.Context(), &out, &tree.MemoryStore{}, ours.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if told := treetest.Compare(withoutOverlay(t, got), again, treetest.All); len(told) > 0 {
			t.Error(told)
		}
	})
}

// withoutOverlay is a tree without the attributes that are not written.
func withoutOverlay(t *testing.T, tr *tree.Tree) *tree.Tree {
	got, err := tree.Map(t.Context(), tr, func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		var kept []tree.Xattr
		for _, x := range n.Xattrs {
			if !strings.Contains(x.Name, ".overlay.") {
				kept = append(kept, x)
			}
		}
		n.Xattrs = kept
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
