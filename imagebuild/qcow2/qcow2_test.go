package qcow2_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

const cluster = 64 << 10

var kinds = map[string]qcow2.Compression{"none": qcow2.None, "deflate": qcow2.Deflate, "zstd": qcow2.Zstd}

// sample is a disk with zeros, what compresses and what does not.
func sample() []byte {
	disk := make([]byte, 40*cluster+512)
	copy(disk[cluster:], bytes.Repeat([]byte("all work and no play. "), 10_000))
	copy(disk[10*cluster:], treetest.Random(1, 3*cluster))
	disk[20*cluster-1] = 1
	copy(disk[30*cluster:], bytes.Repeat([]byte("line\n"), 60_000))
	disk[len(disk)-1] = 7
	return disk
}

// image writes a disk to a file.
func image(t testing.TB, disk io.ReaderAt, size int64, kind qcow2.Compression) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	n, err := qcow2.Write(t.Context(), disk, size, f, qcow2.Options{Compression: kind})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != n {
		t.Fatalf("the image has %d bytes, and %d were told: %v", info.Size(), n, err)
	}
	return f
}

func TestGolden(t *testing.T) {
	golden := map[string]string{
		"none":    "b1d19a4bb73b5ac3735e4d96b628b29e7393a05c57cdfca95de76d6caaa0eac7",
		"deflate": "39fc21070e7a1a151b521c43b32d4e4c668571927be844191b0d347d8524a5c3",
		"zstd":    "b699d4389e9e2b700a131613e0f79607e586cd4c9ac18613c4805e7a8740ff6e",
	}
	for name, kind := range kinds {
		for _, cpus := range []int{1, 2, 8} {
			before := runtime.GOMAXPROCS(cpus)
			f := image(t, bytes.NewReader(sample()), int64(len(sample())), kind)
			runtime.GOMAXPROCS(before)
			raw, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != golden[name] {
				t.Errorf("%s on %d CPUs: the image has the digest %x", name, cpus, sum)
			}
		}
	}
}

func TestWhatIsReadIsTheDisk(t *testing.T) {
	disk := sample()
	for name, kind := range kinds {
		f := image(t, bytes.NewReader(disk), int64(len(disk)), kind)
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		m, err := qcow2.Open(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size))
		if err != nil || !bytes.Equal(got, disk) {
			t.Errorf("%s: the disk is another: %v", name, err)
		}
		part := make([]byte, 2*cluster)
		if _, err := m.ReadAt(part, cluster-5); err != nil || !bytes.Equal(part, disk[cluster-5:3*cluster-5]) {
			t.Errorf("%s: a part of the disk is another: %v", name, err)
		}
		if n, err := m.ReadAt(part, m.Size-3); n != 3 || err != io.EOF {
			t.Errorf("%s: beyond the end are %d bytes, %v", name, n, err)
		}
		if _, err := m.ReadAt(part, -1); err == nil {
			t.Error("before the beginning is something")
		}
		if kind != qcow2.None && info.Size() > 12*cluster {
			t.Errorf("%s: %d bytes are not small", name, info.Size())
		}
	}
}

// holes is a disk that may be read only where it says to have something.
type holes struct {
	t       *testing.T
	extents []tree.Extent
}

func (h *holes) Extents() []tree.Extent { return h.extents }

func (h *holes) ReadAt(p []byte, at int64) (int, error) {
	hit := false
	clear(p)
	for _, e := range h.extents {
		for i := max(e.Offset, at); i < min(e.Offset+e.Length, at+int64(len(p))); i++ {
			p[i-at], hit = 'x', true
		}
	}
	if !hit {
		h.t.Errorf("a hole at %d was read", at)
	}
	return len(p), nil
}

func TestHolesAreNotRead(t *testing.T) {
	const size = 10 << 40
	disk := &holes{t, []tree.Extent{{Offset: 5, Length: 3}, {Offset: 100, Length: 1}, {Offset: cluster - 1, Length: 2}, {Offset: 5 << 40, Length: 1}, {Offset: size - 1, Length: 1}}}
	f := image(t, disk, size, qcow2.None)
	info, err := f.Stat()
	if err != nil || info.Size() > 16<<20 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	m, err := qcow2.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range disk.extents {
		b := make([]byte, e.Length)
		if _, err := m.ReadAt(b, e.Offset); err != nil || strings.Trim(string(b), "x") != "" {
			t.Errorf("at %d is %q, %v", e.Offset, b, err)
		}
	}
	check(t, f.Name())
}

func TestWhatIsRefused(t *testing.T) {
	small := bytes.NewReader(make([]byte, 1024))
	for complaint, write := range map[string]func() error{
		"a disk of 0 bytes":    func() error { return failure(t.Context(), small, 0, 0) },
		"a disk of 1000 bytes": func() error { return failure(t.Context(), small, 1000, 0) },
		"a disk of 2305843009": func() error { return failure(t.Context(), small, 1<<61, 0) },
		"no such compression":  func() error { return failure(t.Context(), small, 1024, 2) },
		"ends at byte 1024":    func() error { return failure(t.Context(), small, 2048, 0) },
	} {
		if err := write(); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failure(ctx, small, 1024, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	disk := sample()
	for room := range int64(6) {
		w := &full{room}
		if _, err := qcow2.Write(t.Context(), bytes.NewReader(disk), int64(len(disk)), w, qcow2.Options{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("after %d writes the disk is full: %v", room, err)
		}
	}
}

func failure(ctx context.Context, disk io.ReaderAt, size int64, kind qcow2.Compression) error {
	_, err := qcow2.Write(ctx, disk, size, &full{1 << 40}, qcow2.Options{Compression: kind})
	return err
}

type full struct{ room int64 }

func (f *full) WriteAt(p []byte, _ int64) (int, error) {
	if f.room--; f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestBadImages(t *testing.T) {
	disk := sample()
	raw, err := os.ReadFile(image(t, bytes.NewReader(disk), int64(len(disk)), qcow2.Zstd).Name())
	if err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	for complaint, change := range map[string]func(b []byte) []byte{
		"EOF":                        func(b []byte) []byte { return b[:60] },
		"does not begin":             func(b []byte) []byte { b[0] = 0; return b },
		"of version 2 or 3":          func(b []byte) []byte { b[7] = 4; return b },
		"a backing file":             func(b []byte) []byte { b[15] = 1; return b },
		"encrypted":                  func(b []byte) []byte { b[35] = 1; return b },
		"snapshots":                  func(b []byte) []byte { b[63] = 1; return b },
		"not known: 0xc":             func(b []byte) []byte { b[79] = 12; return b },
		"compression 9 is not":       func(b []byte) []byte { b[104] = 9; return b },
		"have 2^8 bytes":             func(b []byte) []byte { b[23] = 8; return b },
		"have 2^22 bytes":            func(b []byte) []byte { b[23] = 22; return b },
		"is not for":                 func(b []byte) []byte { b[24] = 1; return b },
		"of 4294967295 entries":      func(b []byte) []byte { be.PutUint32(b[36:], 1<<32-1); return b },
		"a table at byte 1099511627": func(b []byte) []byte { be.PutUint64(b[40:], 1<<40); return b },
	} {
		bad := change(bytes.Clone(raw))
		if _, err := qcow2.Open(bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	// A table, and a compressed cluster, that are elsewhere.
	l2 := int64(be.Uint64(raw[cluster:]) &^ (1 << 63))
	for complaint, change := range map[string]func(b []byte){
		"a table at":      func(b []byte) { b[cluster+2] = 1 },
		"its data at":     func(b []byte) { b[l2+8+2] = 1 },
		"invalid":         func(b []byte) { clear(b[2*cluster : 3*cluster]) },
		"magic number mi": func(b []byte) { clear(b[2*cluster : 3*cluster]) },
	} {
		bad := bytes.Clone(raw)
		change(bad)
		m, err := qcow2.Open(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size)); err == nil || !strings.Contains(err.Error(), "byte 65536 of the disk") && !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// Whatever an image says, reading it ends, and reads what its size says.
func FuzzOpen(f *testing.F) {
	disk := make([]byte, 1<<20)
	copy(disk[cluster:], "text")
	for _, kind := range kinds {
		raw, err := os.ReadFile(image(f, bytes.NewReader(disk), int64(len(disk)), kind).Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:112], raw[cluster:cluster+16], raw[2*cluster:2*cluster+64])
	}
	f.Fuzz(func(t *testing.T, header, l1, rest []byte) {
		b := make([]byte, 4*cluster)
		copy(b, header)
		copy(b[cluster:], l1)
		copy(b[2*cluster:], rest)
		m, err := qcow2.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil || m.Size > 16<<20 {
			return
		}
		got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size))
		if err == nil && int64(len(got)) != m.Size {
			t.Fatalf("%d bytes of %d", len(got), m.Size)
		}
	})
}

// qemuImg runs it.
func qemuImg(t testing.TB, argv ...string) string {
	t.Helper()
	path, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Skip(err)
	}
	out, err := exec.CommandContext(t.Context(), path, argv...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %s: %v\n%s", argv, err, out)
	}
	return string(out)
}

func check(t testing.TB, path string) {
	t.Helper()
	if out := qemuImg(t, "check", "-f", "qcow2", path); !strings.Contains(out, "No errors were found") {
		t.Errorf("qemu-img check says %s", out)
	}
}

func TestQemuReadsIt(t *testing.T) {
	large := bytes.Repeat(append(treetest.Random(4, 300_000), make([]byte, 900_000)...), 60)
	large = large[:len(large)/512*512]
	// What repeats is farther back than QEMU's window.
	far := bytes.Repeat(treetest.Random(5, 10_240), 50)
	for _, disk := range [][]byte{sample(), make([]byte, 512), large, far} {
		raw := filepath.Join(t.TempDir(), "raw")
		if err := os.WriteFile(raw, disk, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, kind := range kinds {
			f := image(t, bytes.NewReader(disk), int64(len(disk)), kind)
			check(t, f.Name())
			if out := qemuImg(t, "compare", "-f", "raw", "-F", "qcow2", raw, f.Name()); !strings.Contains(out, "Images are identical") {
				t.Errorf("%s: %s", name, out)
			}
			if out := qemuImg(t, "info", f.Name()); name == "zstd" && !strings.Contains(out, "compression type: zstd") {
				t.Errorf("qemu-img info says %s", out)
			}
		}
	}
}

func TestImagesOfQemuAreRead(t *testing.T) {
	disk := sample()
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{"-o", "compat=0.10"}, {"-c"}, {"-c", "-o", "compression_type=zstd,cluster_size=512"}, {"-c", "-o", "cluster_size=2M"}, {"-o", "cluster_size=4k,lazy_refcounts=on"}} {
		path := filepath.Join(t.TempDir(), "theirs")
		qemuImg(t, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, argv...), raw, path)...)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := qcow2.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", argv, err)
			continue
		}
		if got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size)); err != nil || !bytes.Equal(got, disk) {
			t.Errorf("%s: the disk is another: %v", argv, err)
		}
	}
}

// QEMU marks clusters that were written and then made zeros.
func TestZeroClustersAreRead(t *testing.T) {
	tool, err := exec.LookPath("qemu-io")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "theirs")
	qemuImg(t, "create", "-q", "-f", "qcow2", path, "1M")
	if out, err := exec.CommandContext(t.Context(), tool, "-c", "write -P 7 0 256k", "-c", "write -z 64k 64k", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := qcow2.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 1<<20)
	for i := range 256 << 10 {
		if i < 64<<10 || i >= 128<<10 {
			want[i] = 7
		}
	}
	if got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the disk is another: %v", err)
	}
}

func BenchmarkAgainstQemuImg(b *testing.B) {
	raw := filepath.Join(b.TempDir(), "raw")
	disk := bytes.Repeat(append(treetest.Random(4, 1<<20), bytes.Repeat([]byte("some text that repeats "), 100_000)...), 80)
	disk = disk[:len(disk)/512*512]
	if err := os.WriteFile(raw, disk, 0o600); err != nil {
		b.Fatal(err)
	}
	for name, kind := range kinds {
		b.Run("ours/"+name, func(b *testing.B) {
			for b.Loop() {
				f, err := os.Open(raw)
				if err != nil {
					b.Fatal(err)
				}
				image(b, f, int64(len(disk)), kind)
				f.Close()
			}
		})
		b.Run("qemu-img/"+name, func(b *testing.B) {
			argv := map[string][]string{"none": nil, "deflate": {"-c"}, "zstd": {"-c", "-o", "compression_type=zstd"}}[name]
			for b.Loop() {
				qemuImg(b, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, argv...), raw, filepath.Join(b.TempDir(), "theirs"))...)
			}
		})
	}
}
