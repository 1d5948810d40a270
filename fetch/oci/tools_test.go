package oci_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
	layouts "oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/oci"
)

// run runs a program and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not installed")
	}
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// sumsRight lets sha256sum check all files of a lock in a directory.
func sumsRight(t *testing.T, dir string, files int) {
	t.Helper()
	cmd := exec.Command("sha256sum", "--strict", "-c", "SHA256SUMS")
	cmd.Dir = dir
	out, err := cmd.Output()
	if n := strings.Count(string(out), ": OK\n"); err != nil || n != files {
		t.Errorf("sha256sum -c: %v, %d files are right, want %d", err, n, files)
	}
}

// twoLocks are locks of 20 and of 100 packages for two architectures, with the
// layout and the registry that they were pushed to.
func twoLocks(t *testing.T) (sets []fetch.Set, layout string, published oci.Reference, c *oci.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("copies some 100 MB")
	}
	sets = []fetch.Set{set("amd64", fetchtest.Packages(20, "amd64")), set("armhf", fetchtest.Packages(100, "armhf"))}
	layout = t.TempDir()
	sink, err := oci.NewLayout(layout, "v1")
	if err != nil {
		t.Fatal(err)
	}
	push(t, sink, sets...)
	c = newClient(t, "")
	registry := newSink(t, c, "oci://"+realRegistry(t, "")+"/team/packages:v1")
	push(t, registry, sets...)
	return sets, layout, registry.Published(), c
}

// skopeo copies what was pushed, from a registry and from a layout, to both.
// The digest stays, and the locks come out of each copy as they went in.
func TestSkopeo(t *testing.T) {
	sets, layout, published, c := twoLocks(t)
	docker := "docker://" + published.Host + "/" + published.Repository + ":v1"
	for name, from := range map[string]string{"registry": docker, "layout": "oci:" + layout + ":v1"} {
		t.Run(name, func(t *testing.T) {
			raw := run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", from)
			var index v1.Index
			if err := json.Unmarshal([]byte(raw), &index); err != nil || len(index.Manifests) != 2 {
				t.Fatalf("%v in %s", err, raw)
			}
			if p := index.Manifests[1].Platform; p == nil || p.OS != "linux" || p.Architecture != "arm" || p.Variant != "v7" {
				t.Errorf("armhf has the platform %+v", p)
			}
			folder := filepath.Join(t.TempDir(), "copy")
			run(t, "skopeo", "copy", "--all", "--preserve-digests", "--preserve-digests", "--src-tls-verify=false", from, "oci:"+folder+":again")
			sameLocks(t, sets)(oci.PullLayout(context.Background(), folder, "again"))

			there := published
			there.Repository, there.Tag = "copy/of/"+name, ""
			run(t, "skopeo", "copy", "--all", "--preserve-digests", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", from, "docker://"+there.Host+"/"+there.Repository+":v1")
			sameLocks(t, sets)(c.Pull(context.Background(), there.String()))
		})
	}
}

func sameLocks(t *testing.T, sets []fetch.Set) func([]oci.Pulled, error) {
	return func(got []oci.Pulled, err error) {
		t.Helper()
		if err != nil || len(got) != len(sets) {
			t.Fatalf("%d locks, error %v, want %d", len(got), err, len(sets))
		}
		for i, p := range got {
			if !bytes.Equal(p.Data, sets[i].Lock.Format()) {
				t.Errorf("lock %d is %q", i, p.Data)
			}
		}
	}
}

// What oras pulls is the files at their locked paths beside the lock, so that
// sha256sum accepts them.
func TestOras(t *testing.T) {
	_, layout, published, _ := twoLocks(t)
	ctx := context.Background()
	repo, err := remote.NewRepository(published.Host + "/" + published.Repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	local, err := layouts.NewFromFS(ctx, os.DirFS(layout))
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]oras.ReadOnlyTarget{"registry": repo, "layout": local} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			to, err := file.New(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			options := oras.DefaultCopyOptions
			options.WithTargetPlatform(&v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})
			d, err := oras.Copy(ctx, from, "v1", to, "v1", options)
			if err != nil {
				t.Fatal(err)
			}
			if d.MediaType != v1.MediaTypeImageManifest || d.Platform == nil {
				t.Errorf("pulled %+v", d)
			}
			sumsRight(t, folder, 100)
		})
	}
}
