package treetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Writer is a writer of a format, for [Run]. Either Write or WriteFile is set.
type Writer struct {
	// Write writes a stream.
	Write func(w io.Writer, t *tree.Tree) error
	// WriteFile writes to an empty file, open for reading and writing at random.
	WriteFile func(f *os.File, t *tree.Tree) error
	// Tree is what is written; nil is [Odd]. A format that cannot hold all of
	// that gives what [tree.Filter] and [tree.Map] leave of it.
	Tree *tree.Tree
	// Golden is the SHA-256 of what is written, in hexadecimal digits. It
	// changes only with the format version.
	Golden string
	// Read, which may be nil, reads back what was written, whose attributes of
	// the mask Holds must be those of Tree. The file stays open during the test.
	Read  func(f *os.File) (*tree.Tree, error)
	Holds Mask
}

// Run is the suite: the same bytes under every condition, the golden digest,
// what was written read back, and errors of contents and of the disk passed on.
// The test must not be parallel to others, since umask, working directory and
// the number of CPUs change during it.
func Run(t *testing.T, w Writer) {
	t.Helper()
	if w.Tree == nil {
		w.Tree = Odd()
	}
	before := w.Tree.Digest()
	golden := w.digest(t, w.Tree)
	t.Run("golden", func(t *testing.T) {
		if golden != w.Golden {
			t.Errorf("the output has the digest %s, and the golden one is %s", golden, w.Golden)
		}
	})
	t.Run("same bytes", func(t *testing.T) { w.sameBytes(t, golden) })
	t.Run("contents in pieces", func(t *testing.T) {
		if got := w.digest(t, InPieces(w.Tree)); got != golden {
			t.Errorf("contents that are read in small pieces give %s and not %s", got, golden)
		}
	})
	t.Run("bad contents", w.badContents)
	t.Run("full disk", w.fullDisk)
	if w.Read != nil {
		t.Run("reads back", w.readsBack)
	}
	if w.Tree.Digest() != before {
		t.Error("the writer changed the tree")
	}
}

// output writes a tree to a new file.
func (w *Writer) output(t *testing.T, tr *tree.Tree) (*os.File, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if w.WriteFile != nil {
		err = w.WriteFile(f, tr)
	} else {
		err = w.Write(f, tr)
	}
	if _, seekErr := f.Seek(0, io.SeekStart); seekErr != nil {
		t.Fatal(seekErr)
	}
	return f, err
}

func (w *Writer) digest(t *testing.T, tr *tree.Tree) string {
	t.Helper()
	f, err := w.output(t, tr)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sameBytes writes under all conditions that must be of no consequence.
func (w *Writer) sameBytes(t *testing.T, golden string) {
	check := func(condition string) {
		t.Helper()
		if got := w.digest(t, w.Tree); got != golden {
			t.Errorf("%s: the output has the digest %s and not %s", condition, got, golden)
		}
	}
	check("again")
	cpus := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cpus)
	for _, n := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(n)
		check("with another number of CPUs")
	}
	runtime.GOMAXPROCS(cpus)

	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("elsewhere", -9*3600-1800)
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("HOME", t.TempDir())
	t.Chdir(t.TempDir())
	mask := unix.Umask(0o077)
	defer unix.Umask(mask)
	check("in another time zone, environment, directory and umask")
}

// small is a tree of one file with a content.
func small(n tree.Inode) *tree.Tree {
	m := &maker{}
	m.dir("dir")
	m.set("dir/file", n)
	return m.freeze()
}

func (w *Writer) badContents(t *testing.T) {
	good := File(0o644, strings.Repeat("content\n", 50_000))
	good.Digest = sha256.Sum256([]byte(strings.Repeat("content\n", 50_000)))
	if _, err := w.output(t, small(good)); err != nil {
		t.Fatalf("a good content: %v", err)
	}
	broken := errors.New("the disk is broken")
	for name, content := range map[string]tree.Content{
		"cannot be opened": opener(func() (io.ReadCloser, error) { return nil, broken }),
		"cannot be read": opener(func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("content\n"), failing{broken})), nil
		}),
		"is shorter": tree.Bytes([]byte("content\n")),
		"is longer":  tree.Bytes([]byte(strings.Repeat("content\n", 50_001))),
		"is another": tree.Bytes([]byte(strings.Repeat("content\n", 49_999) + "Content\n")),
		"is absent":  nil,
	} {
		bad := good
		bad.Content = content
		_, err := w.output(t, small(bad))
		if err == nil {
			t.Errorf("a content that %s is no error", name)
		} else if !strings.Contains(err.Error(), "dir/file") {
			t.Errorf("a content that %s is an error that does not name the path: %v", name, err)
		}
		if content == nil && !errors.Is(err, tree.ErrNoContent) {
			t.Errorf("a content that is absent is the error %v", err)
		}
	}
}

type opener func() (io.ReadCloser, error)

func (o opener) Open() (io.ReadCloser, error) { return o() }

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// fullDisk is for streams: a writer that stops at some byte must be an error.
func (w *Writer) fullDisk(t *testing.T) {
	if w.Write == nil {
		return
	}
	tr := small(File(0o644, string(Random(1, 300_000))))
	f, err := w.output(t, tr)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	for _, room := range []int64{0, 1, 600, size / 2, size - 1} {
		if err := w.Write(&limited{room, full}, tr); !errors.Is(err, full) {
			t.Errorf("with room for %d bytes of %d, the error is %v", room, size, err)
		}
	}
}

type limited struct {
	room int64
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.room {
		n := l.room
		l.room = 0
		return int(n), l.err
	}
	l.room -= int64(len(p))
	return len(p), nil
}

func (w *Writer) readsBack(t *testing.T) {
	f, err := w.output(t, w.Tree)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	Report(t, Compare(w.Tree, got, w.Holds))
	if err := Read(got); err != nil {
		t.Error(err)
	}
}

// Report fails a test with the differences that [Compare] told, the first of
// them at least.
func Report(t testing.TB, differences []string) {
	t.Helper()
	for i, d := range differences {
		if i == 30 {
			t.Errorf("and %d more", len(differences)-i)
			return
		}
		t.Error(d)
	}
}

// InPieces is a tree whose contents come in pieces of all sizes, and can
// neither be read at random nor tell their holes.
func InPieces(t *tree.Tree) *tree.Tree {
	b := t.Edit()
	for n := range t.Inodes() {
		if inode := n.Inode(); inode.Content != nil {
			whole := inode.Content
			inode.Content = opener(func() (io.ReadCloser, error) {
				r, err := whole.Open()
				return &pieces{r, 0}, err
			})
			must(b.Set(n.Path(), inode))
			for link := range n.Links() {
				if link != n {
					must(b.SetLink(link.Path(), n.Path()))
				}
			}
		}
	}
	m := &maker{*b}
	return m.freeze()
}

type pieces struct {
	io.ReadCloser
	turn int
}

func (p *pieces) Read(b []byte) (int, error) {
	p.turn++
	return p.ReadCloser.Read(b[:min(len(b), 1+p.turn*p.turn*37%9000)])
}
