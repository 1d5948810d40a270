package ext4

import (
	"fmt"
	"strings"
	"testing"
)

// A leaf that begins with a hash that the one before has, too, says so: lookups
// would miss its names otherwise.
func TestEqualHashesOverLeaves(t *testing.T) {
	var list []entry
	for i := range 100 {
		e := entry{name: strings.Repeat("n", 200) + fmt.Sprint(i), ino: 12, kind: 1, major: 10}
		if i >= 50 {
			e.major = 20
		}
		list = append(list, e)
	}
	_, hashes := packLeaves(0, list)
	if got := fmt.Sprint(hashes); got != "[10 11 11 21 21 21]" {
		t.Errorf("the leaves have the hashes %s", got)
	}
}

// The hashes are those that debugfs' dx_hash tells for half_md4 and this seed.
func TestNameHash(t *testing.T) {
	for name, want := range map[string]string{"a": "0x8d08ec4c 0x2fbccd78", "lost+found": "0x694c8bb4 0x74b39433", "file-0001.txt": "0xf99c86b4 0x27bc7b2", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": "0xfd5b0756 0x9dc255a9"} {
		major, minor := nameHash([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, name)
		if got := fmt.Sprintf("%#x %#x", major, minor); got != want {
			t.Errorf("%q has the hash %s, want %s", name, got, want)
		}
	}
}
