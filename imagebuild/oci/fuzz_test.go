package oci_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tree"
)

// FuzzDocuments reads layouts whose index, manifest and configuration are
// anything. @C and @M stand for where the digest and size of the configuration
// and of the manifest would be, so that what is changed is met behind them.
func FuzzDocuments(f *testing.F) {
	const (
		index    = `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",@M}]}`
		manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",@C},"layers":[]}`
		config   = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`
	)
	f.Add(index, manifest, config)
	f.Add(strings.Replace(index, "manifest.v1", "index.v1", 1), index, config)
	f.Add(index, strings.Replace(manifest, "[]", `[{"mediaType":"application/vnd.oci.image.layer.v1.tar",@C}]`, 1), strings.Replace(config, "[]", `["sha256:../../x"]`, 1))
	path := f.TempDir()
	if err := os.MkdirAll(path+"/blobs/sha256", 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, index, manifest, config string) {
		path := filepath.Join(path, fmt.Sprint(os.Getpid()))
		if err := os.MkdirAll(path+"/blobs/sha256", 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		blob := func(text string) string {
			hex := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
			put("blobs/sha256/"+hex, text)
			return fmt.Sprintf(`"digest":"sha256:%s","size":%d`, hex, len(text))
		}
		manifest = strings.ReplaceAll(manifest, "@C", blob(config))
		put("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
		put("index.json", strings.ReplaceAll(index, "@M", blob(manifest)))
		_, got, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
		if err == nil && got.Len() == 0 {
			t.Error("a tree without a root")
		}
		// What validates can be read, if it is one image.
		if valid := oci.Validate(path); valid == nil && err != nil && !strings.Contains(err.Error(), "images fit") {
			t.Errorf("it validates, and cannot be read: %v", err)
		}
	})
}
