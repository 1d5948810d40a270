package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/tree"
)

// everything asks a part for all that it can tell. Parts may not be readable, but
// that is told, and takes no longer than a moment.
func everything(t *testing.T, p *inspect.Part) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	parts, large := 0, false
	p.All(func(_ []string, q *inspect.Part) bool { // such as a disk in an image that has no bytes of it
		large = large || q.Size > 64<<20
		return true
	})
	if large {
		return
	}
	p.All(func(_ []string, q *inspect.Part) bool {
		if parts++; parts > 5000 {
			t.Fatal("there are too many parts")
		}
		if q.Format == "" {
			t.Errorf("a part has no format: %+v", q)
		}
		if q.HasBytes() && q.Size >= 0 && q.Size < 1<<20 {
			_, _ = q.Digest(ctx) // a disk in an image may say to be longer than there are bytes
		}
		if tr, err := q.Tree(ctx); err == nil {
			var b bytes.Buffer
			if err := tree.WriteManifest(&b, tr); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	if _, err := p.Verify(ctx); err != nil {
		t.Error(err)
	}
	if _, err := inspect.DiffAll(ctx, p, p); err != nil && ctx.Err() != nil {
		t.Error(err)
	}
}

// Whatever a file has, asking for everything ends.
func FuzzOpenAt(f *testing.F) {
	d := newDisk(f)
	raw, err := os.ReadFile(d.path)
	must(f, err)
	f.Add(raw[:1<<20+20<<10], uint16(0))
	f.Add(raw[d.start["hashes"]:d.start["hashes"]+8192], uint16(0))
	for name, path := range images(f, rootTree(f)) {
		if name == "oci" {
			continue
		}
		b, err := os.ReadFile(path)
		must(f, err)
		f.Add(b[:min(len(b), 40<<10)], uint16(len(b)>>12))
	}
	f.Add(initrd(f, "x", compress.Zstd), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, more uint16) {
		b = append(bytes.Clone(b), make([]byte, int(more)*16)...)
		everything(t, inspect.OpenAt(t.Context(), bytes.NewReader(b), int64(len(b))))
	})
}

// A directory may say anything to be an OCI layout.
func FuzzLayout(f *testing.F) {
	dir := images(f, rootTree(f))["oci"]
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	must(f, err)
	var documents [][]byte
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs/sha256"))
	must(f, err)
	for _, blob := range blobs {
		b, err := os.ReadFile(filepath.Join(dir, "blobs/sha256", blob.Name()))
		must(f, err)
		if json.Valid(b) {
			documents = append(documents, b)
		}
	}
	f.Add(index, documents[0], documents[1])
	f.Add(index, documents[1], documents[0])
	// The blobs have the names of the good ones, so that what refers to them finds
	// them; their digests are told to be wrong.
	f.Fuzz(func(t *testing.T, index, first, second []byte) {
		layout := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(layout, "blobs/sha256"), 0o755))
		must(t, os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
		must(t, os.WriteFile(filepath.Join(layout, "index.json"), index, 0o644))
		for i, blob := range blobs {
			must(t, os.WriteFile(filepath.Join(layout, "blobs/sha256", blob.Name()), [][]byte{first, second, nil}[i%3], 0o644))
		}
		file, err := inspect.Open(t.Context(), layout)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		everything(t, file.Part)
	})
}

// Frames of zstd that follow each other are parted where they end, by our reader
// of their headers, whatever the encoder's settings are.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("text"), uint8(0))
	f.Add(bytes.Repeat([]byte("text"), 100_000), uint8(3))
	f.Fuzz(func(t *testing.T, content []byte, settings uint8) {
		var b tree.Builder
		must(t, b.Set("", tree.Inode{Mode: tree.Directory | 0o755}))
		must(t, b.Add("file", tree.Inode{Mode: tree.Regular | 0o644, Size: int64(len(content)), Content: tree.Bytes(content)}))
		var archive bytes.Buffer
		for _, name := range []string{"first", "second"} {
			z, err := zstd.NewWriter(&archive, zstd.WithEncoderCRC(settings&1 != 0), zstd.WithSingleSegment(settings&2 != 0), zstd.WithEncoderLevel(zstd.SpeedFastest))
			must(t, err)
			_, err = z.Write(initrd(t, name, nil))
			must(t, err)
			_, err = z.Write(append([]byte{0, 0, 0, 0}, initrdOf(t, freeze(t, &b), nil)...))
			must(t, err)
			must(t, z.Close())
			archive.Write(make([]byte, settings>>2))
		}
		p := inspect.OpenAt(t.Context(), bytes.NewReader(archive.Bytes()), int64(archive.Len()))
		tr, err := p.Tree(t.Context())
		must(t, err)
		n, err := tr.Resolve("file")
		must(t, err)
		r, err := n.Open()
		must(t, err)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, content) || tr.Len() != 4 {
			t.Errorf("%d bytes, %v, %d paths", len(got), err, tr.Len())
		}
		must(t, r.Close())
	})
}

func TestNothingOfAnyFormat(t *testing.T) {
	for name, content := range map[string]string{"data": "nothing that is known", "lock": "# samebits lock v1\n", "elf": "\x7fELF\x02", "vmdk": "KDMV"} {
		p := open(t, file(t, "f", func(f *os.File) error { _, err := f.WriteString(content); return err }))
		if p.Format != name || p.HasTree() || (name == "lock") != (p.Problem != nil && strings.Contains(p.Problem.Error(), "lock inspect")) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
