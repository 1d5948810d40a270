package imagebuild

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// listed assembles a root that has a file for each line of the lock, and a list
// of them.
type listed struct{ *counted }

func (l listed) Assemble(ctx context.Context, a distro.Assembly) error {
	err := l.counted.Assemble(ctx, a)
	var list strings.Builder
	for _, e := range a.Lock.Entries {
		list.WriteString(e.Path + "\n")
		err = errors.Join(err, a.Root.Put(distro.File{Path: "usr/" + e.Path, Type: distro.Regular, Mode: 0o644}, nil))
	}
	return errors.Join(err, a.Root.Put(distro.File{Path: "var/list", Type: distro.Regular, Mode: 0o644, Size: int64(list.Len())}, strings.NewReader(list.String())))
}

func lockOf(names ...string) *lockfile.Lock {
	l := &lockfile.Lock{Date: epoch, System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}}
	for _, name := range names {
		l.Entries = append(l.Entries, lockfile.Entry{Path: name})
	}
	return l
}

// layered builds an image of layers, and returns it with the digests of its
// layers and their paths.
func layered(t *testing.T, text string, store Store, lock *lockfile.Lock, layers ...*lockfile.Lock) (img *Image, digests, paths []string) {
	t.Helper()
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	img, err = Build(t.Context(), Plan{
		Spec: s, Assembler: listed{&counted{boxed: newBoxed(t)}}, Sources: "testdata", Temp: t.TempDir(), Store: store, Program: "test", Lock: lock, Layers: layers,
	})
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	all, err := img.layers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		var names []string
		for n := range l.Tree.All() {
			names = append(names, n.Path())
		}
		digests, paths = append(digests, l.Tree.Digest().String()), append(paths, strings.Join(names, " "))
	}
	return img, digests, paths
}

// Images share the layers that they have the locks of, whatever else is in
// them, and their files are those of an image of one layer.
func TestLayersAreShared(t *testing.T) {
	store := newStore(t)
	base, web, db := lockOf("libc"), lockOf("libc", "web"), lockOf("db", "libc")
	const change = "files: [{path: /etc/motd, content: hello}]\nusers: [{name: app}]\nremove: [/usr/share/doc/**]\n"
	one, first, paths := layered(t, change+"run: [{script: echo more >> /etc/group}]\n", store, web, base, web)
	_, second, _ := layered(t, "", store, db, base)
	if len(first) != 3 || len(second) != 2 || first[0] != second[0] || first[1] == second[1] {
		t.Errorf("the layers are %q and %q", first, second)
	}
	if !strings.Contains(paths[0], "usr/libc") || strings.Contains(paths[0], "web") {
		t.Errorf("the base has %s", paths[0])
	}
	if want := " usr usr/web var var/list"; paths[1] != want {
		t.Errorf("the packages over it are %q, want %q", paths[1], want)
	}
	if !strings.Contains(paths[2], "etc/motd") || !strings.Contains(paths[2], "usr/share/doc/.wh.a") || strings.Contains(paths[2], "busybox") {
		t.Errorf("what the spec adds is %q", paths[2])
	}
	single, alone, _ := layered(t, change+"run: [{script: echo more >> /etc/group}]\n", nil, web)
	if len(alone) != 1 || single.Tree.Digest() != one.Tree.Digest() {
		t.Errorf("without layers it is another image: %v", Compare(single.Tree, one.Tree))
	}
	readBack(t, one)
}

// readBack holds what is written of an image, in layers, to its tree.
func readBack(t *testing.T, img *Image) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if err := Write(t.Context(), []*Image{img}, spec.Output{Type: "oci", Dest: out}, nil); err != nil {
		t.Fatal(err)
	}
	if err := oci.Validate(out); err != nil {
		t.Error(err)
	}
	_, got, err := oci.Read(t.Context(), out, oci.ReadOptions{Archive: layerArchive, Store: &tree.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	if diffs := Compare(img.Tree, got); len(diffs) > 0 {
		t.Errorf("what was written differs: %v", diffs)
	}
}

// A layer is named where it cannot be made.
func TestLayerFails(t *testing.T) {
	undated := lockOf("libc")
	undated.Date = time.Time{}
	_, err := Build(t.Context(), Plan{
		Spec: &spec.Spec{Version: 1}, Assembler: listed{&counted{boxed: newBoxed(t)}}, Temp: t.TempDir(), Lock: lockOf("libc"), Layers: []*lockfile.Lock{undated},
	})
	if err == nil || !strings.Contains(err.Error(), "the layer number 1: the lock has no date") {
		t.Errorf("the error is %v", err)
	}
}

// What is random in a lower layer alone is found, too.
func TestCheckOfLayers(t *testing.T) {
	lock := lockOf("libc")
	b := newBoxed(t)
	b.step = "busybox head -c 8 /dev/urandom > /etc/random"
	p := Plan{
		Spec: &spec.Spec{Version: 1, Remove: []string{"/etc/random"}}, Assembler: listed{&counted{boxed: b}}, Temp: t.TempDir(), Lock: lock, Layers: []*lockfile.Lock{lock},
	}
	img, err := Build(t.Context(), p)
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	diffs, err := img.Check(t.Context(), p)
	if err != nil || !slices.ContainsFunc(diffs, func(d Difference) bool { return d.Path == "etc/random" }) || len(diffs) != 1 {
		t.Errorf("found %v, %v", diffs, err)
	}
}
