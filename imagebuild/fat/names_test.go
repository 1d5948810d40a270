package fat

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

func TestShortNames(t *testing.T) {
	for name, want := range map[string]string{
		"README": "README     ", "readme.md": "README  MD ", "a.b": "A       B  ", "12345678.123": "12345678123", "$%'-_@~": "$%'-_@~    ", "X": "X          ",
	} {
		if s, ok := toShort(name); !ok || string(s[:]) != want {
			t.Errorf("%q is %q, %t; want %q", name, s[:], ok, want)
		}
	}
	for _, name := range []string{"", ".x", "123456789", "a.1234", "a.b.c", "a.", "a b", "a+b", "é", "a,b", "[x]"} {
		if s, ok := toShort(name); ok {
			t.Errorf("%q is the short name %q", name, s[:])
		}
	}
	for name, want := range map[string]bool{"README": true, "README.TXT": true, "Readme": false, "readme": false, "LONG NAME": false, "_-$": true} {
		if got := isPlain(name); got != want {
			t.Errorf("%q needs no long name: %t, want %t", name, got, want)
		}
	}
}

// The sum is the one of Microsoft's specification, over a name it has itself.
func TestChecksum(t *testing.T) {
	sum := byte(0)
	for _, c := range []byte("THEQUI~1FOX") {
		sum = (sum&1)*0x80 + sum>>1 + c
	}
	if got := short([]byte("THEQUI~1FOX")).checksum(); got != sum {
		t.Errorf("the sum is %#x, want %#x", got, sum)
	}
}

func TestCut(t *testing.T) {
	for name, want := range map[string][2]string{
		"a long name.html": {"ALONGNAM", "HTM"}, ".profile": {"PROFILE", ""}, "..a.b": {"A", "B"}, "x+y.z=1": {"X_Y", "Z_1"}, "é": {"_", ""}, "   ": {"_", ""},
		"a.b.c": {"AB", "C"}, "\U0001f600.txt": {"_", "TXT"}, "archive.tar.gz": {"ARCHIVET", "GZ"},
	} {
		if base, extension := cut(name); base != want[0] || extension != want[1] {
			t.Errorf("%q is cut to %q and %q, want %q", name, base, extension, want)
		}
	}
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{{"abc", "ABC", "aBc"}, {"é", "É"}, {"ß", "ẞ"}, {"σ", "ς", "Σ"}, {"k", "\u212a"}} {
		for _, name := range same {
			if fold(name) != fold(same[0]) {
				t.Errorf("%q and %q differ in more than case", name, same[0])
			}
		}
	}
	if fold("a") == fold("b") || fold("e") == fold("é") {
		t.Error("other letters are the same ones")
	}
}

func TestSlots(t *testing.T) {
	for name, want := range map[string]int{"X": 1, "x": 2, strings.Repeat("x", 13): 2, strings.Repeat("x", 14): 3, strings.Repeat("x", 255): 21, strings.Repeat("\U0001f600", 7): 3} {
		u, trouble := units(name)
		if got := slots(name, u); got != want || trouble != "" {
			t.Errorf("%q takes %d entries, want %d: %s", name, got, want, trouble)
		}
		if name == "X" {
			continue
		}
		b := appendLong(nil, u, 7)
		var l longName
		for ; len(b) > 0; b = b[entrySize:] {
			l.add(b[:entrySize])
		}
		got := slices.Clone(l.units)
		if end := slices.Index(got, 0); end >= 0 {
			got = got[:end]
		}
		if !l.whole || !slices.Equal(got, u) {
			t.Errorf("%q is read as %v", name, got)
		}
	}
}

func TestStamps(t *testing.T) {
	for _, sec := range []int64{firstTime.Sec, 951782400, 951868800, 1772323200, 4107542400, lastTime.Sec - 1} {
		at := tree.Time{Sec: sec &^ 1}
		s := stampOf(at)
		if got := parseStamp(s.date, s.time); got != at {
			t.Errorf("%s is read as %s", at.Time(), got.Time())
		}
	}
	if got := parseStamp(0, 0); got != firstTime {
		t.Errorf("no time is %s", got.Time())
	}
	if got := stampOf(tree.Time{Sec: -5}); got != stampOf(firstTime) {
		t.Errorf("a time before all is %+v", got)
	}
}

func TestAdvisedClusters(t *testing.T) {
	for size, want := range map[int64]int64{1 << 20: 512, 260 << 20: 512, 260<<20 + 1: 4096, 8 << 30: 4096, 8<<30 + 1: 8192, 32 << 30: 16384, 1 << 40: 32768} {
		if got := advised(size); got != want {
			t.Errorf("for %d bytes are clusters of %d advised, want %d", size, got, want)
		}
	}
}
