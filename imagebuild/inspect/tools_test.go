package inspect_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/uki"
)

// run runs a program, and skips the test where it is not installed.
func run(t testing.TB, argv ...string) string {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path, argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// hostDir is a directory with what an ordinary user can make.
func hostDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	must(t, os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "sub/file"), []byte(strings.Repeat("content ", 20_000)), 0o640))
	must(t, os.WriteFile(filepath.Join(dir, "small"), []byte("x"), 0o755))
	must(t, os.Symlink("sub/file", filepath.Join(dir, "link")))
	must(t, os.Link(filepath.Join(dir, "small"), filepath.Join(dir, "sub/same")))
	return dir
}

// What other programs make of a directory differs from it in nothing that the
// format can hold.
func TestImagesOfOthersAreTheirDirectory(t *testing.T) {
	dir := hostDir(t)
	for name, argv := range map[string][]string{
		"tar": {"tar", "-C", dir, "-cf", "OUT", "."}, "tar.gz": {"tar", "-C", dir, "-czf", "OUT", "."}, "pax": {"tar", "--format=pax", "-C", dir, "-cf", "OUT", "."},
		"tar.xz": {"tar", "-C", dir, "-cJf", "OUT", "."}, "tar.bz2": {"tar", "-C", dir, "-cjf", "OUT", "."},
		"cpio":          {"sh", "-c", "cd " + dir + " && find . | cpio -o -H newc --quiet > OUT"},
		"cpio.xz":       {"sh", "-c", "cd " + dir + " && find . | cpio -o -H newc --quiet | xz --check=crc32 > OUT"},
		"cpio.lz4":      {"sh", "-c", "cd " + dir + " && find . | cpio -o -H newc --quiet | lz4 -q > OUT"},
		"squashfs":      {"mksquashfs", dir, "OUT", "-quiet", "-no-progress", "-comp", "zstd"},
		"squashfs gzip": {"mksquashfs", dir, "OUT", "-quiet", "-no-progress", "-comp", "gzip"},
		"erofs":         {"mkfs.erofs", "OUT", dir},
		"iso":           {"xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", "OUT", dir},
		"ext4":          {"mke2fs", "-q", "-t", "ext4", "-b", "4096", "-I", "256", "-d", dir, "OUT", "64M"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "image")
			for i := range argv {
				argv[i] = strings.ReplaceAll(argv[i], "OUT", out)
			}
			run(t, argv...)
			var lines []string
			for _, line := range diff(t, dir, out) {
				// mke2fs gives the root the time of its own making, and xorriso keeps
				// hard links only if asked to, in a way that Linux does not see.
				if !strings.HasPrefix(line, ":/lost+found path >dir") && !(name == "ext4" && strings.HasPrefix(line, ":/ time ")) &&
					!(name == "iso" && strings.Contains(line, "hard link to")) {
					lines = append(lines, line)
				}
			}
			if len(lines) > 0 {
				t.Errorf("%q", lines)
			}
			if failed, n := wrong(t, out); len(failed) > 0 || n == 0 {
				t.Errorf("of %d checks fail %q", n, failed)
			}
		})
	}
}

func TestTableAsSgdiskAndSfdiskSay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Truncate(path, 64<<20))
	run(t, "sgdisk", "-n", "1:0:+8M", "-t", "1:ef00", "-c", "1:boot here", "-n", "3:0:+4M", "-t", "3:8304", "-A", "3:set:60", "-n", "4:0:0", "-t", "4:8200", path)
	compareTable(t, path)
	p := open(t, path)
	list := run(t, "sgdisk", "-p", path)
	if id := p.Attribute("disk_id").(string); !strings.Contains(strings.ToLower(list), id) {
		t.Errorf("the disk is %s, and sgdisk says %s", id, list)
	}
	q, err := p.Find("boot here")
	must(t, err)
	info := strings.ToLower(run(t, "sgdisk", "-i", "1", path))
	if id := q.Attribute("partition_id").(string); !strings.Contains(info, id) {
		t.Errorf("the partition is %s, and sgdisk says %s", id, info)
	}
}

// compareTable holds the places of partitions against sfdisk's JSON.
func compareTable(t *testing.T, path string) {
	t.Helper()
	var said struct {
		Table struct {
			Label, ID  string
			Partitions []struct {
				Node        string
				Start, Size int64
			}
		} `json:"partitiontable"`
	}
	must(t, json.Unmarshal([]byte(run(t, "sfdisk", "-J", path)), &said))
	p := open(t, path)
	if want := map[string]string{"gpt": "gpt", "dos": "mbr"}[said.Table.Label]; p.Format != want || p.Problem != nil {
		t.Errorf("it is %s, %v, and sfdisk says %s", p.Format, p.Problem, said.Table.Label)
	}
	if len(p.Parts) != len(said.Table.Partitions) {
		t.Fatalf("%d partitions, and sfdisk says %d", len(p.Parts), len(said.Table.Partitions))
	}
	for i, q := range p.Parts {
		want := said.Table.Partitions[i]
		if q.Attribute("start") != want.Start*512 || q.Size != want.Size*512 || want.Node != path+strconv.Itoa(q.Number) {
			t.Errorf("partition %d: %v, %d, and sfdisk says %+v", q.Number, q.Attribute("start"), q.Size, want)
		}
	}
	if id := strings.TrimPrefix(strings.ToLower(said.Table.ID), "0x"); p.Attribute("disk_id") != id {
		t.Errorf("the disk is %v, and sfdisk says %s", p.Attribute("disk_id"), id)
	}
}

func TestMasterBootRecordAsSfdiskSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Truncate(path, 64<<20))
	run(t, "sh", "-c", "printf 'label: dos\nlabel-id: 0x1234abcd\n,16M,c,*\n,,83\n' | sfdisk -q "+path)
	run(t, "mkfs.vfat", "-F", "16", "--offset", "2048", "-n", "CARD", path, "16384")
	compareTable(t, path)
	p := open(t, path)
	q, err := p.Find("1")
	must(t, err)
	if q.Format != "fat16" || q.Attribute("label") != "CARD" || q.Attribute("active") != true || q.Attribute("partition_type") != "fat32" {
		t.Errorf("%+v", q)
	}
}

// Logical partitions are told behind the others, and so is what lies outside of
// the disk.
func TestMasterBootRecordWithLogicalPartitions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Truncate(path, 64<<20))
	run(t, "sh", "-c", "printf 'label: dos\n2: size=16M\n4: type=5\n,8M\n,8M,82\n' | sfdisk -q "+path)
	compareTable(t, path)
	p := open(t, path)
	if problems(p) != "" || len(p.Parts) != 4 || p.Parts[1].Attribute("partition_type") != "extended" || p.Parts[3].Attribute("partition_type") != "swap" {
		t.Errorf("%q, %+v", problems(p), p.Parts)
	}
	must(t, os.Truncate(path, 10<<20))
	p = open(t, path)
	if p.Problem == nil || len(p.Parts) != 2 || p.Parts[0].Problem == nil || p.Parts[1].Problem == nil {
		t.Errorf("%q, %+v", problems(p), p.Parts)
	}
}

func TestHybridISO(t *testing.T) {
	const code = "/usr/lib/ISOLINUX/isohdpfx.bin"
	if _, err := os.Stat(code); err != nil {
		t.Skip(err)
	}
	dir := hostDir(t)
	run(t, "sh", "-c", "cp /usr/lib/ISOLINUX/isolinux.bin "+dir)
	esp := filepath.Join(dir, "efi.img")
	run(t, "mkfs.vfat", "-C", "-F", "16", "-s", "1", "-n", "UEFI", esp, "4096")
	path := filepath.Join(t.TempDir(), "iso")
	run(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "BOOT", "-isohybrid-mbr", code, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		"-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-isohybrid-gpt-basdat", "-o", path, dir)
	p := open(t, path)
	if p.Format != "iso9660" || p.Attribute("label") != "BOOT" || p.Attribute("partition_table") == nil || len(p.Parts) != 3 {
		t.Fatalf("%+v", p)
	}
	q, err := p.Find("boot/uefi/2")
	must(t, err)
	if q.Format != "fat16" || q.Attribute("label") != "UEFI" || q.Size != 4<<20 {
		t.Errorf("%+v", q)
	}
	info := run(t, "isoinfo", "-d", "-i", path)
	if !strings.Contains(info, "Volume id: BOOT") || !strings.Contains(info, "Eltorito") {
		t.Errorf("isoinfo says %s", info)
	}
	if list, _ := wrong(t, path); len(list) > 0 {
		t.Errorf("%q", list)
	}
}

// Sections are those that objdump tells.
func TestSectionsAsObjdumpSays(t *testing.T) {
	const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	content, err := os.ReadFile(stub)
	if err != nil {
		t.Skip(err)
	}
	u, err := uki.New(uki.Options{Stub: section(content), Linux: section(program()), OSRelease: []byte("ID=test\n"), Cmdline: "quiet", Uname: "6.1"})
	must(t, err)
	path := file(t, "kernel.efi", func(f *os.File) error {
		r, err := u.Open()
		if err != nil {
			return err
		}
		_, err = f.ReadFrom(r)
		return err
	})
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^ *\d+ (\S+) +([0-9a-f]{8}) `).FindAllStringSubmatch(run(t, "objdump", "-h", path), -1) {
		size, err := strconv.ParseInt(m[2], 16, 64)
		must(t, err)
		want = append(want, fmt.Sprint(m[1], " ", size))
	}
	p := open(t, path)
	var got []string
	for _, q := range p.Parts {
		got = append(got, fmt.Sprint(q.Name, " ", q.Size))
	}
	if len(got) < 8 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, and objdump says %q", got, want)
	}
	if failed, _ := wrong(t, path); len(failed) > 0 {
		t.Errorf("%q", failed)
	}
}

// What skopeo makes of a layout has the same files, and what it says of one is
// what the part says.
func TestImagesOfSkopeo(t *testing.T) {
	paths := images(t, rootTree(t))
	var said struct {
		Digest       string
		Created      string
		Architecture string
		Layers       []string
	}
	must(t, json.Unmarshal([]byte(run(t, "skopeo", "inspect", "oci:"+paths["oci"]+":v1")), &said))
	p := open(t, paths["oci"])
	image, err := p.Find("v1")
	must(t, err)
	digest, err := image.Digest(t.Context())
	must(t, err)
	layer, err := p.Find("layer/1")
	must(t, err)
	blob, err := layer.Digest(t.Context())
	must(t, err)
	if "sha256:"+digest.String() != said.Digest || len(said.Layers) != 1 || "sha256:"+blob.String() != said.Layers[0] ||
		image.Attribute("platform") != "linux/"+said.Architecture || image.Attribute("created") != said.Created {
		t.Errorf("%v, and skopeo says %+v", image.Attributes, said)
	}
	for name, to := range map[string]string{"docker archive": "docker-archive:OUT:example.org/app:1", "oci layout": "oci-archive:OUT:v1"} {
		out := filepath.Join(t.TempDir(), "out")
		run(t, "skopeo", "copy", "-q", "--insecure-policy", "oci:"+paths["oci"]+":v1", strings.ReplaceAll(to, "OUT", out))
		if got := open(t, out); got.Format != name {
			t.Errorf("%s is %s", to, got.Format)
		}
		if lines := diff(t, paths["tar"], out); len(lines) > 0 {
			t.Errorf("%s: %q", to, lines)
		}
		if failed, n := wrong(t, out); len(failed) > 0 || n < 3 {
			t.Errorf("%s: of %d checks fail %q", to, n, failed)
		}
	}
}

// A hash tree that veritysetup made guards its data here, too.
func TestHashTreeOfVeritysetup(t *testing.T) {
	d := newDisk(t)
	b, err := os.ReadFile(d.path)
	must(t, err)
	root := file(t, "root", func(f *os.File) error {
		_, err := f.Write(b[d.start["root"] : d.start["root"]+76*4096])
		return err
	})
	hashes := filepath.Join(t.TempDir(), "hashes")
	out := run(t, "veritysetup", "format", root, hashes)
	hash := regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`).FindStringSubmatch(out)[1]
	p := open(t, hashes)
	if p.Format != "verity" || p.Attribute("root_hash") != hash || p.Attribute("data_size") != int64(76*4096) {
		t.Errorf("%v, and veritysetup says %s", p.Attributes, out)
	}
	tree, err := os.ReadFile(hashes)
	must(t, err)
	disk := damaged(t, d.path, func(b []byte) { copy(b[d.start["hashes"]:], tree) })
	failed, _ := wrong(t, disk)
	if len(failed) != 1 || !strings.Contains(failed[0], "the root hash on the command line") {
		t.Errorf("%q", failed)
	}
}

// What is not looked into is told by name, label and UUID, as mkswap gives them.
func TestSwap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swap")
	must(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	run(t, "mkswap", "-L", "name", "-U", "12345678-1234-4234-8234-123456789abc", path)
	p := open(t, path)
	if p.Format != "swap" || p.Attribute("label") != "name" || p.Attribute("uuid") != "12345678-1234-4234-8234-123456789abc" || p.HasTree() {
		t.Errorf("%+v", p)
	}
}
