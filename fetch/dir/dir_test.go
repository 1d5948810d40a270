package dir_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// layouts are where a directory may have a file.
var layouts = map[string]func(path string, data []byte) string{
	"pool":  func(path string, data []byte) string { return path },
	"flat":  func(path string, data []byte) string { return filepath.Base(path) },
	"blobs": func(path string, data []byte) string { return "blobs/sha256/" + lockfile.DigestOf(data).String() },
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func newDir(t *testing.T, path string) fetch.Source {
	t.Helper()
	s, err := dir.New(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				root := t.TempDir()
				for path, data := range files {
					write(t, filepath.Join(root, layout(path, data)), data)
				}
				return newDir(t, root)
			})
		})
	}
}

// Nothing outside the directory and nothing but regular files is opened.
func TestOpenRefuses(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, "secret"), []byte("secret"))
	root := filepath.Join(top, "root")
	write(t, filepath.Join(root, "real"), []byte("real"))
	for _, err := range []error{
		os.Symlink("../secret", filepath.Join(root, "relative")),
		os.Symlink(filepath.Join(top, "secret"), filepath.Join(root, "absolute")),
		os.Symlink("..", filepath.Join(root, "up")),
		os.Symlink("real", filepath.Join(root, "inside")),
		syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600),
		os.Mkdir(filepath.Join(root, "folder"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := newDir(t, root)
	for _, path := range []string{"../secret", "relative", "absolute", "up/secret", "pipe", "folder"} {
		body, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: path}})
		if err == nil {
			body.Close()
		}
		if !fetch.IsPermanent(err) {
			t.Errorf("%s: error %v, want a permanent one", path, err)
		}
	}
	body, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "inside"}})
	if err != nil {
		t.Fatalf("a link that stays inside: %v", err)
	}
	defer body.Close()
	if got, _ := io.ReadAll(body); string(got) != "real" {
		t.Errorf("a link that stays inside gives %q", got)
	}
}

func TestNewWantsDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	if _, err := dir.New(file); err == nil {
		t.Error("a file is taken for a directory")
	}
	if _, err := dir.New(file + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}

// A directory that is gone is a failure of the source, not a missing file.
func TestDirectoryGone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newDir(t, root)
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	_, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "a"}})
	if errors.Is(err, fs.ErrNotExist) || !fetch.IsPermanent(err) {
		t.Errorf("error %v, want a permanent one that is not fs.ErrNotExist", err)
	}
}
