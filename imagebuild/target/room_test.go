package target

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// Contents that would take too much room are refused before any of them is
// written. Each takes whole blocks.
func TestBoundOfDir(t *testing.T) {
	d := newDir(t)
	d.Bound(3 * blockBytes)
	sized := func(name string, size int64) error {
		f := distro.File{Path: name, Type: distro.Regular, Mode: 0o644, Size: size, ModTime: when}
		return d.Put(f, io.LimitReader(zeros{}, min(size, 1<<20)))
	}
	if err := errors.Join(sized("one", 1), sized("empty", 0), sized("two", 2*blockBytes)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1, 1 << 40, math.MaxInt64, math.MaxInt64} {
		var room *RoomError
		if err := sized("more", size); !errors.As(err, &room) || !strings.Contains(err.Error(), "more") || !strings.Contains(err.Error(), "12288 bytes") {
			t.Errorf("%d bytes more: %v", size, err)
		}
		if _, err := os.Lstat(filepath.Join(d.Path(), "more")); err == nil {
			t.Error("what there is no room for was begun")
		}
	}
	put(t, d, directory("dir"), link("link", "dir"))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// written counts what a spool writes.
type written struct{ n int64 }

func (w *written) WriteAt(b []byte, _ int64) (int, error) { w.n += int64(len(b)); return len(b), nil }
func (w *written) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }

func TestBoundOfSpool(t *testing.T) {
	const bound = 5 << 20
	var file written
	s := NewSpool(&file)
	s.Bound(bound)
	if _, _, _, err := s.Keep(io.LimitReader(zeros{}, bound-1)); err != nil {
		t.Fatal(err)
	}
	var room *RoomError
	if _, _, _, err := s.Keep(io.LimitReader(zeros{}, 1<<30)); !errors.As(err, &room) {
		t.Errorf("without end: %v", err)
	}
	if file.n > bound {
		t.Errorf("%d bytes were written", file.n)
	}
}

func TestRoom(t *testing.T) {
	if room, err := Room(t.TempDir()); err != nil || room <= 0 {
		t.Errorf("%d, %v", room, err)
	}
	if _, err := Room("/nonexistent"); err == nil {
		t.Error("there is room in what is not there")
	}
}
