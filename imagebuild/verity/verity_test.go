package verity_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/verity"
)

func options() verity.Options {
	return verity.Options{Salt: treetest.Random(7, 32), UUID: [16]byte(treetest.Random(8, 16))}
}

// made is the tree of some data.
func made(t testing.TB, data []byte, o verity.Options) (root verity.Digest, hashes []byte) {
	t.Helper()
	w := &memory{}
	root, size, err := verity.Write(t.Context(), bytes.NewReader(data), int64(len(data)), w, o)
	if err != nil {
		t.Fatal(err)
	}
	if int(size) != len(w.b) || size != verity.Size(int64(len(data))) {
		t.Fatalf("the tree has %d bytes, %d are told, and %d foretold", len(w.b), size, verity.Size(int64(len(data))))
	}
	return root, w.b
}

// memory is an output that several goroutines may write to.
type memory struct {
	mu sync.Mutex
	b  []byte
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if missing := int(at) + len(p) - len(m.b); missing > 0 {
		m.b = append(m.b, make([]byte, missing)...)
	}
	return copy(m.b[at:], p), nil
}

// A tree of few blocks, made again by what the kernel's documentation says.
func TestTreeByHand(t *testing.T) {
	o := options()
	hash := func(block []byte) []byte {
		sum := sha256.Sum256(append(bytes.Clone(o.Salt), block...))
		return sum[:]
	}
	data := treetest.Random(1, 131*verity.BlockSize)
	clear(data[4096:8192])
	root, hashes := made(t, data, o)
	var bottom []byte
	for i := 0; i < len(data); i += verity.BlockSize {
		bottom = append(bottom, hash(data[i:i+verity.BlockSize])...)
	}
	bottom = append(bottom, make([]byte, 2*verity.BlockSize-len(bottom))...)
	top := append(hash(bottom[:verity.BlockSize]), hash(bottom[verity.BlockSize:])...)
	top = append(top, make([]byte, verity.BlockSize-len(top))...)
	if !bytes.Equal(hashes[verity.BlockSize:2*verity.BlockSize], top) || !bytes.Equal(hashes[2*verity.BlockSize:], bottom) {
		t.Error("the levels are not as they are by hand")
	}
	if !bytes.Equal(root[:], hash(top)) {
		t.Errorf("the root hash is %x, want %x", root, hash(top))
	}
	if single, hashes := made(t, data[:verity.BlockSize], o); !bytes.Equal(single[:], hash(data[:verity.BlockSize])) || len(hashes) != verity.BlockSize {
		t.Error("the root hash of one block is not that block's")
	}
}

func TestGolden(t *testing.T) {
	data := treetest.Random(2, 20_000*verity.BlockSize/4)
	root, hashes := made(t, data, options())
	const (
		golden   = "cb8ea15e082241ad7c1231b6fbb50531063b0c95ba9fc93d37f5f5b157dac6d1"
		wantRoot = "bcdad36253ae6f77bea5e45dfcbe5739d71e7eca4fc6733eb076e126fb5ee869"
	)
	if sum := sha256.Sum256(hashes); hex.EncodeToString(sum[:]) != golden {
		t.Errorf("the tree has the digest %x", sum)
	}
	if hex.EncodeToString(root[:]) != wantRoot {
		t.Errorf("the root hash is %x", root)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if again, same := made(t, data, options()); again != root || !bytes.Equal(same, hashes) {
		t.Error("with one CPU it is another")
	}
}

// holes is data that may be read only where it says to have some.
type holes struct {
	t       *testing.T
	size    int64
	extents []tree.Extent
}

func (h *holes) Extents() []tree.Extent { return h.extents }

func (h *holes) ReadAt(p []byte, at int64) (int, error) {
	read := false
	clear(p)
	for _, e := range h.extents {
		if e.Offset < at+int64(len(p)) && at < e.Offset+e.Length {
			read = true
			for i := max(e.Offset, at); i < min(e.Offset+e.Length, at+int64(len(p))); i++ {
				p[i-at] = 'x'
			}
		}
	}
	if !read {
		h.t.Errorf("a hole was read at %d", at)
	}
	return len(p), nil
}

func TestHolesAreNotRead(t *testing.T) {
	const size = 64 << 20
	data := &holes{t, size, []tree.Extent{{Offset: 5 << 20, Length: 3}, {Offset: 30<<20 - 1, Length: 2}, {Offset: size - 1, Length: 1}}}
	sparse := &memory{}
	root, _, err := verity.Write(t.Context(), data, size, sparse, options())
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, size)
	plain[5<<20], plain[5<<20+1], plain[5<<20+2], plain[30<<20-1], plain[30<<20], plain[size-1] = 'x', 'x', 'x', 'x', 'x', 'x'
	if want, hashes := made(t, plain, options()); want != root || !bytes.Equal(hashes, sparse.b) {
		t.Error("holes make another tree than zeros do")
	}
}

func TestWhatIsRefused(t *testing.T) {
	for complaint, write := range map[string]func() error{
		"data of 0 bytes": func() error { return failure(t.Context(), nil, 0, verity.Options{}) },
		"data of 5000 by": func() error { return failure(t.Context(), make([]byte, 5000), 5000, verity.Options{}) },
		"a salt of 257": func() error {
			return failure(t.Context(), make([]byte, 4096), 4096, verity.Options{Salt: make([]byte, 257)})
		},
		"ends at byte 40": func() error { return failure(t.Context(), make([]byte, 4096), 8192, verity.Options{}) },
		"ends at byte 0:": func() error { return failure(t.Context(), nil, 4096, verity.Options{}) },
	} {
		if err := write(); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failure(ctx, make([]byte, 8<<20), 8<<20, verity.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	for blocks := range int64(4) {
		if _, _, err := verity.Write(t.Context(), bytes.NewReader(make([]byte, 200*4096)), 200*4096, full{blocks * 4096}, verity.Options{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("a disk with an error in block %d: %v", blocks, err)
		}
	}
}

func failure(ctx context.Context, data []byte, size int64, o verity.Options) error {
	_, _, err := verity.Write(ctx, bytes.NewReader(data), size, &memory{}, o)
	return err
}

// full is a disk with an error in one place.
type full struct{ at int64 }

func (f full) WriteAt(p []byte, at int64) (int, error) {
	if at == f.at {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestVerify(t *testing.T) {
	data := treetest.Random(3, 300*verity.BlockSize)
	root, hashes := made(t, data, options())
	check := func(data, hashes []byte, root verity.Digest) error {
		return verity.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), bytes.NewReader(hashes), root)
	}
	if err := check(data, hashes, root); err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	for what, err := range map[string]error{
		"a byte of the data":  check(flip(data, 1_000_000), hashes, root),
		"the data's last":     check(flip(data, len(data)-1), hashes, root),
		"a byte of the tree":  check(data, flip(hashes, 9000), root),
		"padding of the tree": check(data, flip(hashes, len(hashes)-1), root),
		"the superblock":      check(data, flip(hashes, 300), root),
		"another root":        check(data, hashes, verity.Digest{}),
		"less data":           check(data[:verity.BlockSize], hashes, root),
	} {
		if !errors.Is(err, verity.ErrMismatch) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	if err := check(data, hashes[:len(hashes)-1], root); err == nil || !strings.Contains(err.Error(), "the tree ends") {
		t.Errorf("a tree that is cut off: %v", err)
	}
}

func TestBadSuperblocks(t *testing.T) {
	_, hashes := made(t, make([]byte, 4096), options())
	for complaint, change := range map[string]func(b []byte) []byte{
		"EOF":               func(b []byte) []byte { return b[:511] },
		"there is none":     func(b []byte) []byte { b[0] = 'V'; return b },
		"version 2":         func(b []byte) []byte { b[8] = 2; return b },
		"of format 0":       func(b []byte) []byte { b[12] = 0; return b },
		`hash "sha25"`:      func(b []byte) []byte { b[37] = 0; return b },
		"blocks of 4096 an": func(b []byte) []byte { b[69] = 1; return b },
		"a salt of 544":     func(b []byte) []byte { b[81] = 2; return b },
		" blocks of data":   func(b []byte) []byte { b[79] = 0xFF; return b },
		"0 blocks":          func(b []byte) []byte { clear(b[72:80]); return b },
	} {
		if _, err := verity.Read(bytes.NewReader(change(bytes.Clone(hashes)))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func FuzzRead(f *testing.F) {
	_, hashes := made(f, make([]byte, 4096), options())
	f.Add(hashes[:512])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := verity.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// Where the data is small, its tree is one that can be read.
		if s.DataSize > 1<<20 {
			return
		}
		_, hashes := made(t, make([]byte, s.DataSize), s.Options)
		again, err := verity.Read(bytes.NewReader(hashes))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
			t.Fatalf("%+v, %v; want %+v", again, err, s)
		}
	})
}

func TestVeritysetup(t *testing.T) {
	if _, err := exec.LookPath("veritysetup"); err != nil {
		t.Skip(err)
	}
	for _, blocks := range []int{1, 2, 128, 129, 16384, 16385, 40_000} {
		for _, o := range []verity.Options{options(), {UUID: options().UUID}} {
			dir := t.TempDir()
			dataPath, hashPath := filepath.Join(dir, "data"), filepath.Join(dir, "hashes")
			data := treetest.Random(uint64(blocks), blocks*verity.BlockSize)
			if blocks > 2 {
				clear(data[4096 : len(data)/2])
			}
			if err := os.WriteFile(dataPath, data, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(hashPath)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			root, _, err := verity.Write(t.Context(), bytes.NewReader(data), int64(len(data)), f, o)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "veritysetup", "verify", dataPath, hashPath, hex.EncodeToString(root[:])).CombinedOutput(); err != nil {
				t.Errorf("%d blocks: veritysetup verify: %v\n%s", blocks, err, out)
			}
			compareWithVeritysetup(t, dir, hashPath, root, o)
		}
	}
}

// compareWithVeritysetup lets veritysetup make a tree of the same data.
func compareWithVeritysetup(t *testing.T, dir, ours string, root verity.Digest, o verity.Options) {
	t.Helper()
	salt := hex.EncodeToString(o.Salt)
	if salt == "" {
		salt = "-"
	}
	h := hex.EncodeToString(o.UUID[:])
	uuid := strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	theirs := filepath.Join(dir, "theirs")
	out, err := exec.CommandContext(t.Context(), "veritysetup", "format", "--salt", salt, "--uuid", uuid, filepath.Join(dir, "data"), theirs).CombinedOutput()
	if err != nil {
		t.Fatalf("veritysetup format: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), hex.EncodeToString(root[:])) {
		t.Errorf("veritysetup has another root hash than %x:\n%s", root, out)
	}
	want, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	// Theirs has the superblock's UUID in the same form, so that all is equal.
	if !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00")) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("veritysetup writes %d bytes and not %d, and another one at %d", len(want), len(got), i)
				break
			}
		}
	}
}

func BenchmarkAgainstVeritysetup(b *testing.B) {
	if _, err := exec.LookPath("veritysetup"); err != nil {
		b.Skip(err)
	}
	dir := b.TempDir()
	dataPath := filepath.Join(dir, "data")
	if err := os.WriteFile(dataPath, treetest.Random(1, 256<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			data, err := os.Open(dataPath)
			if err != nil {
				b.Fatal(err)
			}
			f, err := os.Create(filepath.Join(b.TempDir(), "hashes"))
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := verity.Write(b.Context(), data, 256<<20, f, options()); err != nil {
				b.Fatal(err)
			}
			data.Close()
			f.Close()
		}
	})
	b.Run("veritysetup", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.CommandContext(b.Context(), "veritysetup", "format", dataPath, filepath.Join(b.TempDir(), "hashes")).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
	})
}
