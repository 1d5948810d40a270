package alpine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/target"
)

// BenchmarkAssemble makes a root of 47 packages, without scripts.
func BenchmarkAssemble(b *testing.B) {
	_, lock, blobs := isoLock(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		root := filepath.Join(b.TempDir(), "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			b.Fatal(err)
		}
		d, err := target.New(root)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := (Distro{}).Assemble(b.Context(), distro.Assembly{Lock: lock, Blobs: blobs, Root: d, Epoch: epoch, Parallel: 2}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
