package imagebuild

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

func frozen(t *testing.T, change func(b *tree.Builder)) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for _, dir := range []string{"", "etc"} {
		if err := b.Set(dir, tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	change(&b)
	out, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCompareNamesWhatDiffers(t *testing.T) {
	file := func(text string, mode tree.Mode, uid uint32) tree.Inode {
		return tree.Inode{Mode: tree.Regular | mode, UID: uid, Size: int64(len(text)), Content: tree.Bytes([]byte(text))}
	}
	add := func(list map[string]tree.Inode) *tree.Tree {
		return frozen(t, func(b *tree.Builder) {
			for path, n := range list {
				if err := b.Set(path, n); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	link := func(to string) tree.Inode { return tree.Inode{Mode: tree.Symlink | 0o777, Target: to} }
	a := add(map[string]tree.Inode{
		"etc/same": file("x", 0o644, 0), "etc/text": file("one", 0o644, 0), "etc/first": file("", 0o644, 0),
		"etc/bits": file("x", 0o644, 0), "etc/link": link("a"), "etc/type": link("a"),
	})
	b := add(map[string]tree.Inode{
		"etc/same": file("x", 0o644, 0), "etc/text": file("two", 0o644, 0), "etc/second": file("", 0o644, 0),
		"etc/bits": file("x", 0o600, 7), "etc/link": link("b"), "etc/type": file("a", 0o644, 0),
	})
	var got []string
	for _, d := range Compare(a, b) {
		got = append(got, d.Path+": "+strings.Join(d.What, ", "))
	}
	want := []string{
		"etc/bits: mode, owner", "etc/first: only in the first", "etc/link: target",
		"etc/second: only in the second", "etc/text: content", "etc/type: type",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if d := Compare(a, a); len(d) > 0 {
		t.Errorf("a tree differs from itself: %v", d)
	}
}

func TestCheckFindsWhatScriptsMakeRandom(t *testing.T) {
	b := newBoxed(t)
	for script, want := range map[string]string{
		"echo steady >/etc/steady":                                   "",
		"/bin/busybox cat /proc/sys/kernel/random/uuid >/etc/random": "etc/random",
		"/bin/busybox date +%s >/etc/when":                           "etc/when",
	} {
		b.step = script
		s, err := spec.Parse("image.yaml", []byte("version: 1\n"))
		if err != nil {
			t.Fatal(err)
		}
		p := Plan{
			Spec: s, Assembler: b, Sources: "testdata", Temp: t.TempDir(),
			Lock: &lockfile.Lock{Date: epoch, System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}},
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
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range diffs {
			got = append(got, d.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v differ, want %q", script, diffs, want)
		}
	}
}
