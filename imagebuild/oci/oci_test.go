package oci_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// archive is how layers are packed.
var archive = oci.Archive{
	Write: func(ctx context.Context, w io.Writer, t *tree.Tree) error { return tar.Write(ctx, w, t, tar.Options{}) },
	Read: func(ctx context.Context, r io.Reader, store tree.Store) (*tree.Tree, error) {
		return tar.Read(ctx, r, store, tar.Limits{})
	},
}

func amd64(layers ...*tree.Tree) oci.Image {
	image := oci.Image{
		Platform: oci.Platform{OS: "linux", Architecture: "amd64"},
		Config: oci.Config{
			User: "1000:1000", Env: []string{"PATH=/bin", "B=<&>"}, Entrypoint: []string{"/bin/app"}, Cmd: []string{"--serve"}, WorkingDir: "/srv",
			ExposedPorts: []string{"80/tcp", "443/tcp"}, Volumes: []string{"/data"}, StopSignal: "SIGTERM",
			Labels: map[string]string{"z": "last", "a": "first"},
		},
		Author: "someone", Created: tree.Time{Sec: 1772323200, Nsec: 5}, Annotations: map[string]string{"org.example.note": "n"},
	}
	for i, layer := range layers {
		image.Layers = append(image.Layers, oci.Layer{Tree: layer, CreatedBy: fmt.Sprint("layer ", i)})
	}
	return image
}

// goldens are the digests of manifests and indexes of the odd tree.
var goldens = map[string]string{
	"none":  "sha256:d90f0e07d15d99b28f5df31a2b08d3c5105eee8a986b87a4f59c72bf7effbadc",
	"gzip":  "sha256:c3f15dc4666619efac8073bd1303fa4475b661f9cb1d2d31c7b57fb2dff5b945",
	"zstd":  "sha256:118fb84af34e982d21a41db6080de2c8b8a2c7d1abca939e57b7ad927283c248",
	"index": "sha256:2acba1f8a1921758c9e25145da436bf9579b79a11c1eae909c4230bf26b53967",
}

func write(t testing.TB, images []oci.Image, o oci.Options) (string, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layout")
	o.Archive = archive
	d, err := oci.Write(t.Context(), path, images, o)
	if err != nil {
		t.Fatal(err)
	}
	return path, d.Digest.String()
}

func TestManifestDigestsAreGolden(t *testing.T) {
	cpus := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cpus)
	for _, profile := range []compress.Profile{compress.None, compress.Gzip, compress.Zstd} {
		for _, n := range []int{1, 2, 8} {
			runtime.GOMAXPROCS(n)
			path, got := write(t, []oci.Image{amd64(treetest.Odd())}, oci.Options{Compression: profile, Name: "latest"})
			if got != goldens[profile.Name()] {
				t.Errorf("%s on %d CPUs: the manifest is %s, golden is %s", profile.Name(), n, got, goldens[profile.Name()])
			}
			if err := oci.Validate(path); err != nil {
				t.Error(err)
			}
		}
	}
}

func two() []oci.Image {
	arm := amd64(treetest.Odd())
	arm.Platform = oci.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	return []oci.Image{amd64(treetest.Odd()), arm}
}

func TestIndexOfTwoPlatforms(t *testing.T) {
	path, got := write(t, two(), oci.Options{Compression: compress.Zstd, Name: "both", IndexAnnotations: map[string]string{"k": "v"}})
	if got != goldens["index"] {
		t.Errorf("the index is %s, golden is %s", got, goldens["index"])
	}
	if err := oci.Validate(path); err != nil {
		t.Error(err)
	}
	for _, p := range []oci.Platform{{Architecture: "amd64"}, {Architecture: "arm64", Variant: "v8"}} {
		image, got, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}, Name: "both", Platform: p})
		if err != nil {
			t.Fatal(err)
		}
		if image.Platform.Architecture != p.Architecture {
			t.Errorf("got %v", image.Platform)
		}
		treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds))
	}
	for _, o := range []oci.ReadOptions{{Name: "both"}, {Name: "none"}, {Platform: oci.Platform{OS: "plan9"}}} {
		o.Archive, o.Store = archive, &tree.MemoryStore{}
		if _, _, err := oci.Read(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), "images fit") {
			t.Errorf("%+v: the error is %v", o, err)
		}
	}
}

func TestImageReadsBack(t *testing.T) {
	want := amd64(treetest.Odd())
	path, _ := write(t, []oci.Image{want}, oci.Options{Compression: compress.Gzip})
	image, _, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	want.Layers, want.Created.Nsec = nil, 0
	slices.Sort(want.Config.ExposedPorts)
	if g, w := fmt.Sprintf("%+v", *image), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

func TestDocumentsAreCanonical(t *testing.T) {
	path, _ := write(t, []oci.Image{amd64()}, oci.Options{Name: "x", Annotations: map[string]string{"a": "b"}})
	index, err := os.ReadFile(path + "/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(index, &parsed); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(path + "/blobs/sha256/" + strings.TrimPrefix(parsed.Manifests[0].Digest, "sha256:"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(manifest, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	const wantConfig = `{"created":"2026-03-01T00:00:00Z","author":"someone","architecture":"amd64","os":"linux","config":{"User":"1000:1000",` +
		`"ExposedPorts":{"443/tcp":{},"80/tcp":{}},"Env":["PATH=/bin","B=<&>"],"Entrypoint":["/bin/app"],"Cmd":["--serve"],"Volumes":{"/data":{}},` +
		`"WorkingDir":"/srv","Labels":{"a":"first","z":"last"},"StopSignal":"SIGTERM"},"rootfs":{"type":"layers","diff_ids":[]}}`
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(wantConfig)))
	config, err := os.ReadFile(path + "/blobs/sha256/" + digest)
	if err != nil || string(config) != wantConfig {
		t.Errorf("the configuration is not\n%s: %v", wantConfig, err)
	}
	want := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",` +
		`"digest":"sha256:` + digest + `","size":` + fmt.Sprint(len(wantConfig)) + `},"layers":[],"annotations":{"org.example.note":"n"}}`
	if string(manifest) != want {
		t.Errorf("the manifest is\n%s, want\n%s", manifest, want)
	}
	if want := `"annotations":{"a":"b","org.opencontainers.image.ref.name":"x"},"platform":{"architecture":"amd64","os":"linux"}}]}`; !strings.HasSuffix(string(index), want) {
		t.Errorf("index.json ends not in %s:\n%s", want, index)
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	m := func(path string, n tree.Inode) *tree.Tree {
		var b tree.Builder
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
		tr, err := b.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	for complaint, images := range map[string][]oci.Image{
		"no image":                     nil,
		"without an operating system":  {{}},
		"two images for linux/amd64":   {amd64(), amd64()},
		"/.wh.x: an OCI layer cannot":  {amd64(m(".wh.x", treetest.File(0o644, "not empty")))},
		"tar cannot hold a socket":     {amd64(treetest.WithSocket())},
		"the name .wh.d, which is tha": {amd64(m(".wh.d", tree.Root))},
	} {
		_, err := oci.Write(t.Context(), filepath.Join(t.TempDir(), "new"), images, oci.Options{Archive: archive, Compression: compress.Gzip})
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	full := t.TempDir()
	if err := os.WriteFile(full+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Write(t.Context(), full, []oci.Image{amd64()}, oci.Options{Archive: archive}); err == nil || !strings.Contains(err.Error(), "must be empty") {
		t.Errorf("a full directory: %v", err)
	}
}

// Every flipped bit of a layout is found out.
func TestFlippedBitsAreFound(t *testing.T) {
	small := tree.Filter(treetest.Odd(), func(n tree.Node) bool { return strings.HasPrefix(n.Path(), "links") })
	path, _ := write(t, []oci.Image{amd64(small)}, oci.Options{Compression: compress.Gzip, Name: "x"})
	if err := oci.Validate(path); err != nil {
		t.Fatal(err)
	}
	var files []string
	if err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, p)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) != 5 {
		t.Fatalf("the layout has %q", files)
	}
	for _, file := range files {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)/3] ^= 1
		for what, bad := range map[string][]byte{"flipped": flipped, "longer": append(bytes.Clone(good), 'x'), "shorter": good[:len(good)-1]} {
			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := oci.Validate(path); err == nil {
				t.Errorf("%s is %s and validates", filepath.Base(file), what)
			}
			if filepath.Base(filepath.Dir(file)) == "sha256" {
				if _, _, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}}); err == nil {
					t.Errorf("%s is %s and can be read", filepath.Base(file), what)
				}
			}
		}
		if err := os.WriteFile(file, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path+"/blobs/sha256/more", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := oci.Validate(path); err == nil || !strings.Contains(err.Error(), "nothing leads to the blob more") {
		t.Errorf("a blob too many: %v", err)
	}
}

func TestErrorsLeaveNoIndex(t *testing.T) {
	n := treetest.File(0o644, "x")
	n.Digest = tree.Digest{1}
	var b tree.Builder
	if err := b.Add("bad", n); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new")
	if _, err := oci.Write(t.Context(), path, []oci.Image{amd64(tr)}, oci.Options{Archive: archive, Compression: compress.Zstd}); err == nil || !strings.Contains(err.Error(), "/bad: the content changed") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(path + "/index.json"); !errors.Is(err, os.ErrNotExist) {
		t.Error("there is an index.json")
	}
	if left, _ := os.ReadDir(path + "/blobs/sha256"); len(left) != 0 {
		t.Errorf("left over is %v", left)
	}
}

// liar is a compression that adds to the archive and says that it does nothing.
type liar struct{}

func (liar) Algorithm() string { return "" }

func (liar) NewWriter(w io.Writer) (io.WriteCloser, error) { return adding{w}, nil }

type adding struct{ io.Writer }

func (a adding) Close() error {
	_, err := a.Write(make([]byte, 512))
	return err
}

func TestLayersThatAreNotWhatTheConfigurationSays(t *testing.T) {
	path, _ := write(t, []oci.Image{amd64(plant(t, "file:x"))}, oci.Options{Compression: liar{}})
	if err := oci.Validate(path); err == nil || !strings.Contains(err.Error(), "layer 0: the archive is sha256:") {
		t.Errorf("the error is %v", err)
	}
	_, _, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
	if err == nil || !strings.Contains(err.Error(), "that the configuration names") {
		t.Errorf("the error is %v", err)
	}
}
