package inspect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// diff is what differs between two images, a line each.
func diff(t testing.TB, a, b string) (lines []string) {
	t.Helper()
	list, err := inspect.DiffAll(t.Context(), open(t, a), open(t, b))
	must(t, err)
	for _, d := range list {
		where := strings.Join(d.Path, "|")
		for _, c := range d.Changes {
			lines = append(lines, fmt.Sprintf("%s: %s %s>%s", where, c.Attribute, c.Old, c.New))
		}
		if d.Files == nil {
			continue
		}
		for _, f := range d.Files.Differences {
			for _, c := range f.Changes {
				lines = append(lines, fmt.Sprintf("%s:/%s %s %s>%s", where, f.Path, c.Attribute, c.Old, c.New))
			}
		}
	}
	return lines
}

// The same tree in two formats has no difference that both can hold, whichever
// they are.
func TestSameTreeInEveryFormat(t *testing.T) {
	tr := withXattr(t, rootTree(t))
	paths := images(t, tr)
	for name, path := range paths {
		if lines := diff(t, paths["tar"], path); len(lines) > 0 {
			t.Errorf("tar and %s: %q", name, lines)
		}
		if lines := diff(t, path, paths["erofs"]); len(lines) > 0 && name != "erofs" {
			t.Errorf("%s and erofs: %q", name, lines)
		}
	}
}

// changed is a tree with one thing of each kind otherwise.
func changed(t testing.TB) *tree.Tree {
	t.Helper()
	b := withXattr(t, rootTree(t)).Edit()
	must(t, b.Add("new", treetest.File(0o644, "new")))
	b.Remove("usr/lib/os-release")
	change := func(path string, f func(n *tree.Inode)) {
		n, _ := b.Lookup(path)
		f(&n)
		must(t, b.Set(path, n))
	}
	change("etc/owned", func(n *tree.Inode) { n.UID, n.GID, n.Mode = 0, 0, tree.Regular|0o600 })
	change("etc/os-release", func(n *tree.Inode) { n.Target = "elsewhere" })
	change("dev/null", func(n *tree.Inode) { n.Minor = 5 })
	change("large", func(n *tree.Inode) {
		n.Xattrs, n.ModTime.Sec = []tree.Xattr{{Name: "user.note", Value: "other"}}, n.ModTime.Sec+1
	})
	change("bin", func(n *tree.Inode) { *n = treetest.File(0o644, "") })
	b.Remove("bin/tool")
	b.Remove("bin/other")
	return freeze(t, b)
}

func TestEachDifferenceIsTold(t *testing.T) {
	a, b := images(t, rootTree(t)), images(t, changed(t))
	want := []string{
		":/bin type dir>file", ":/bin/other path file>", ":/bin/tool path file>", ":/dev/null device 1,3>1,5", ":/etc/os-release link ../usr/lib/os-release>elsewhere",
		":/etc/owned mode 0640>0600", ":/etc/owned uid 1000>0", ":/etc/owned gid 70000>0",
		":/large time 1772323200>1772323201", `:/large user.note >"other"`, ":/new path >file", ":/usr/lib/os-release path file>",
	}
	if lines := diff(t, a["tar"], b["tar.zst"]); !slices.Equal(lines, want) {
		t.Errorf("of archives: %q", lines)
	}
	// An ISO has no attributes, and so these are not compared.
	lines := diff(t, a["iso9660"], b["tar"])
	if !slices.Equal(lines, slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(s, "user.note") })) {
		t.Errorf("of an ISO and an archive: %q", lines)
	}
	list, err := inspect.DiffAll(t.Context(), open(t, a["iso9660"]), open(t, b["tar"]))
	must(t, err)
	if len(list) != 1 || !slices.Equal(list[0].Files.Left, []string{"xattrs"}) {
		t.Errorf("%+v", list)
	}
}

func TestHardLinksAreCompared(t *testing.T) {
	tr := rootTree(t)
	b := tr.Edit()
	n, _ := b.Lookup("bin/tool")
	b.Remove("bin/other")
	must(t, b.Add("bin/other", n))
	lines := diff(t, images(t, tr)["ext4"], images(t, freeze(t, b))["tar"])
	if !slices.Equal(lines, []string{":/bin/tool hard link to bin/other>"}) {
		t.Errorf("%q", lines)
	}
}

// Disks are compared part by part; one in an image of QEMU is one.
func TestDisksAreCompared(t *testing.T) {
	d := newDisk(t)
	if lines := diff(t, d.path, asQcow2(t, d.path, qcow2.None)); len(lines) > 0 {
		t.Errorf("a disk and itself: %q", lines)
	}
	other := damaged(t, d.path, func(b []byte) {
		at := strings.Index(string(b), "quiet")
		copy(b[at:], "noisy")
		b[d.rootOffset+3] = 'X'
	})
	lines := diff(t, d.path, other)
	for i, want := range []string{
		"esp:/EFI/kernel.efi sha256", "esp|EFI/kernel.efi: cmdline quiet", "esp|EFI/kernel.efi:/.cmdline sha256", "esp|EFI/kernel.efi|.cmdline: sha256", "root:/usr/lib/os-release sha256",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("%q, want %q at %d", lines, want, i)
		}
	}
	if _, err := inspect.DiffAll(t.Context(), open(t, d.path), open(t, images(t, d.root)["tar"])); err == nil || !strings.Contains(err.Error(), "choose one") {
		t.Errorf("a disk and an archive: %v", err)
	}
}

// Times are compared as exactly as both have them.
func TestTimesOfTwoPrecisions(t *testing.T) {
	exact, err := tree.Map(t.Context(), rootTree(t), func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		n.ModTime.Nsec = 5
		return n, nil
	})
	must(t, err)
	paths := images(t, exact)
	if lines := diff(t, paths["ext4"], paths["squashfs"]); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	later, err := tree.Map(t.Context(), exact, func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		n.ModTime.Nsec = 6
		return n, nil
	})
	must(t, err)
	if lines := diff(t, paths["ext4"], images(t, later)["erofs"]); len(lines) != exact.Len() || !strings.HasSuffix(lines[0], "time 1772323200.000000005>1772323200.000000006") {
		t.Errorf("%q", lines)
	}
}
