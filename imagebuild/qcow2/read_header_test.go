package qcow2_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/qcow2"
)

func header(t *testing.T, path string) *qcow2.Header {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := qcow2.ReadHeader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHeaderIsWhatWasWritten(t *testing.T) {
	for _, kind := range kinds {
		h := header(t, image(t, bytes.NewReader(make([]byte, 1<<20)), 1<<20, kind).Name())
		want := qcow2.Header{Version: 3, Size: 1 << 20, ClusterSize: 64 << 10, RefcountBits: 16, Compression: max(kind, qcow2.Deflate)}
		if *h != want {
			t.Errorf("%s: %+v", kind, h)
		}
	}
}

// What qemu-img makes, also what Open refuses, is as it says itself.
func TestHeadersOfQEMU(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	qemuImg(t, "create", "-f", "raw", base, "10M")
	for name, options := range map[string][]string{
		"old":      {"-o", "compat=0.10"},
		"small":    {"-o", "cluster_size=4096,refcount_bits=1"},
		"zstd":     {"-o", "compression_type=zstd"},
		"backed":   {"-b", base, "-F", "raw"},
		"extended": {"-o", "extended_l2=on,cluster_size=128k"},
	} {
		path := filepath.Join(dir, name)
		qemuImg(t, append(append([]string{"create", "-q", "-f", "qcow2"}, options...), path, "10M")...)
		h := header(t, path)
		var said struct {
			Size    int64  `json:"virtual-size"`
			Cluster int    `json:"cluster-size"`
			Backing string `json:"backing-filename"`
			Special struct {
				Data struct {
					Compat      string
					Refcounts   int    `json:"refcount-bits"`
					Compression string `json:"compression-type"`
					Extended    bool   `json:"extended-l2"`
				}
			} `json:"format-specific"`
		}
		if err := json.Unmarshal([]byte(qemuImg(t, "info", "--output=json", path)), &said); err != nil {
			t.Fatal(err)
		}
		d := said.Special.Data
		if h.Size != said.Size || h.ClusterSize != said.Cluster || h.BackingFile != said.Backing || h.RefcountBits != d.Refcounts && h.Version > 2 ||
			h.Compression.String() != d.Compression || h.Extended != d.Extended || (h.Version == 2) != (d.Compat == "0.10") {
			t.Errorf("%s: %+v, and qemu-img says %+v", name, h, said)
		}
	}
}

func TestHeaderRefuses(t *testing.T) {
	path := image(t, bytes.NewReader(make([]byte, 1<<20)), 1<<20, qcow2.Deflate).Name()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"nothing":    {func([]byte) []byte { return nil }, "EOF"},
		"no magic":   {func(b []byte) []byte { b[0] = 'q'; return b }, "it does not begin as one"},
		"version 4":  {func(b []byte) []byte { b[7] = 4; return b }, "it does not begin as one"},
		"clusters":   {func(b []byte) []byte { b[23] = 60; return b }, "2^60"},
		"a huge one": {func(b []byte) []byte { b[24] = 0xFF; return b }, "a disk of"},
		"a name":     {func(b []byte) []byte { b[9], b[18] = 1, 0xFF; return b }, "a backing file"},
		"counts":     {func(b []byte) []byte { b[99] = 9; return b }, "2^9 bits"},
	} {
		b := c.change(bytes.Clone(good))
		if _, err := qcow2.ReadHeader(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, kind := range kinds {
		raw, err := os.ReadFile(image(f, bytes.NewReader(make([]byte, 1<<20)), 1<<20, kind).Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:2000])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := qcow2.ReadHeader(bytes.NewReader(b), int64(len(b)))
		if err == nil && (h.Size < 0 || h.ClusterSize < 512 || len(h.BackingFile) > 1023 || h.RefcountBits > 64) {
			t.Errorf("%+v", h)
		}
	})
}
