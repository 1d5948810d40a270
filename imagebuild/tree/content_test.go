package tree_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func TestStoresKeep(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, store := range map[string]tree.Store{"memory": &tree.MemoryStore{}, "spool": tree.NewSpool(f)} {
		t.Run(name, func(t *testing.T) {
			var b tree.Builder
			for path, text := range map[string]string{"a": "first", "b": "", "c": strings.Repeat("third", 50_000), "d": "first"} {
				content, size, digest, err := store.Keep(strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Add(path, tree.Inode{Mode: tree.Regular, Content: content, Size: size, Digest: digest}); err != nil {
					t.Fatal(err)
				}
			}
			broken := errors.New("broken")
			if _, _, _, err := store.Keep(io.MultiReader(strings.NewReader("part"), errorReader{broken})); !errors.Is(err, broken) {
				t.Errorf("the error is %v", err)
			}
			tr, err := b.Freeze(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := treetest.Read(tr); err != nil {
				t.Error(err)
			}
			readsAtRandom(t, tr)
		})
	}
}

type errorReader struct{ error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.error }

func readsAtRandom(t *testing.T, tr *tree.Tree) {
	t.Helper()
	c, _ := tr.Lookup("c")
	r, err := c.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at, is := r.(io.ReaderAt)
	if !is {
		t.Fatalf("%T does not read at random", r)
	}
	b := make([]byte, 5)
	if _, err := at.ReadAt(b, 5*49_999); err != nil && err != io.EOF || !bytes.Equal(b, []byte("third")) {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestOpenOfWhatHasNoContent(t *testing.T) {
	tr := plant(t, "d/", "l>d")
	for n := range tr.All() {
		if _, err := n.Open(); err == nil || !strings.Contains(err.Error(), "has no content") {
			t.Errorf("%s opened: %v", n.Path(), err)
		}
	}
}

// The errors say what changed, and of what is too long nothing more is given.
func TestContentsThatChangedSaySo(t *testing.T) {
	for content, complaint := range map[string]string{
		"1234":                     "it has 4 bytes and not the 5 it had",
		strings.Repeat("12345", 9): "it has more than the 5 bytes it had",
		"12346":                    "its SHA-256 is ",
	} {
		n := treetest.File(0o644, "12345")
		n.Digest = sha256.Sum256([]byte("12345"))
		n.Content = tree.Bytes([]byte(content))
		var b tree.Builder
		if err := b.Add("file", n); err != nil {
			t.Fatal(err)
		}
		tr, err := b.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file, _ := tr.Lookup("file")
		var out bytes.Buffer
		if err := file.CopyTo(&out); err == nil || !strings.Contains(err.Error(), "/file: the content changed: "+complaint) {
			t.Errorf("%q: the error is %v, want one of %q", content, err, complaint)
		}
		if out.Len() > 5 {
			t.Errorf("%q: %d bytes were given", content, out.Len())
		}
	}
}

func TestManifestPassesErrorsOn(t *testing.T) {
	full := errors.New("full")
	if err := tree.WriteManifest(errorWriter{full}, treetest.Odd()); !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
}

type errorWriter struct{ error }

func (e errorWriter) Write([]byte) (int, error) { return 0, e.error }
