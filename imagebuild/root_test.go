package imagebuild

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scripts cannot run among packages that are no whole system, which a person
// is told in other words than the kernel has.
func TestIsSystem(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"dev", "proc", "sys", "tmp"} {
		if err := isSystem(root); err == nil || !strings.Contains(err.Error(), "there is no /"+name+";") {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := isSystem(root); err != nil {
		t.Error(err)
	}
}
