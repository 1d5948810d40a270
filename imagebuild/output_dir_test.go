package imagebuild

import (
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

// A mapping is whole where it is that of the first user namespace.
func TestIsWhole(t *testing.T) {
	for ids, want := range map[string]bool{
		"         0          0 4294967295\n":                                   true,
		"         0       1000          1\n         1     100000      65536\n": false,
		"         0          0      65536\n":                                   false,
		"":                                                                     false,
	} {
		if isWhole(ids) != want {
			t.Errorf("%q: %t", ids, !want)
		}
	}
}

// Devices that a directory goes without are told and not left out in silence.
func TestLostDevices(t *testing.T) {
	var b tree.Builder
	for path, n := range map[string]tree.Inode{"file": {Mode: tree.Regular | 0o644}, "null": {Mode: tree.CharDev | 0o666, Major: 1, Minor: 3}, "sda": {Mode: tree.BlockDev | 0o600, Major: 8}} {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	frozen, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := lostDevices(frozen); !strings.Contains(got, "2 are left out, first /null") {
		t.Errorf("it says %q", got)
	}
	if got := lostDevices(tree.Filter(frozen, func(n tree.Node) bool { return !n.Mode().IsDevice() })); got != "" {
		t.Errorf("without devices it says %q", got)
	}
}
