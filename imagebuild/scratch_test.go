package imagebuild

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What killed builds left goes with the next one; what another works in stays.
func TestScratch(t *testing.T) {
	for _, name := range []string{"plain", "[a-", "[x]*?", "back\\slash"} {
		t.Run(name, func(t *testing.T) { testScratch(t, filepath.Join(t.TempDir(), name)) })
	}
}

// testScratch makes scratch directories below temp, which is not there yet.
func testScratch(t *testing.T, temp string) {
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	mine, lock, err := scratch(temp)
	if err != nil {
		t.Fatal(err)
	}
	// What packages set user ids on lies there for a while.
	if info, err := os.Stat(mine); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others can enter: %v, %v", info.Mode(), err)
	}
	old := time.Now().Add(-time.Hour)
	left, fresh, other := filepath.Join(temp, scratchPrefix+"left"), filepath.Join(temp, scratchPrefix+"fresh"), filepath.Join(temp, "samebits-other")
	for _, dir := range []string{left, fresh, other} {
		if err := os.MkdirAll(filepath.Join(dir, "root", "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{mine, left, other} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	again, lock2, err := scratch(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{mine, again, fresh, other} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("it went although it is no leftover: %v", err)
		}
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed build left is still there: %v", err)
	}
	if err := errors.Join(lock.Close(), lock2.Close()); err != nil {
		t.Error(err)
	}
	_, lock3, err := scratch(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer lock3.Close()
	if _, err := os.Stat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not locked any more is still there: %v", err)
	}
}
