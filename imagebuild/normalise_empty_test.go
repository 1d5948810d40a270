package imagebuild

import (
	"bytes"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

// An empty file need not have a content, and is looked at all the same.
func TestRulesOfEmptyFiles(t *testing.T) {
	var b tree.Builder
	for name, in := range map[string]tree.Inode{"": {Mode: tree.Directory | 0o755}, "empty": {Mode: tree.Regular | 0o644}, "other": {Mode: tree.Regular | 0o644}} {
		if err := b.Set(name, in); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rule := distro.Rule{Name: "greeting", Edit: []string{"*"}, Rewrite: func(path string, old []byte, _ time.Time) ([]byte, error) {
		if len(old) != 0 {
			t.Errorf("%s has %q", path, old)
		}
		if path == "other" {
			return []byte("hello"), nil
		}
		return old, nil
	}}
	got, applied, err := normalise(t.Context(), tr, []distro.Rule{rule}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := got.File("other")
	var text bytes.Buffer
	if err := n.CopyTo(&text); err != nil || text.String() != "hello" || len(applied) != 1 {
		t.Errorf("it became %q, %v, by %+v", &text, err, applied)
	}
}
