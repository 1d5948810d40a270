package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// runtimes run containers, each by code of its own.
var runtimes = []string{"runc", "crun"}

// before are the commands by which runtimes are called. crun refuses a machine
// that has control groups of both versions.
var before = map[string][]string{
	"runc": {"runc"},
	"crun": {"unshare", "--mount", "sh", "-ec", `mount -t cgroup2 none /sys/fs/cgroup; exec crun --cgroup-manager=disabled "$@"`, "sh"},
}

// runIn runs an image of a layout in a container of each runtime, and returns
// what it prints.
func runIn(t *testing.T, layout, name string) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	must(t, "umoci", "unpack", "--image", layout, bundle)
	config, err := os.ReadFile(bundle + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Replace(string(config), `"terminal": true`, `"terminal": false`, 1)
	if err := os.WriteFile(bundle+"/config.json", []byte(plain), 0o644); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, r := range runtimes {
		said[r] = must(t, before[r][0], append(before[r][1:], "--root", t.TempDir(), "run", "--bundle", bundle, name+"-"+r)...)
	}
	if len(slices.Compact(slices.Sorted(maps.Values(said)))) != 1 {
		t.Errorf("in each runtime it says something else: %q", said)
	}
	return said[runtimes[0]]
}

// imageOf builds an image of a set of packages, by a spec, in work.
func imageOf(t *testing.T, set packageSet, work, text string, env ...string) result {
	t.Helper()
	lock := set.lock(t, work)
	if err := os.WriteFile(filepath.Join(work, "image.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, filepath.Join(work, "cache"), "image", "build", "--lock", lock, "--source", set.dir, "--no-snapshot", "image.yaml")
	cmd.Dir, cmd.Env = work, append(cmd.Env, env...)
	r := finish(t, cmd)
	if strings.Contains(r.stderr, "forbids user namespaces") {
		t.Skip(r.stderr)
	}
	if r.code != 0 {
		t.Fatal(r)
	}
	return r
}

// TestImageRuns pushes an image to a registry, pulls it with another tool, and
// runs it from there and from a layout.
func TestImageRuns(t *testing.T) {
	needs(t, true, append(runtimes, "umoci", "skopeo")...)
	set, work := alpineSet(t), t.TempDir()
	host := startRegistry(t)
	login := base64.StdEncoding.EncodeToString([]byte("user:secret"))
	if err := os.WriteFile(work+"/config.json", fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, login), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `version: 1
oci: {entrypoint: [/bin/cat], cmd: [/etc/alpine-release], labels: {made: by a test}}
outputs:
  - {type: oci, dest: layout, tag: "1"}
  - {type: oci, dest: "oci://` + host + `/team/alpine:1"}
`
	pushed := imageOf(t, set, work, text, "DOCKER_CONFIG="+work)
	_, digest, _ := strings.Cut(strings.TrimSpace(pushed.stdout), "@")
	index, err := os.ReadFile(work + "/layout/index.json")
	if err != nil || digest == "" || !strings.Contains(string(index), digest) {
		t.Fatalf("pushed %q, and the layout is %s, %v", pushed.stdout, index, err)
	}
	if err := oci.Validate(work + "/layout"); err != nil {
		t.Error(err)
	}
	remote := "docker://" + host + "/team/alpine:1"
	told := must(t, "skopeo", "inspect", "--tls-verify=false", "--creds", "user:secret", remote)
	if !strings.Contains(told, digest) || !strings.Contains(told, "by a test") {
		t.Errorf("skopeo tells %s", told)
	}
	must(t, "skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", "--src-tls-verify=false", "--src-creds", "user:secret", remote, "oci:"+work+"/pulled:1")
	for name, layout := range map[string]string{"local": work + "/layout:1", "pulled": work + "/pulled:1"} {
		if got := runIn(t, layout, "samebits-"+name); got != "3.19.1\n" {
			t.Errorf("the %s image says %q", name, got)
		}
	}

	if err := os.RemoveAll(work + "/layout"); err != nil {
		t.Fatal(err)
	}
	again := imageOf(t, set, work, text, "DOCKER_CONFIG="+work)
	if again.stdout != pushed.stdout || !strings.Contains(again.stderr, "0 blobs sent") {
		t.Errorf("pushed again: %v", again)
	}
}

// TestImageOfTwoArchitectures pushes an index, which chooses by the platform.
func TestImageOfTwoArchitectures(t *testing.T) {
	needs(t, true, "skopeo")
	work, host := t.TempDir(), fetchtest.FreeAddress(t)
	startOpenRegistry(t, host)
	var args []string
	for _, set := range []packageSet{alpineSet(t), raspberrySet(t)} {
		args = append(args, "--lock", set.lock(t, work), "--source", set.dir)
	}
	args = append(args, "--no-snapshot", "--no-scripts", "--epoch", "2026-01-01T00:00:00Z", "-o", "oci://"+host+"/team/both:1", "-o", "type=oci,dest=layout")
	cmd := command(t, filepath.Join(work, "cache"), append([]string{"image", "build"}, args...)...)
	cmd.Dir = work
	r := finish(t, cmd)
	if r.code != 0 {
		t.Fatal(r)
	}
	_, digest, _ := strings.Cut(strings.TrimSpace(r.stdout), "@")
	raw := must(t, "skopeo", "inspect", "--tls-verify=false", "--raw", "docker://"+host+"/team/both:1")
	index, err := os.ReadFile(work + "/layout/index.json")
	if err != nil || digest == "" || !strings.Contains(string(index), digest) {
		t.Errorf("the layout is %s, %v; pushed was %q", index, err, digest)
	}
	for goarch, arch := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		if !strings.Contains(raw, `"architecture":"`+goarch+`"`) {
			t.Errorf("the index has no %s: %s", goarch, raw)
		}
		to := filepath.Join(work, goarch)
		must(t, "skopeo", "--insecure-policy", "--override-arch", goarch, "copy", "-q", "--src-tls-verify=false", "docker://"+host+"/team/both:1", "oci:"+to+":1")
		must(t, "umoci", "unpack", "--image", to+":1", to+"-root")
		if got, err := os.ReadFile(to + "-root/rootfs/etc/apk/arch"); err != nil || strings.TrimSpace(string(got)) != arch {
			t.Errorf("the image for %s is of %q, %v", goarch, got, err)
		}
	}
}

// TestImageBoots has Debian's kernel start an initramfs, whose first process
// is one of the image.
func TestImageBoots(t *testing.T) {
	needs(t, true, "qemu-system-x86_64")
	kernel, work := vmtest.Kernel(t), t.TempDir()
	imageOf(t, alpineSet(t), work, `version: 1
hostname: booted
files:
  - path: /init
    mode: 0755
    content: |
      #!/bin/sh
      mount -t proc proc /proc
      hostname -F /etc/hostname
      echo "BOOTED $(hostname) $(cat /etc/alpine-release) as $$ of $(stat -c %U:%a /etc/shadow)" >/dev/console
      poweroff -f
outputs:
  - {type: cpio, dest: initramfs.cpio.gz}
`)
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: work + "/initramfs.cpio.gz", Cmdline: "console=ttyS0 panic=-1 quiet"})
	if !strings.Contains(out, "BOOTED booted 3.19.1 as 1 of root:640") {
		t.Errorf("the machine says:\n%s", out)
	}
}
