package oci_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// run runs a program that a test needs, and skips the test without it.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%.3000s", argv, err, out, complaints.String())
	}
	return string(out)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and namespaces everywhere")
	}
}

func TestSkopeoAgrees(t *testing.T) {
	for _, profile := range []compress.Profile{compress.None, compress.Gzip, compress.Zstd} {
		path, digest := write(t, []oci.Image{amd64(treetest.Odd())}, oci.Options{Compression: profile, Name: "1"})
		var told struct {
			Digest, Created, Architecture string
			Labels                        map[string]string
			Layers                        []string
		}
		if err := json.Unmarshal([]byte(run(t, "skopeo", "inspect", "oci:"+path+":1")), &told); err != nil {
			t.Fatal(err)
		}
		if told.Digest != digest || told.Created != "2026-03-01T00:00:00Z" || told.Architecture != "amd64" || told.Labels["z"] != "last" || len(told.Layers) != 1 {
			t.Errorf("skopeo tells %+v", told)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		run(t, "skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", "oci:"+path+":1", "oci:"+copied+":1")
		if err := oci.Validate(copied); err != nil {
			t.Error(err)
		}
		_, got, err := oci.Read(t.Context(), copied, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}, Name: "1"})
		if err != nil {
			t.Fatal(err)
		}
		treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds))
	}
}

func TestSkopeoCopiesAnIndex(t *testing.T) {
	path, digest := write(t, two(), oci.Options{Compression: compress.Gzip, Name: "1"})
	copied := filepath.Join(t.TempDir(), "copy")
	run(t, "skopeo", "--insecure-policy", "copy", "-q", "--all", "--preserve-digests", "oci:"+path+":1", "oci:"+copied+":1")
	index, err := os.ReadFile(copied + "/index.json")
	if err != nil || !strings.Contains(string(index), digest) {
		t.Errorf("the copy is %s, %v; want %s", index, err, digest)
	}
	if raw := run(t, "skopeo", "inspect", "--raw", "oci:"+path+":1"); !strings.Contains(raw, `"architecture":"arm64"`) {
		t.Errorf("skopeo tells %s", raw)
	}
}

func TestSkopeoReadsTheDockerArchive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := oci.WriteDocker(t.Context(), f, amd64(treetest.Odd()), "example.org/app:1", archive); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	run(t, "skopeo", "--insecure-policy", "copy", "-q", "docker-archive:"+file+":example.org/app:1", "oci:"+copied+":1")
	_, got, err := oci.Read(t.Context(), copied, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds))
}

func TestUmociUnpacksItEqually(t *testing.T) {
	needRoot(t)
	for _, profile := range []compress.Profile{compress.None, compress.Gzip} {
		path, _ := write(t, []oci.Image{amd64(treetest.Odd())}, oci.Options{Compression: profile, Name: "1"})
		bundle := filepath.Join(t.TempDir(), "bundle")
		run(t, "umoci", "unpack", "--image", path+":1", bundle)
		got, err := dir.Read(t.Context(), bundle+"/rootfs", dir.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// umoci counts times in nanoseconds of 64 bits, and as Go's reader of tar
		// it knows no attribute without a value.
		told := treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds)
		treetest.Report(t, slices.DeleteFunc(told, func(d string) bool {
			return strings.HasPrefix(d, "/times/10: time") || d == `/xattrs/user: extended attributes: "user.empty" is missing`
		}))
	}
}

// tiny is an image with one program, which is static and tells where it is.
func tiny(t *testing.T) oci.Image {
	t.Helper()
	work := t.TempDir()
	source := `package main

import "os"

func main() {
	text, err := os.ReadFile("/etc/greeting")
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(string(text) + os.Getenv("NAME") + " " + os.Args[1])
}
`
	if err := os.WriteFile(work+"/main.go", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", work+"/hello", work+"/main.go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(work + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	b := plant(t, "bin/ etc/ etc/greeting:hello dev/ proc/ sys/ tmp/").Edit()
	if err := b.Add("bin/hello", treetest.File(0o755, string(program))); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	image := oci.Image{
		Platform: oci.Platform{OS: "linux", Architecture: "amd64"}, Layers: []oci.Layer{{Tree: tr}}, Created: treetest.Epoch,
		Config: oci.Config{Entrypoint: []string{"/bin/hello"}, Cmd: []string{"again"}, Env: []string{"NAME=, world"}},
	}
	return image
}

func TestRuncRunsIt(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("runc"); err != nil {
		t.Skip(err)
	}
	path, _ := write(t, []oci.Image{tiny(t)}, oci.Options{Compression: compress.Gzip, Name: "1"})
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, "umoci", "unpack", "--image", path+":1", bundle)
	config, err := os.ReadFile(bundle + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.Replace(string(config), `"terminal": true`, `"terminal": false`, 1))
	if err := os.WriteFile(bundle+"/config.json", config, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "runc", "--root", t.TempDir(), "run", "--bundle", bundle, "samebits-oci-test"); got != "hello, world again" {
		t.Errorf("the container says %q", got)
	}
}

func TestBuildahRunsIt(t *testing.T) {
	needRoot(t)
	// Its path becomes the name of an image, which has no capital letters.
	work, err := os.MkdirTemp("", "buildah")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	path := filepath.Join(work, "layout")
	if _, err := oci.Write(t.Context(), path, []oci.Image{tiny(t)}, oci.Options{Archive: archive, Compression: compress.Zstd, Name: "1"}); err != nil {
		t.Fatal(err)
	}
	policy := work + "/policy.json"
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	buildah := func(args ...string) string {
		return strings.TrimSpace(run(t, append([]string{"buildah", "--root", work + "/root", "--runroot", work + "/run", "--storage-driver", "vfs"}, args...)...))
	}
	container := buildah("from", "--quiet", "--signature-policy", policy, "oci:"+path+":1")
	defer buildah("rm", container)
	if got := buildah("run", "--isolation", "chroot", container, "/bin/hello", "from buildah"); got != "hello, world from buildah" {
		t.Errorf("the container says %q", got)
	}
}
