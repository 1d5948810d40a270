package swap_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/swap"
)

var id = [16]byte{0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x42, 0x34, 0x82, 0x34, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC}

func written(t testing.TB, o swap.Options) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "swap"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(swap.Write(f, o), f.Truncate(o.Size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func content(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	const want = "97280759b8b0bd1a416fec9de7611d369bd06945612d46613bd4a503d665e3d7"
	b := content(t, written(t, swap.Options{UUID: id, Label: "memory", Size: 1 << 20}))
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestLikeMkswap has mkswap make the same areas.
func TestLikeMkswap(t *testing.T) {
	if _, err := exec.LookPath("mkswap"); err != nil {
		t.Skip(err)
	}
	for _, o := range []swap.Options{
		{UUID: id, Size: 1 << 20}, {UUID: id, Size: swap.MinSize, Label: "0123456789abcde"}, {UUID: id, Size: 5<<20 + 100, Label: "ü"},
	} {
		theirs := filepath.Join(t.TempDir(), "theirs")
		if err := os.WriteFile(theirs, make([]byte, o.Size), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("mkswap", "-U", "12345678-1234-4234-8234-123456789abc", "-L", o.Label, theirs)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !bytes.Equal(content(t, written(t, o)), content(t, theirs)) {
			t.Errorf("%+v: mkswap makes another", o)
		}
	}
}

var errFull = errors.New("the disk is full")

type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, errFull }

func TestRefused(t *testing.T) {
	for complaint, o := range map[string]swap.Options{
		"of 40959 bytes: it must have 40960": {Size: swap.MinSize - 1},
		"of -1 bytes":                        {Size: -1},
		"of 17592186044417 bytes":            {Size: swap.PageSize<<32 + 1},
		"has 16 bytes; at most 15":           {Size: 1 << 20, Label: strings.Repeat("x", 16)},
		"a NUL in it":                        {Size: 1 << 20, Label: "a\x00"},
	} {
		if err := swap.Write(full{}, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%+v: %v; want %q", o, err, complaint)
		}
	}
	if err := swap.Write(full{}, swap.Options{Size: 1 << 20}); !errors.Is(err, errFull) {
		t.Errorf("an error of the disk: %v", err)
	}
}
