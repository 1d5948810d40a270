package fat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// kinds are options for all ways in which a file system may be laid out.
func kinds() map[string]fat.Options {
	return map[string]fat.Options{
		"least":         {},
		"FAT16":         golden16(),
		"FAT32":         golden32(),
		"FAT16 of 4096": {Type: fat.FAT16, ClusterSize: 4096, Size: 64 << 20, Label: "A B"},
		"FAT16 of 32 K": {Type: fat.FAT16, ClusterSize: 32 << 10, Free: 300 << 20},
		"FAT32 of 4096": {Free: 3 << 30},
		"FAT32 of 32 K": {Type: fat.FAT32, ClusterSize: 32 << 10, Size: 10 << 30},
		"an odd size":   {Size: 70<<20 + 512},
	}
}

func TestFsck(t *testing.T) {
	tr := holdable(t)
	for name, o := range kinds() {
		t.Run(name, func(t *testing.T) {
			out := imagetest.Tool(t, "fsck.vfat", "-n", "-v", image(t, tr, o).Name())
			for line := range strings.Lines(out) {
				for _, bad := range []string{"Free cluster summary", "Reclaim", "differ", "Orphan", "Bad", "dirty", "not "} {
					if strings.Contains(line, bad) && !strings.Contains(line, "Warning") {
						t.Errorf("fsck.vfat says %s", line)
					}
				}
			}
			if !strings.Contains(out, fmt.Sprintf("%d files", tr.Len()-1)) && !strings.Contains(out, fmt.Sprintf("%d files", tr.Len())) {
				t.Errorf("fsck.vfat does not see %d files:\n%s", tr.Len(), out)
			}
		})
	}
}

// What mtools copies out is the tree.
func TestMtoolsReadIt(t *testing.T) {
	tr := holdable(t)
	for _, name := range []string{"FAT16", "FAT32", "FAT32 of 32 K"} {
		t.Run(name, func(t *testing.T) {
			f := image(t, tr, kinds()[name])
			target := t.TempDir()
			imagetest.Tool(t, "mcopy", "-s", "-m", "-n", "-Q", "-i", f.Name(), "::", target)
			got, err := dir.Read(t.Context(), target, dir.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// mtools know no characters beyond 16 bits, and take 2100 for a leap year.
			differences := slices.DeleteFunc(treetest.Compare(tr, got, treetest.Content|treetest.Seconds), func(d string) bool {
				return strings.HasPrefix(d, "/names/__: too") || strings.HasPrefix(d, "/names/\U0001f600: missing") ||
					slices.Contains([]string{"/times/07", "/times/08", "/times/09", "/times/10"}, d[:min(9, len(d))])
			})
			treetest.Report(t, differences)
		})
	}
}

func TestMtoolsShowIt(t *testing.T) {
	f := image(t, build(t, "hello", "readme.txt", "A long name with spaces.conf"), golden32())
	out := imagetest.Tool(t, "mdir", "-i", f.Name(), "::")
	for _, want := range []string{"Volume in drive : is EFI", "Volume Serial Number is FEDC-BA98", "README   TXT         5 2026-03-01   0:00  readme.txt",
		"ALONGN~1 CON         5 2026-03-01   0:00  A long name with spaces.conf"} {
		if !strings.Contains(out, want) {
			t.Errorf("mdir shows no %q:\n%s", want, out)
		}
	}
	if out := imagetest.Tool(t, "mlabel", "-s", "-i", f.Name(), "::"); !strings.Contains(out, "EFI") {
		t.Errorf("mlabel says %s", out)
	}
	if out := imagetest.Tool(t, "minfo", "-i", f.Name(), "::"); !strings.Contains(out, `disk type="FAT32   "`) || !strings.Contains(out, "hidden sectors: 2048") {
		t.Errorf("minfo says %s", out)
	}
	if out := imagetest.Tool(t, "blkid", "-p", f.Name()); !strings.Contains(out, `LABEL="EFI" UUID="FEDC-BA98"`) || !strings.Contains(out, `VERSION="FAT32"`) {
		t.Errorf("blkid says %s", out)
	}
}

// What mkfs.vfat and mtools wrote, fragmented, is read.
func TestVolumesOfOthersAreRead(t *testing.T) {
	for _, c := range []struct{ bits, size string }{{"12", "1440"}, {"12", "40000"}, {"16", "40000"}, {"32", "40000"}} {
		t.Run(c.bits+" in "+c.size, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			imagetest.Tool(t, "mkfs.vfat", "-C", "-F", c.bits, "-i", "0badcafe", "-n", "OTHERS", path, c.size)
			source := t.TempDir()
			tr := build(t, string(treetest.Random(9, 70_000)), "first", "lower.txt", "UPPER.TXT", "Mixed Name.text", "dir/", "dir/é", "dir/second")
			if err := dir.Write(t.Context(), filepath.Join(source, "s"), tr, dir.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"first", "lower.txt"} {
				imagetest.Tool(t, "mcopy", "-m", "-i", path, filepath.Join(source, "s", name), "::")
			}
			imagetest.Tool(t, "mdel", "-i", path, "::first") // a hole, into which what is next goes
			for _, name := range []string{"UPPER.TXT", "Mixed Name.text", "dir", "first"} {
				imagetest.Tool(t, "mcopy", "-s", "-m", "-i", path, filepath.Join(source, "s", name), "::")
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			v, err := fat.Read(t.Context(), f, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			if v.Label != "OTHERS" || v.VolumeID != 0x0badcafe || fmt.Sprint(v.Type) != "FAT"+c.bits {
				t.Errorf("%+v", v)
			}
			treetest.Report(t, treetest.Compare(tr, v.Tree, treetest.Content|treetest.Permissions|treetest.Seconds))
		})
	}
}

// Aliases are those of MS-DOS, and no two are the same.
func TestAliases(t *testing.T) {
	names := []string{"README", "readme.md", "a.b.c", "A long name.html", "A long notice.html", "ALONGN~2.HTM", "x+y", "é", ".profile", "~",
		"vmlinuz-6.1.0-56-amd64", "vmlinuz-6.1.0-57-amd64"}
	for i := range 1200 {
		names = append(names, fmt.Sprintf("numbered name %04d.extension", i))
	}
	f := image(t, build(t, "", names...), fat.Options{})
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"README     ", "README  MD ", "AB~1    C  ", "ALONGN~1HTM", "ALONGN~2HTM", "ALONGN~3HTM", "X_Y~1      ", "_~1        ",
		"PROFIL~1   ", "~          ", "VMLINU~10-5", "VMLINU~20-5", "NUMBER~1EXT", "NUMBER~9EXT", "NUMBE~10EXT", "NUMBE~99EXT", "NUM~1200EXT"} {
		if n := bytes.Count(raw, []byte(alias)); n != 1 {
			t.Errorf("the alias %q is there %d times", alias, n)
		}
	}
	imagetest.Tool(t, "fsck.vfat", "-n", f.Name())
}

// The peer is the same tree by mkfs.vfat and mcopy.
func BenchmarkAgainstMcopy(b *testing.B) {
	for _, tool := range []string{"mkfs.vfat", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skip(err)
		}
	}
	var builder tree.Builder
	for i := range 2000 {
		dir := fmt.Sprintf("d%03d", i/20)
		if i%20 == 0 {
			if err := builder.Add(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}); err != nil {
				b.Fatal(err)
			}
		}
		if err := builder.Add(fmt.Sprintf("%s/file %04d", dir, i), treetest.File(0o644, string(treetest.Random(uint64(i), 125_000)))); err != nil {
			b.Fatal(err)
		}
	}
	tr, err := builder.Freeze(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	source := filepath.Join(b.TempDir(), "source")
	if err := dir.Write(b.Context(), source, tr, dir.Options{}); err != nil {
		b.Fatal(err)
	}
	onDisk, err := dir.Read(b.Context(), source, dir.ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			image(b, onDisk, fat.Options{Type: fat.FAT32, Size: 400 << 20})
		}
	})
	b.Run("mcopy", func(b *testing.B) {
		for b.Loop() {
			path := filepath.Join(b.TempDir(), "image")
			imagetest.Tool(b, "mkfs.vfat", "-C", "-F", "32", path, fmt.Sprint(400<<10))
			imagetest.Tool(b, "mcopy", "-s", "-m", "-i", path, source, "::")
		}
	})
}

// What Linux mounts is the tree.
func TestLinuxMountsIt(t *testing.T) {
	for _, kind := range []string{"FAT16", "FAT32"} {
		t.Run(kind, func(t *testing.T) {
			// Linux looks for each name from a directory's beginning on, which
			// takes an emulated machine minutes for 6000 of them.
			tr := tree.Filter(holdable(t), func(n tree.Node) bool { return !strings.HasPrefix(n.Path(), "many/") || n.Index()%30 == 0 })
			f := image(t, tr, kinds()[kind])
			got := vmtest.Mounted(t, "vfat", f.Name(), "iocharset=ascii,utf8,tz=UTC,dmask=022,fmask=133", "vfat", "nls_cp437", "nls_ascii")
			treetest.Report(t, treetest.Compare(tr, got, holds))
		})
	}
}
