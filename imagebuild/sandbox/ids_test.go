package sandbox

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// All ids map to themselves, in numbers that the machine's int has.
func TestIdentity(t *testing.T) {
	const all = "         0          0 4294967295\n"
	const two = "0 1000 1\n1 100000 65536\n"
	for _, c := range []struct {
		name, data string
		most       int64
		want       string // inside, outside, size
	}{
		{"all, 32 bits", all, math.MaxInt32, "[{0 0 2147483647} {2147483647 2147483647 2147483647}]"},
		{"a user's", two, math.MaxInt32, "[{0 0 1} {1 1 65536}]"},
		{"a user's, as far as this machine counts", two, math.MaxInt, "[{0 0 1} {1 1 65536}]"},
		{"beyond an int of 32 bits", "2147483648 5 7\n", math.MaxInt32, "[]"},
		{"nonsense", "a b c\n\n", math.MaxInt, "[]"},
	} {
		if got := fmt.Sprint(parseIdentity(c.data, c.most)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Hardly an id of this machine's is left out.
func TestIdentityIsWhole(t *testing.T) {
	var size int64
	for _, p := range parseIdentity("0 0 4294967295\n", math.MaxInt) {
		size += int64(p.Size)
	}
	if size < math.MaxUint32-1 || size > math.MaxUint32 {
		t.Errorf("%d ids are mapped", size)
	}
}

// Subordinate ids may be beyond what an int of 32 bits has.
func TestSubordinateBeyondInt(t *testing.T) {
	got := parseSubordinate("root:1:5\nme:4294901760:65535\nme:0:4294967295\nme:4294967295:2\nme:1:0\nme:-1:1\n", []string{"1000", "me"})
	if want := []idRange{{0, 4294901760, 65535}, {0, 0, 4294967295}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What the kernel is of is never foreign, be this program for 32 bits and it
// for 64.
func TestKernelIsNotForeign(t *testing.T) {
	if a, isForeign := foreign(kernel()); isForeign {
		t.Errorf("the kernel's own %s (%v) is foreign", kernel(), a.names)
	}
}
