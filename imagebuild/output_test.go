package imagebuild

import (
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
)

// What an output cannot hold is told and not left out in silence.
func TestLost(t *testing.T) {
	var b tree.Builder
	for path, xattrs := range map[string][]tree.Xattr{"plain": nil, "ping": {{Name: "security.capability", Value: "x"}}} {
		if err := b.Add(path, tree.Inode{Mode: tree.Regular | 0o755, Xattrs: xattrs}); err != nil {
			t.Fatal(err)
		}
	}
	frozen, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	img := &Image{Tree: frozen}
	if got := Lost(img, spec.Output{Type: "cpio"}); !strings.Contains(got, "; /ping loses its") {
		t.Errorf("cpio: %q", got)
	}
	if got := Lost(img, spec.Output{Type: "tar"}); got != "" {
		t.Errorf("tar: %q", got)
	}
}
