package squashfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
)

// The peer is mksquashfs with the level that is nearest, of the directory that
// SAMEBITS_BENCH_TREE names, or else of /usr/share.
func BenchmarkAgainstMksquashfs(b *testing.B) {
	if _, err := exec.LookPath("mksquashfs"); err != nil {
		b.Skip(err)
	}
	source := os.Getenv("SAMEBITS_BENCH_TREE")
	if source == "" {
		source = "/usr/share"
	}
	tr, err := dir.Read(b.Context(), source, dir.ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	report := func(b *testing.B, path string) {
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			report(b, image(b, tr, squashfs.Options{DropACLs: true, ClampTimes: true}).Name())
		}
	})
	b.Run("mksquashfs", func(b *testing.B) {
		for b.Loop() {
			path := filepath.Join(b.TempDir(), "image")
			imagetest.Tool(b, "mksquashfs", source, path, "-comp", "zstd", "-Xcompression-level", "3", "-no-progress", "-quiet")
			report(b, path)
		}
	})
}
