package iso_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// short is the tree without what libisofs cannot: targets of 1024 bytes, and
// minor numbers of more than 8 bits.
func short(t *testing.T) *tree.Tree {
	return tree.Filter(holdable(t), func(n tree.Node) bool { return len(n.Inode().Target) < 1024 && n.Inode().Minor < 256 })
}

func TestXorrisoReadsIt(t *testing.T) {
	tr := short(t)
	f := image(t, tr, options())
	out := imagetest.Tool(t, "xorriso", "-indev", f.Name(), "-toc", "-report_el_torito", "plain")
	for _, want := range []string{"Volume id    : 'SAMEBITS_1'", "El Torito", "BIOS", "UEFI"} {
		if !strings.Contains(out, want) {
			t.Errorf("xorriso does not say %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		for _, bad := range []string{"FAILURE", "SORRY", "WARNING", "FATAL", "MISHAP"} {
			if strings.Contains(line, bad) && !strings.Contains(line, "hidden El-Torito") {
				t.Errorf("xorriso says %s", line)
			}
		}
	}
	target := filepath.Join(t.TempDir(), "x")
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
	imagetest.Tool(t, "xorriso", "-osirrox", "device_files:auto_chmod_off", "-hardlinks", "on", "-indev", f.Name(), "-extract", "/", target)
	got, err := dir.Read(t.Context(), target, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// It sets neither owners nor times of symbolic links.
	treetest.Report(t, slices.DeleteFunc(treetest.Compare(tr, got, holds&^treetest.LinkTimes), func(d string) bool {
		return strings.HasPrefix(d, "/owners/link") || strings.HasPrefix(d, "/symlinks/slashes")
	}))
}

func TestIsoinfoReadsIt(t *testing.T) {
	f := image(t, treetest.Of(t, map[string]tree.Inode{
		"a long name, not one of ISO 9660's": treetest.File(0o640, "hello"), "readme.txt": treetest.File(0o644, ""),
		"boot": {Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}, "boot/isolinux.cfg": treetest.File(0o644, "default x\n"),
	}), options())
	out := imagetest.Tool(t, "isoinfo", "-d", "-i", f.Name())
	for _, want := range []string{"Volume id: SAMEBITS_1", "El Torito VD version 1 found", "Rock Ridge signatures version 1 found", "Arch 0 (x86)", "Application id: samebits"} {
		if !strings.Contains(out, want) {
			t.Errorf("isoinfo -d does not say %q:\n%s", want, out)
		}
	}
	if out := imagetest.Tool(t, "isoinfo", "-f", "-i", f.Name()); out != "/A_LONG_NAME__NOT_ONE_OF_ISO_96.;1\n/BOOT\n/README.TXT;1\n/BOOT/ISOLINUX.CFG;1\n" {
		t.Errorf("isoinfo -f says\n%s", out)
	}
	if out := imagetest.Tool(t, "isoinfo", "-f", "-R", "-i", f.Name()); out != "/a long name, not one of ISO 9660's\n/boot\n/readme.txt\n/boot/isolinux.cfg\n" {
		t.Errorf("isoinfo -f -R says\n%s", out)
	}
	if out := imagetest.Tool(t, "isoinfo", "-R", "-x", "/boot/isolinux.cfg", "-i", f.Name()); out != "default x\n" {
		t.Errorf("isoinfo -x says %q", out)
	}
}

// What Linux mounts is the tree, but that it has no hard links, which isofs
// cannot know, and that times have 32 bits.
func TestLinuxMountsIt(t *testing.T) {
	tr := tree.Filter(holdable(t), func(n tree.Node) bool { return !strings.HasPrefix(n.Path(), "many/") || n.Index()%20 == 0 })
	f := image(t, tr, options())
	got := vmtest.Mounted(t, "iso9660", f.Name(), "", "isofs")
	differences := slices.DeleteFunc(treetest.Compare(tr, got, holds&^treetest.Links), func(d string) bool {
		return strings.HasPrefix(d, "/times/") && strings.Contains(d, ": time ")
	})
	treetest.Report(t, differences)
}

// What xorriso and genisoimage wrote is read.
func TestVolumesOfOthersAreRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make devices and give files away")
	}
	source := filepath.Join(t.TempDir(), "source")
	tr := tree.Filter(short(t), func(n tree.Node) bool {
		// genisoimage reads no names that are not UTF-8, and both times of 32 bits.
		return !strings.HasPrefix(n.Path(), "names/") && !strings.HasPrefix(n.Path(), "times/") && !strings.HasPrefix(n.Path(), "owners/") && !strings.HasPrefix(n.Path(), "deep")
	})
	if err := dir.Write(t.Context(), source, tr, dir.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "OTHERS", "--hardlinks"},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "OTHERS"},
		{"genisoimage", "-quiet", "-R", "-V", "OTHERS"},
	} {
		path := filepath.Join(t.TempDir(), "image")
		imagetest.Tool(t, append(argv, "-o", path, source)...)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		v, err := volume(f)
		if err != nil {
			t.Errorf("%s: %v", argv, err)
			continue
		}
		if v.VolumeID != "OTHERS" || !v.RockRidge {
			t.Errorf("%s: %+v", argv, v)
		}
		mask := holds &^ (treetest.Links | treetest.RootInode)
		if slices.Contains(argv, "--hardlinks") {
			mask |= treetest.Links
		}
		// They have no slash at the end of a target.
		treetest.Report(t, slices.DeleteFunc(treetest.Compare(tr, v.Tree, mask), func(d string) bool {
			return strings.HasPrefix(d, "/symlinks/slashes")
		}))
	}
	path := filepath.Join(t.TempDir(), "plain")
	imagetest.Tool(t, "genisoimage", "-quiet", "-o", path, filepath.Join(source, "order"))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := volume(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, found := v.Tree.Lookup("a_b/c"); !found || v.RockRidge {
		t.Error("a volume without Rock Ridge is read otherwise")
	}
}
