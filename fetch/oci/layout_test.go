package oci_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
)

func pushLayout(t *testing.T, dir, tag string, sets ...fetch.Set) {
	t.Helper()
	sink, err := oci.NewLayout(dir, tag)
	if err != nil {
		t.Fatal(err)
	}
	push(t, sink, sets...)
}

// snapshot returns all files below a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		info, _ := e.Info()
		out[strings.TrimPrefix(p, dir)] = info.Mode().String() + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The same locks give the same bytes, in whatever order they are named and
// however often.
func TestLayoutIsDeterministic(t *testing.T) {
	one, two := set("amd64", fetchtest.Packages(30, "amd64")), set("arm64", fetchtest.Packages(30, "arm64"))
	a, b := t.TempDir(), t.TempDir()
	pushLayout(t, a, "v1", one, two)
	pushLayout(t, b, "v1", two, one)
	pushLayout(t, b, "v1", one, two, one)
	first, second := snapshot(t, a), snapshot(t, b)
	if len(first) != 60+2+1+2+1+2 { // files, locks, configuration, manifests, index; oci-layout and index.json
		t.Errorf("the layout has %d files", len(first))
	}
	for name, data := range first {
		if second[name] != data {
			t.Errorf("%s differs", name)
		}
	}
	if len(second) != len(first) {
		t.Errorf("%d files, then %d", len(first), len(second))
	}
}

// The manifest of a lock is fixed for ever: another digest would send all
// artifacts anew and break what refers to them.
func TestManifestIsGolden(t *testing.T) {
	dir := t.TempDir()
	pushLayout(t, dir, "v1", set("amd64", map[string][]byte{"pool/a/a_1_amd64.deb": []byte("a"), "b-1-x86_64.pkg.tar.zst": []byte("b")}))
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:5d1c3b716ba8e9e35b74794ee808924a5f209c890192efc337ccc0f3554ee09e","size":1009,"annotations":{"org.opencontainers.image.ref.name":"v1"},"platform":{"architecture":"amd64","os":"linux"}}]}`
	if string(data) != want {
		t.Errorf("index.json is\n%s\nwant\n%s", data, want)
	}
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(filepath.Join(dir, "blobs/sha256", index.Manifests[0].Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range m.Layers {
		got = append(got, l.Annotations[v1.AnnotationTitle]+" "+l.MediaType)
	}
	wantLayers := "SHA256SUMS application/vnd.samebits.lock.v1.sha256sums; b-1-x86_64.pkg.tar.zst application/zstd; pool/a/a_1_amd64.deb application/vnd.debian.binary-package"
	if strings.Join(got, "; ") != wantLayers || m.Config.MediaType != v1.MediaTypeEmptyJSON || m.ArtifactType != oci.ArtifactType || m.Annotations[v1.AnnotationCreated] != "2026-11-15T09:12:33Z" {
		t.Errorf("the manifest is %s", data)
	}
}

// A layout holds several tags; each is replaced alone.
func TestLayoutTags(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "layout")
	old, now := set("amd64", fetchtest.Packages(2, "amd64")), set("amd64", fetchtest.Packages(3, "amd64"))
	pushLayout(t, dir, "v1", old)
	pushLayout(t, dir, "v2", old)
	pushLayout(t, dir, "v1", now)
	for tag, want := range map[string]fetch.Set{"v1": now, "v2": old} {
		sameLocks(t, []fetch.Set{want})(oci.PullLayout(context.Background(), dir, tag))
	}
	for tag, want := range map[string]string{"v3": "v3", "": "2 artifacts"} {
		_, err := oci.PullLayout(context.Background(), dir, tag)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrNotExist) != (tag != "") {
			t.Errorf("tag %q: error %v", tag, err)
		}
	}
	alone := t.TempDir()
	pushLayout(t, alone, "", now)
	pushLayout(t, alone, "", now)
	sameLocks(t, []fetch.Set{now})(oci.PullLayout(context.Background(), alone, ""))
}

func TestLayoutRefusesOtherThings(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "holiday.jpg"), "x")
	if _, err := oci.NewLayout(dir, "v1"); err == nil || !strings.Contains(err.Error(), "not an OCI image layout") {
		t.Errorf("a directory with other things: %v", err)
	}
	if _, err := oci.NewLayout(t.TempDir(), "a b"); err == nil {
		t.Error("a bad tag is taken")
	}
	if _, err := oci.PullLayout(context.Background(), t.TempDir(), "v1"); err == nil {
		t.Error("an empty directory is taken for a layout")
	}
	names := set("amd64", map[string][]byte{"SHA256SUMS": []byte("x")})
	sink, err := oci.NewLayout(t.TempDir(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fetch.Push(context.Background(), sink, []fetch.Set{names}, fetch.Pushing{}); !fetch.IsPermanent(err) {
		t.Errorf("a lock that names SHA256SUMS: %v", err)
	}
}

// Blobs that were damaged on disk are found and, when pushed again, mended.
func TestLayoutDamage(t *testing.T) {
	dir := t.TempDir()
	s := set("amd64", fetchtest.Packages(3, "amd64"))
	pushLayout(t, dir, "v1", s)
	damage := func(d lockfile.Digest) {
		writeFile(t, filepath.Join(dir, "blobs/sha256", d.String()), "damaged")
	}
	damage(s.Lock.Entries[0].Digest)
	sink, err := oci.NewLayout(dir, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if r := push(t, sink, s); r.Sent != 1 || r.Present != 2 {
		t.Errorf("report %+v", r)
	}
	damage(lockfile.DigestOf(s.Lock.Format()))
	if _, err := oci.PullLayout(context.Background(), dir, "v1"); !errors.As(err, new(*lockfile.DigestError)) {
		t.Errorf("a damaged lock: %v", err)
	}
}

// Bytes that are not what their digest says leave nothing behind.
func TestLayoutWrongBytes(t *testing.T) {
	dir := t.TempDir()
	sink, err := oci.NewLayout(dir, "v1")
	if err != nil {
		t.Fatal(err)
	}
	before := len(snapshot(t, dir))
	s := set("amd64", map[string][]byte{"a": []byte("a"), "b": []byte("b")})
	s.Files[0].Open = s.Files[1].Open
	if _, err := sink.Put(context.Background(), s.Files[0]); !errors.As(err, new(*lockfile.DigestError)) || !fetch.IsPermanent(err) {
		t.Errorf("error %v, want a permanent one of the digest", err)
	}
	if after := snapshot(t, dir); len(after) != before {
		t.Errorf("the layout has %d files", len(after))
	}
}
