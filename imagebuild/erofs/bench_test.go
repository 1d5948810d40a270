package erofs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
)

// The peer is mkfs.erofs, of the directory that SAMEBITS_BENCH_TREE names, or
// else of /usr/share.
func BenchmarkAgainstMkfs(b *testing.B) {
	if _, err := exec.LookPath("mkfs.erofs"); err != nil {
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
	for name, c := range map[string]struct {
		o     erofs.Options
		flags []string
	}{
		"plain": {erofs.Options{}, nil},
		"lz4":   {erofs.Options{Compression: erofs.LZ4}, []string{"-zlz4"}},
	} {
		b.Run(name+"/ours", func(b *testing.B) {
			for b.Loop() {
				report(b, image(b, tr, c.o).Name())
			}
		})
		b.Run(name+"/mkfs.erofs", func(b *testing.B) {
			for b.Loop() {
				path := filepath.Join(b.TempDir(), "image")
				imagetest.Tool(b, append(append([]string{"mkfs.erofs"}, c.flags...), path, source)...)
				report(b, path)
			}
		})
	}
}
