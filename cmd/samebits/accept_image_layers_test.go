package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alpineBase are those of the set that "apk add alpine-base" would install.
var alpineBase = strings.Fields(`alpine-base alpine-baselayout alpine-baselayout-data alpine-conf alpine-keys alpine-release
	apk-tools busybox busybox-binsh busybox-mdev-openrc busybox-openrc busybox-suid ca-certificates-bundle ifupdown-ng libc-utils
	libcap2 libcrypto3 libssl3 mdev-conf musl musl-utils openrc scanelf ssl_client zlib`)

// layersOf are the digests of the layers of the only image of a layout.
func layersOf(t *testing.T, layout string) []string {
	t.Helper()
	type descriptor struct {
		Digest string `json:"digest"`
	}
	document := func(name string) (d struct{ Manifests, Layers []descriptor }) {
		data, err := os.ReadFile(filepath.Join(layout, name))
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	index := document("index.json")
	if len(index.Manifests) != 1 {
		t.Fatalf("%s has %d images", layout, len(index.Manifests))
	}
	var out []string
	for _, l := range document("blobs/sha256/" + strings.TrimPrefix(index.Manifests[0].Digest, "sha256:")).Layers {
		out = append(out, l.Digest)
	}
	return out
}

// TestImagesShareLayers builds two images over the same base, which share its
// layer, and runs one of them.
func TestImagesShareLayers(t *testing.T) {
	needs(t, true, append(runtimes, "umoci")...)
	set, work := alpineSet(t), t.TempDir()
	base := set
	base.files = nil
	for _, name := range set.files {
		if parts := strings.Split(name, "-"); slices.Contains(alpineBase, strings.Join(parts[:len(parts)-2], "-")) {
			base.files = append(base.files, name)
		}
	}
	if len(base.files) != len(alpineBase) {
		t.Fatalf("the base has %d packages", len(base.files))
	}
	if err := os.Rename(base.lock(t, work), filepath.Join(work, "BASE")); err != nil {
		t.Fatal(err)
	}
	const text = `version: 1
users: [{name: app}]
oci: {entrypoint: [/bin/sh, -c, "id -un app; test ! -e /etc/motd && ls /usr/sbin/sshd"], layers: [BASE, LOCK-x86_64]}
remove: [/etc/motd]
outputs: [{type: oci, dest: server, tag: "1"}, {type: manifest, dest: server.mtree}]
`
	imageOf(t, set, work, text)
	imageOf(t, base, work, "version: 1\noci: {layers: [BASE]}\nfiles: [{path: /etc/note, content: x}]\noutputs: [{type: oci, dest: plain, tag: \"1\"}]\n")
	server, plain := layersOf(t, work+"/server"), layersOf(t, work+"/plain")
	if len(server) != 3 || len(plain) != 2 || server[0] != plain[0] {
		t.Errorf("the layers are %q and %q", server, plain)
	}
	imageOf(t, set, work, strings.NewReplacer("layers: [BASE, LOCK-x86_64]", "layers: []", "server", "single").Replace(text))
	if single := layersOf(t, work+"/single"); len(single) != 1 {
		t.Errorf("without layers there are %q", single)
	}
	if a, b := read(t, work+"/server.mtree"), read(t, work+"/single.mtree"); a != b {
		t.Error("in layers there are other files")
	}
	if got := runIn(t, work+"/server:1", "samebits-layers"); got != "app\n/usr/sbin/sshd\n" {
		t.Errorf("the image of layers says %q", got)
	}

	cmd := command(t, filepath.Join(work, "cache"), "image", "build", "image.yaml")
	cmd.Dir = work
	write(t, work+"/image.yaml", "version: 1\nlocks: [LOCK-x86_64]\noci: {layers: [OTHER]}\noutputs: [{type: oci, dest: never}]\n")
	write(t, work+"/OTHER", "# samebits lock v1\n#: distro alpine 3.19 s390x\n#: date 2026-11-15T09:12:33Z\n")
	if r := finish(t, cmd); r.code != 1 || !strings.Contains(r.stderr, "OTHER is of alpine s390x, of which there is no image") {
		t.Errorf("a layer of no image: %v", r)
	}
}
