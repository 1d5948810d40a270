package initramfs

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// order is that in which the modules of a system are loaded.
func order(t testing.TB, system files, o Options) (string, error) {
	t.Helper()
	got, err := made(t, system, o)
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(content(t, got, "modules/order")), " "), nil
}

const modulesDir = "usr/lib/modules/" + release + "/"

// Each module is loaded after what it needs and wishes to be there before.
func TestOrderOfModules(t *testing.T) {
	common := "virtio virtio_blk"
	ext4 := " crc32c_test mbcache jbd2 ext4"
	for name, c := range map[string]struct {
		o       Options
		changes files
		want    string
	}{
		"ext4":            {Options{FileSystem: "ext4"}, nil, common + ext4},
		"ext3 by ext4":    {Options{FileSystem: "ext3"}, nil, common + ext4},
		"built in":        {Options{FileSystem: "squashfs"}, nil, common},
		"verity":          {Options{FileSystem: "squashfs", Verity: true}, nil, common + " sha256_test dm_mod dm_bufio dm_verity"},
		"overlay":         {Options{FileSystem: "squashfs", Overlay: true}, nil, common + " overlay"},
		"medium":          {Options{FileSystem: "squashfs", Medium: "iso9660"}, files{modulesDir + "isofs.ko": ko(), modulesDir + "loop.ko": ko()}, common + " isofs loop"},
		"further":         {Options{FileSystem: "squashfs", Modules: []string{"dm-bufio", "virtio_pci"}}, nil, common + " dm_mod dm_bufio"},
		"updates":         {Options{FileSystem: "ext4"}, files{modulesDir + "updates/ext4.ko": ko("depends=mbcache")}, common + " mbcache ext4"},
		"after":           {Options{FileSystem: "ext4"}, files{modulesDir + "kernel/fs/ext4.ko": ko("softdep=post: jbd2 nothing pre: mbcache")}, common + " mbcache ext4 jbd2"},
		"wishes in a row": {Options{FileSystem: "ext4"}, files{modulesDir + "kernel/fs/jbd2.ko": ko("softdep=pre: ext4")}, common + ext4},
		"no lists": {Options{FileSystem: "ext4", Modules: []string{"perhaps_built_in"}},
			files{modulesDir + "modules.builtin": "", modulesDir + "modules.alias": ""}, common + " mbcache jbd2 ext4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := order(t, synthetic().with(c.changes), c.o); err != nil || got != c.want {
				t.Errorf("the order is %q, %v, not %q", got, err, c.want)
			}
		})
	}
}

func TestModulesThatAreRefused(t *testing.T) {
	ext4 := modulesDir + "kernel/fs/ext4.ko"
	for name, c := range map[string]struct {
		o       Options
		changes files
		want    string
	}{
		"no type":       {Options{}, nil, "the type of the root's file system is not given"},
		"no driver":     {Options{FileSystem: "xfs"}, nil, `the initramfs of the kernel ` + release + `: the kernel has no driver "xfs", as a module or built in`},
		"no medium's":   {Options{FileSystem: "ext4", Medium: "iso9660"}, nil, `no driver "isofs"`},
		"no further":    {Options{FileSystem: "ext4", Modules: []string{"odd"}}, nil, `no driver "odd"`},
		"missing need":  {Options{FileSystem: "ext4"}, files{ext4: ko("depends=gone")}, `the module ext4: the kernel has no driver "gone"`},
		"itself":        {Options{FileSystem: "ext4"}, files{ext4: ko("depends=ext4")}, "the modules ext4 need each other"},
		"loop":          {Options{FileSystem: "ext4"}, files{modulesDir + "kernel/fs/jbd2.ko": ko("depends=mbcache"), modulesDir + "kernel/fs/mbcache.ko": ko("depends=jbd2")}, "the modules mbcache, jbd2 need each other"},
		"no ELF":        {Options{FileSystem: "ext4"}, files{ext4: "text"}, "/" + ext4 + ": it is no module: "},
		"cut off":       {Options{FileSystem: "ext4"}, files{ext4: ko()[:100]}, "/" + ext4 + ": it is no module: "},
		"no .modinfo":   {Options{FileSystem: "ext4"}, files{ext4: string(fake{}.bytes())}, "it has no .modinfo"},
		"odd name":      {Options{FileSystem: "ext4"}, files{ext4: ko("depends=../../init")}, `its .modinfo names the module "../../init"`},
		"damaged gzip":  {Options{FileSystem: "ext4"}, files{ext4: "", ext4 + ".gz": packGzip(ko())[:40]}, "/" + ext4 + ".gz: "},
		"module of 1 G": {Options{FileSystem: "ext4"}, files{ext4: "", ext4 + ".zst": packZstd(strings.Repeat("\x00", maxModule+1))}, "it unpacks to more than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := order(t, synthetic().with(c.changes), c.o)
			wantError(t, err, c.want)
		})
	}
}

func packGzip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func packZstd(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func packXZ(t testing.TB, s string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "xz", "--check=crc32", "-c")
	cmd.Stdin = strings.NewReader(s)
	out, err := cmd.Output()
	if err != nil {
		t.Skip("needs the package xz-utils: ", err)
	}
	return string(out)
}

// Modules are the same in the initramfs however the distribution packs them.
func TestPackedModules(t *testing.T) {
	plain, err := made(t, synthetic(), Options{FileSystem: "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	for ending, pack := range map[string]func(string) string{
		".gz": packGzip, ".zst": packZstd, ".xz": func(s string) string { return packXZ(t, s) },
	} {
		packed := files{}
		for name, content := range synthetic() {
			if strings.HasSuffix(name, ".ko") {
				name, content = name+ending, pack(content)
			}
			packed[name] = content
		}
		got, err := made(t, packed, Options{FileSystem: "ext4"})
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != plain.Digest() {
			t.Errorf("modules as %s make another initramfs", ending)
		}
	}
}

// What .modinfo says of Debian's modules is what modinfo reads there.
func TestModinfoAgrees(t *testing.T) {
	_, k := host(t)
	for _, name := range []string{"dm-verity", "squashfs", "overlay", "virtio_blk", "erofs", "btrfs"} {
		path, err := exec.CommandContext(t.Context(), "modinfo", "-k", k.Release, "-n", name).Output()
		if err != nil {
			t.Skip("needs modinfo: ", err)
		}
		want, err := exec.CommandContext(t.Context(), "modinfo", "-k", k.Release, "-F", "depends", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		object, err := os.ReadFile(strings.TrimSpace(string(path)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readInfo(bytes.NewReader(object))
		if err != nil || strings.Join(got.needs, ",") != strings.ReplaceAll(strings.TrimSpace(string(want)), "-", "_") {
			t.Errorf("%s needs %v, %v, not %s", name, got.needs, err, want)
		}
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add(fake{modinfo: []string{"depends=a,b-c", "softdep=pre: d post: e", "alias=x"}}.bytes())
	f.Add(fake{}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := readInfo(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, name := range in.needs {
			if name == "" || strings.ContainsAny(name, "/-\x00") {
				t.Errorf("it needs %q", name)
			}
		}
	})
}
