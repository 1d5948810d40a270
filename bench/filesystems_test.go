package main

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// sources is a directory with what a system has.
func sources(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{"a": "content", "sub/B": strings.Repeat("x", 5000), "sub/b": "twin", "sub/co:lon": "c", "z": ""} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFilesystemFiles(t *testing.T) {
	root := sources(t)
	all, err := filesystemFiles([]string{root}, 1<<20)
	if err != nil || len(all) != 6 || !slices.IsSorted(all) {
		t.Fatalf("%q, %v", all, err)
	}
	some, err := filesystemFiles([]string{root}, 4000)
	if err != nil || len(some) >= 6 {
		t.Errorf("%q, %v", some, err)
	}
	again, err := filesystemFiles([]string{root}, 4000)
	if err != nil || !slices.Equal(some, again) {
		t.Errorf("another choice: %q, %v", again, err)
	}
}

func TestCopyFilesKeepsWhatTheyHave(t *testing.T) {
	root := sources(t)
	at := time.Unix(1_000_000_000, 5)
	if err := os.Chtimes(filepath.Join(root, "a"), at, at); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := copyFiles([]string{filepath.Join(root, "a"), filepath.Join(root, "link"), filepath.Join(root, "sub/co:lon")}, to); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(to, root)
	if info, err := os.Stat(filepath.Join(copied, "a")); err != nil || info.ModTime().Unix() != at.Unix() {
		t.Error(info, err)
	}
	if target, err := os.Readlink(filepath.Join(copied, "link")); err != nil || target != "a" {
		t.Error(target, err)
	}
	if err := copyFiles([]string{"/nowhere/at/all"}, filepath.Join(t.TempDir(), "copy")); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestLinkForFATLeavesOutWhatItCannotHold(t *testing.T) {
	to := filepath.Join(t.TempDir(), "fat")
	if err := linkForFAT(sources(t), to); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, to+"/"))
		}
		return err
	})
	if err != nil || !slices.Equal(got, []string{"a", "sub/B", "z"}) {
		t.Errorf("%q, %v", got, err)
	}
	tr, err := dir.Read(t.Context(), to, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fat.Write(t.Context(), nowhere{}, tr, fat.Options{DropModes: true, DropOwners: true, DropXattrs: true}); err != nil {
		t.Error(err)
	}
}

type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// What is written from a manifest is what is written from the directory.
func TestWriteFilesystem(t *testing.T) {
	root := sources(t)
	if err := os.RemoveAll(filepath.Join(root, "sub")); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	manifest := filepath.Join(out, "manifest")
	if err := writeFilesystem("manifest", root, "", manifest); err != nil {
		t.Fatal(err)
	}
	want, err := dir.Read(context.Background(), root, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := recordedTree(t.Context(), root, manifest)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(want, got, treetest.All))
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
	for _, kind := range []string{"erofs", "erofs-lz4", "squashfs-zstd", "squashfs-gzip"} {
		var images [2]string
		for i, m := range []string{"", manifest} {
			path := filepath.Join(out, kind)
			if err := writeFilesystem(kind, root, m, path); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil || len(content) == 0 {
				t.Fatal(len(content), err)
			}
			images[i] = string(content)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if images[0] != images[1] {
			t.Errorf("%s: with a manifest it is another", kind)
		}
	}
	path := filepath.Join(out, "ext4")
	if err := writeFilesystem("ext4", root, "", path); err != nil {
		t.Error(err)
	}
	if size, err := allocated(path); err != nil || size == 0 || size > filesystemSize/10 {
		t.Errorf("%d bytes on the disk, %v", size, err)
	}
	if err := writeFilesystem("none", root, "", filepath.Join(out, "none")); err == nil || !strings.Contains(err.Error(), `no file system "none"`) {
		t.Error(err)
	}
}

func TestCompareTakesRatiosOfPairs(t *testing.T) {
	samples := func(walls ...time.Duration) (all []sample) {
		for _, w := range walls {
			all = append(all, sample{wall: w})
		}
		return all
	}
	// The second takes twice as long in each round, on a machine that slows down.
	if got := pairs(samples(1, 10, 100), samples(2, 20, 200), wall); got != 2 {
		t.Errorf("a ratio of %f", got)
	}
	path := filepath.Join(t.TempDir(), "out")
	var out strings.Builder
	b := &bench{rounds: 3, out: &out}
	write := func(size string) contestant {
		return contestant{"of " + size, nil, func() *exec.Cmd { return shell(`head -c "$1" /dev/urandom > "$2"`, size, path) }}
	}
	if err := b.compare(path, write("40960"), write("20480")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "| of 20480 | ") || !strings.Contains(out.String(), "MB | 0.50 |") {
		t.Errorf("the table is %s", out.String())
	}
	if missing := missingTool([]string{"sh", "no-such-tool-at-all"}); missing != "no-such-tool-at-all" {
		t.Errorf("%q is missing", missing)
	}
}
