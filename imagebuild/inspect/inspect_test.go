package inspect_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// read is the tree of the files in an image.
func read(t testing.TB, p *inspect.Part) *tree.Tree {
	t.Helper()
	f, err := p.Files()
	must(t, err)
	tr, err := f.Tree(t.Context())
	must(t, err)
	return tr
}

// What each format holds of a tree comes back, and every content can be had.
func TestEveryFormatGivesItsTree(t *testing.T) {
	tr := withXattr(t, rootTree(t))
	formats := map[string]string{
		"tar.gz": "tar", "tar.zst": "tar", "cpio.gz": "cpio", "cpio.zst": "cpio", "mtree": "mtree manifest", "docker": "docker archive", "oci": "oci layout",
	}
	for name, path := range images(t, tr) {
		t.Run(name, func(t *testing.T) {
			p := open(t, path)
			want := name
			if w, found := formats[name]; found {
				want = w
			}
			if p.Format != want || p.Problem != nil {
				t.Errorf("it is %q, %v", p.Format, p.Problem)
			}
			mask := treetest.All
			if strings.HasPrefix(name, "cpio") || name == "iso9660" {
				mask &^= treetest.Xattrs
			}
			got := read(t, p)
			treetest.Report(t, treetest.Compare(tr, got, mask))
			if name == "mtree" {
				return
			}
			if err := treetest.Read(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDirectoriesAreRead(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600))
	p := open(t, dir)
	if p.Format != "directory" || p.HasBytes() || p.Size != -1 {
		t.Errorf("%+v", p)
	}
	n, err := read(t, p).Resolve("/file")
	must(t, err)
	if n.Inode().Size != 4 {
		t.Errorf("%s", n.Describe())
	}
}

// A disk, alone and as qcow2, is told down to the archives of an initramfs.
func TestDiskToTheBottom(t *testing.T) {
	d := newDisk(t)
	for _, path := range []string{d.path, asQcow2(t, d.path, qcow2.Zstd)} {
		var lines []string
		p := open(t, path)
		p.All(func(path []string, q *inspect.Part) bool {
			if q.Problem != nil {
				t.Errorf("%s: %v", path, q.Problem)
			}
			lines = append(lines, strings.Join(path, "|")+" "+q.Format)
			return true
		})
		want := []string{
			" gpt", "esp fat16", "esp|EFI/kernel.efi unified kernel image",
			"esp|EFI/kernel.efi|.text data", "esp|EFI/kernel.efi|.osrel data", "esp|EFI/kernel.efi|.cmdline data", "esp|EFI/kernel.efi|.uname data",
			"esp|EFI/kernel.efi|.ucode cpio", "esp|EFI/kernel.efi|.initrd cpio", "esp|EFI/kernel.efi|.linux efi program", "esp|EFI/kernel.efi|.linux|.text data",
			"root erofs", "hashes verity",
		}
		if p.Format == "qcow2" {
			for i := range want {
				want[i] = "disk|" + want[i]
			}
			want[0] = "disk gpt"
			want = slices.Insert(want, 0, " qcow2")
		}
		if !slices.Equal(lines, want) {
			t.Errorf("the parts are\n%s", strings.Join(lines, "\n"))
		}
		for _, c := range []struct {
			part, name string
			want       any
		}{
			{"esp", "partition_type", "esp"}, {"esp", "label", "ESP"}, {"esp", "volume_id", "1234-5678"}, {"2", "label", "root"},
			{"root", "flags", "read-only"}, {"hashes", "root_hash", d.rootHash}, {"hashes", "data", "root"}, {"hashes", "root_hash_in_ids", true},
			{"unified kernel image", "cmdline", "quiet roothash=" + d.rootHash}, {"unified kernel image", "uname", "6.1.0-test"},
			{"unified kernel image", "machine", "x86_64"}, {"unified kernel image", "signed", false},
		} {
			q, err := p.Find(c.part)
			must(t, err)
			got := q.Attribute(c.name)
			if list, ok := got.([]string); ok {
				got = strings.Join(list, " ")
			}
			if got != c.want {
				t.Errorf("%s: %s is %v, want %v", c.part, c.name, got, c.want)
			}
		}
	}
}

// The three archives of an initramfs, two of them compressed, are one tree.
func TestInitramfsOfSeveralArchives(t *testing.T) {
	p := open(t, newDisk(t).path)
	q, err := p.Find(".initrd")
	must(t, err)
	tr := read(t, q)
	for _, name := range []string{"init", "more"} {
		n, err := tr.Resolve(name)
		must(t, err)
		r, err := n.Open()
		must(t, err)
		b, err := io.ReadAll(r)
		if err != nil || string(b) != "content of "+name {
			t.Errorf("%q, %v", b, err)
		}
		must(t, r.Close())
	}
	if q.Attribute("archives") != int64(2) || !slices.Equal(q.Attribute("compression").([]string), []string{"zstd", "gzip"}) {
		t.Errorf("%v", q.Attributes)
	}
}

func TestFind(t *testing.T) {
	p := open(t, newDisk(t).path)
	for name, want := range map[string]string{
		"1": "esp", "esp": "esp", "root-verity-amd64": "hashes", "erofs": "root", "EFI/kernel.efi": "EFI/kernel.efi", ".linux": ".linux",
	} {
		q, err := p.Find(name)
		if err != nil || q.Label() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"none": `there is no part "none"; there are "esp", "EFI/kernel.efi"`,
		"data": "there are 4 parts", // on the first level that has one
		"":     "there is no part",
	} {
		if _, err := p.Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if _, err := p.Files(); err == nil || !strings.Contains(err.Error(), `2 parts have files: "esp", "root"`) {
		t.Errorf("files of a disk: %v", err)
	}
	q, err := p.Find("hashes")
	must(t, err)
	if _, err := q.Files(); !errors.Is(err, inspect.ErrNoTree) {
		t.Errorf("files of a hash tree: %v", err)
	}
}
