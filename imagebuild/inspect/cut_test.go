package inspect_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/tree"
)

// faults are what is wrong with a part and those in it.
func faults(t testing.TB, p *inspect.Part) (list []string) {
	p.All(func(_ []string, q *inspect.Part) bool {
		if q.Problem != nil {
			list = append(list, q.Problem.Error())
		}
		if q.HasTree() {
			if _, err := q.Tree(t.Context()); err != nil {
				list = append(list, err.Error())
			}
		}
		if _, err := q.Digest(t.Context()); q.HasBytes() && err != nil {
			list = append(list, err.Error())
		}
		return true
	})
	return list
}

// Wherever a file is cut off, that is told; if it is still known what it is, and
// if more than zeros are missing.
func TestCutOffAnywhere(t *testing.T) {
	paths := images(t, rootTree(t))
	delete(paths, "oci") // a directory
	d := newDisk(t)
	paths["gpt"], paths["qcow2"] = d.path, asQcow2(t, d.path, qcow2.None)
	for name, path := range paths {
		raw, err := os.ReadFile(path)
		must(t, err)
		if list := faults(t, openBytes(t, raw)); len(list) > 0 {
			t.Errorf("the whole %s has faults: %q", name, list)
		}
		whole := len(bytes.TrimRight(raw, "\x00"))
		if name == "qcow2" { // which ends with counts of references, and who only reads needs none
			whole -= 128 << 10
		}
		lengths := []int{0, 1, 511, whole - 1, whole - 8, whole / 3}
		for n := 512; n < whole; n += max(512, whole/64/512*512) {
			lengths = append(lengths, n)
		}
		for _, n := range lengths {
			p := openBytes(t, raw[:n])
			if list := faults(t, p); p.Format != "data" && len(list) == 0 {
				t.Errorf("%s: %d of %d bytes are a %s without a fault", name, n, whole, p.Format)
			}
		}
	}
}

// What is not looked into is whole all the same.
func TestWhatIsNoFault(t *testing.T) {
	z, err := compress.Gzip.Bytes([]byte("some text"))
	must(t, err)
	for name, b := range map[string][]byte{"gzip": z, "luks": append([]byte("LUKS\xba\xbe"), make([]byte, 512)...)} {
		if p := openBytes(t, b); p.Format != name || !errors.Is(p.Problem, errors.ErrUnsupported) {
			t.Errorf("%s: %s, %v", name, p.Format, p.Problem)
		}
	}
	for _, n := range []int{len(z) - 1, len(z) - 8, len(z) - 10} {
		if p := openBytes(t, z[:n]); p.Problem == nil || errors.Is(p.Problem, errors.ErrUnsupported) || !strings.Contains(p.Problem.Error(), "it is cut off") {
			t.Errorf("%d bytes of gzip: %v", n, p.Problem)
		}
	}
}

// An archive ends with blocks of zeros; without, members may be missing, and
// behind them should be nothing.
func TestEndsOfArchives(t *testing.T) {
	whole := tarOf(t, "a", "text", "b", "text")
	other := tarOf(t, "c", "text")
	ends := len(whole) - 1024
	for _, c := range []struct {
		name  string
		b     []byte
		paths int // the root's with them
		want  string
	}{
		{"whole", whole, 3, ""},
		{"one block", whole[:ends+512], 3, ""},
		{"padded", slices.Concat(whole, make([]byte, 9000)), 3, ""},
		{"cut off between members", whole[:ends/2], 2, "the archive has no end: it is cut off"},
		{"no end", whole[:ends], 3, "the archive has no end: it is cut off"},
		{"two", slices.Concat(whole, other), 3, "what follows the archive's end at byte 3072 is not of it: 2048 bytes"},
		{"garbage", slices.Concat(whole, make([]byte, 512), []byte("x")), 3, "what follows the archive's end at byte 3072 is not of it: 513 bytes"},
	} {
		for kind, profile := range map[string]compress.Profile{"plain": compress.None, "zstd": compress.Zstd} {
			b, err := profile.Bytes(c.b)
			must(t, err)
			p := openBytes(t, b)
			if got := problems(p); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%s, %s: %q, want %q", c.name, kind, got, c.want)
			}
			if tr, err := p.Tree(t.Context()); err != nil || tr.Len() != c.paths {
				t.Errorf("%s, %s: the tree is not read: %v", c.name, kind, err)
			}
		}
	}
	// What need not be all of an archive is not compared as if it were.
	_, err := inspect.DiffAll(t.Context(), openBytes(t, whole[:ends]), open(t, images(t, freeze(t, &tree.Builder{}))["erofs"]))
	if err == nil || !strings.Contains(err.Error(), "has no end") {
		t.Errorf("comparing with an archive that has no end: %v", err)
	}
}
