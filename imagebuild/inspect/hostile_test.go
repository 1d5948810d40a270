package inspect_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
)

// layoutOf is an OCI layout of an index and blobs.
func layoutOf(t testing.TB, index string, blobs ...string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o644))
	for _, b := range blobs {
		must(t, os.WriteFile(filepath.Join(dir, "blobs/sha256", sum(b)), []byte(b), 0o644))
	}
	return dir
}

func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func descriptor(kind, content string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d}`, kind, sum(content), len(content))
}

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// problems are those of all parts.
func problems(p *inspect.Part) string {
	var list []string
	p.All(func(path []string, q *inspect.Part) bool {
		if q.Problem != nil {
			list = append(list, q.Problem.Error())
		}
		return true
	})
	return strings.Join(list, "\n")
}

func TestHostileLayouts(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("{}"), 0o644))
	link := layoutOf(t, `{"manifests":[`+descriptor(manifestType, "{}")+`]}`)
	must(t, os.Symlink(outside, filepath.Join(link, "blobs/sha256", sum("{}"))))
	var nested string // an index in an index, and so on
	blobs := []string{`{"manifests":[]}`}
	for range 20 {
		nested = `{"manifests":[` + descriptor(indexType, blobs[len(blobs)-1]) + `]}`
		blobs = append(blobs, nested)
	}
	many := `{"manifests":[` + strings.TrimSuffix(strings.Repeat(descriptor(indexType, blobs[0])+",", 5000), ",") + `]}`
	layers := `{"config":` + descriptor("application/vnd.oci.image.config.v1+json", "{}") + `,"layers":[` + strings.TrimSuffix(strings.Repeat(descriptor("x", "y")+",", 1001), ",") + `]}`
	gone := `{"config":` + descriptor("application/vnd.oci.image.config.v1+json", "{}") + `}`
	for name, c := range map[string]struct{ path, want string }{
		"a digest that is a path": {layoutOf(t, `{"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}`), "is not a SHA-256"},
		"no digest":               {layoutOf(t, `{"manifests":[{}]}`), "is not a SHA-256"},
		"a link that leads out":   {link, "is no regular file"},
		"no index":                {layoutOf(t, `{"manifests":`), "index.json: unexpected end"},
		"indexes without end":     {layoutOf(t, nested, blobs...), "indexes in indexes without end"},
		"too many":                {layoutOf(t, many, blobs...), "blobs"},
		"too many layers":         {layoutOf(t, `{"manifests":[`+descriptor(manifestType, layers)+`]}`, layers, "{}"), "1001 layers"},
		"a config that is gone":   {layoutOf(t, `{"manifests":[`+descriptor(manifestType, gone)+`]}`, gone), "the configuration: "},
	} {
		if got := problems(open(t, c.path)); !strings.Contains(got, c.want) {
			t.Errorf("%s: %.300s, want %q", name, got, c.want)
		}
	}
}

// Artifacts that are no images, such as locks, list their files.
func TestArtifacts(t *testing.T) {
	manifest := `{"artifactType":"application/vnd.samebits.lock.v1","config":` + descriptor("application/vnd.oci.empty.v1+json", "{}") +
		`,"layers":[{"mediaType":"application/vnd.debian.binary-package","digest":"sha256:` + sum("deb") + `","size":3,"annotations":{"org.opencontainers.image.title":"pool/a.deb"}}]}`
	p := open(t, layoutOf(t, `{"manifests":[`+descriptor(manifestType, manifest)+`]}`, manifest, "{}", "deb"))
	q, err := p.Find("oci artifact")
	must(t, err)
	if q.Attribute("artifact_type") != "application/vnd.samebits.lock.v1" || len(q.Parts) != 2 || q.Parts[1].Name != "pool/a.deb" || q.Parts[1].Size != 3 {
		t.Errorf("%+v", q)
	}
	checks, err := p.Verify(t.Context())
	must(t, err)
	if len(checks) != 3 || checks[2].Err != nil {
		t.Errorf("%+v", checks)
	}
}

// Images of several platforms are parts of one index.
func TestPlatforms(t *testing.T) {
	config := `{"architecture":"arm64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`
	manifest := `{"mediaType":"` + manifestType + `","config":` + descriptor("application/vnd.oci.image.config.v1+json", config) + `,"layers":[]}`
	platform := strings.TrimSuffix(descriptor(manifestType, manifest), "}") + `,"platform":{"os":"linux","architecture":"arm64","variant":"v8"}}`
	index := `{"manifests":[` + platform + `]}`
	p := open(t, layoutOf(t, `{"manifests":[`+descriptor(indexType, index)+`]}`, index, manifest, config))
	q, err := p.Find("linux/arm64/v8")
	must(t, err)
	if q.Format != "oci image" || read(t, q).Len() != 1 || problems(p) != "" {
		t.Errorf("%+v: %s", q, problems(p))
	}
}

// tarOf is an archive of files.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		must(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func openBytes(t testing.TB, b []byte) *inspect.Part {
	t.Helper()
	return inspect.OpenAt(t.Context(), bytes.NewReader(b), int64(len(b)))
}

func TestHostileDockerArchives(t *testing.T) {
	for manifest, want := range map[string]string{
		`[{"Config":"../../etc/passwd","Layers":[]}]`: "file does not exist",
		`[{"Config":"none.json","Layers":[]}]`:        "/none.json: file does not exist",
		`[{"Config":"c.json","Layers":["none"]}]`:     "/none: file does not exist",
		`[{"Config":"c.json","Layers":["c.json"]}]`:   "1 layers, and the configuration has 0",
		`[{"Config":"manifest.json","Layers":[]}]`:    "manifest.json: json: cannot unmarshal",
	} {
		p := openBytes(t, tarOf(t, "manifest.json", manifest, "c.json", "{}"))
		if p.Format != "docker archive" || !strings.Contains(problems(p), want) {
			t.Errorf("%s: %s, %q", manifest, p.Format, problems(p))
		}
	}
	// An archive that merely has a file of that name is an archive.
	for _, manifest := range []string{"text", "{}", "[]", `[{"Layers":[]}]`} {
		if p := openBytes(t, tarOf(t, "manifest.json", manifest)); p.Format != "tar" || p.Problem != nil {
			t.Errorf("%s: %s, %v", manifest, p.Format, p.Problem)
		}
	}
}

// Partitions may lie over each other, and a disk in itself, but not for ever.
func TestDisksInThemselves(t *testing.T) {
	b := make([]byte, 1<<20)
	b[510], b[511] = 0x55, 0xAA
	for i := range 4 {
		e := b[446+16*i:]
		e[4] = 0x83
		binary.LittleEndian.PutUint32(e[8:], 0) // the disk itself
		binary.LittleEndian.PutUint32(e[12:], uint32(len(b)/512))
	}
	if p := openBytes(t, b); p.Format != "mbr" || len(p.Parts) != 4 || len(p.Parts[0].Parts) != 0 {
		t.Errorf("%+v", p)
	}
	// Each sector begins another one, in which the next begins, four times.
	for at := 512; at < len(b); at += 512 {
		copy(b[at:], b[:512])
	}
	for at := 0; at < len(b); at += 512 {
		for i := range 4 {
			binary.LittleEndian.PutUint32(b[at+446+16*i+8:], 1)
			binary.LittleEndian.PutUint32(b[at+446+16*i+12:], uint32((len(b)-at)/512-1))
		}
	}
	p := openBytes(t, b)
	n := 0
	p.All(func([]string, *inspect.Part) bool { n++; return true })
	if n > 10_000 || !strings.Contains(problems(p), "in each other") {
		t.Errorf("%d parts", n)
	}
}

// A file system that says to have itself as a file ends, too.
func TestVolumeInItself(t *testing.T) {
	var b tree.Builder
	large := make([]byte, 40<<20)
	must(t, b.Add("self.img", tree.Inode{Mode: tree.Regular | 0o644, Size: int64(len(large)), Content: tree.Bytes(large)}))
	path := sized(t, "iso", func(f *os.File) (int64, error) {
		l, err := iso.Write(t.Context(), f, freeze(t, &b), iso.Options{})
		if err != nil {
			return 0, err
		}
		return l.Size, nil
	})
	p := open(t, damaged(t, path, func(b []byte) {
		at := bytes.Index(b, []byte("SELF.IMG")) - 33
		binary.LittleEndian.PutUint32(b[at+2:], 0)
		binary.BigEndian.PutUint32(b[at+6:], 0)
	}))
	depth := 0
	p.All(func(path []string, _ *inspect.Part) bool { depth = max(depth, len(path)); return true })
	if depth < 2 || depth > 13 || !strings.Contains(problems(p), "in each other") {
		t.Errorf("%d deep: %s", depth, problems(p))
	}
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	for path, want := range map[string]string{fifo: "it can only be read once", filepath.Join(dir, "none"): "no such file", "/dev/null": "it can only be read once"} {
		if _, err := inspect.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A disk that is compressed would have to be read at random.
func TestCompressedDisks(t *testing.T) {
	d := newDisk(t)
	raw, err := os.ReadFile(d.path)
	must(t, err)
	z, err := compress.Zstd.Bytes(raw)
	must(t, err)
	p := openBytes(t, z)
	if p.Format != "zstd" || p.Attribute("content") != "gpt" || p.Problem == nil || !strings.Contains(p.Problem.Error(), "decompress it first") {
		t.Errorf("%+v", p)
	}
	if p := openBytes(t, z[:20]); p.Problem == nil {
		t.Error("a file that is cut off has no problem")
	}
}

// Archives follow each other in any order of compressions, and a later one is put
// over those before.
func TestArchivesInAnyOrder(t *testing.T) {
	part := func(content string, c cpio.Compression) []byte {
		var b tree.Builder
		must(t, b.Set("", tree.Inode{Mode: tree.Directory | 0o755}))
		must(t, b.Add("file", treetest.File(0o644, content)))
		return initrdOf(t, freeze(t, &b), c)
	}
	kinds := []cpio.Compression{nil, compress.Gzip, compress.Zstd}
	for i, first := range kinds {
		for j, second := range kinds {
			b := append(part("first", first), make([]byte, 8)...)
			b = append(b, part("second", second)...)
			tr, err := openBytes(t, b).Tree(t.Context())
			if err != nil {
				t.Errorf("%d, %d: %v", i, j, err)
				continue
			}
			n, err := tr.Resolve("file")
			must(t, err)
			r, err := n.Open()
			must(t, err)
			if got, err := io.ReadAll(r); err != nil || string(got) != "second" {
				t.Errorf("%d, %d: %q, %v", i, j, got, err)
			}
			must(t, r.Close())
		}
	}
	junk := append(part("first", nil), "no archive"...)
	if _, err := openBytes(t, junk).Tree(t.Context()); err == nil || !strings.Contains(err.Error(), "byte 512 is where no archive begins") {
		t.Errorf("something behind an archive: %v", err)
	}
	many := bytes.Repeat(part("x", nil), 65)
	if _, err := openBytes(t, many).Tree(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 64 archives") {
		t.Errorf("many archives: %v", err)
	}
}

// What lies in an archive as it is is read where it lies; what does not, such as
// a file with holes, is had all the same.
func TestContentsOfArchives(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "holes"))
	must(t, err)
	_, err = f.WriteAt([]byte("end"), 1<<20)
	must(t, err)
	must(t, f.Close())
	must(t, os.WriteFile(filepath.Join(dir, "plain"), treetest.Random(1, 100_000), 0o644))
	out := filepath.Join(t.TempDir(), "tar")
	run(t, "tar", "-S", "--format=gnu", "-C", dir, "-cf", out, ".")
	tr := read(t, open(t, out))
	if err := treetest.Read(tr); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]bool{"plain": true, "holes": false} {
		n, err := tr.Resolve(name)
		must(t, err)
		r, err := n.Inode().Content.Open()
		must(t, err)
		if _, random := r.(io.ReaderAt); random != want {
			t.Errorf("%s can be read at random: %t", name, random)
		}
		must(t, r.Close())
	}
}

// Of contents that are not read to their end, nothing is left running.
func TestContentsLeftUnread(t *testing.T) {
	tr := read(t, open(t, images(t, rootTree(t))["tar.zst"]))
	n, err := tr.Resolve("large")
	must(t, err)
	for range 50 {
		r, err := n.Open()
		must(t, err)
		_, err = r.Read(make([]byte, 10))
		must(t, err)
		must(t, r.Close()) // returns when nobody reads any more
	}
}

// FAT has no owners, modes or attributes of the root, and times of two seconds.
func TestDiffWithFAT(t *testing.T) {
	var b tree.Builder
	odd := treetest.File(0o644, "text")
	odd.ModTime.Sec++
	odd.UID = 5
	must(t, b.Set("", tree.Inode{Mode: tree.Directory | 0o700, ModTime: epoch}))
	must(t, b.Add("file", odd))
	tr := freeze(t, &b)
	path := sized(t, "fat", func(f *os.File) (int64, error) {
		return fat.Write(t.Context(), f, tr, fat.Options{DropOwners: true, DropModes: true})
	})
	if lines := diff(t, path, images(t, tr)["tar"]); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}

// Sections of one name are files of names that differ.
func TestSectionsOfOneName(t *testing.T) {
	u, err := uki.New(uki.Options{
		Stub: section(program()), Linux: section(program()), Cmdline: "x",
		DTBs: []*io.SectionReader{section([]byte("first")), section([]byte("second"))},
	})
	must(t, err)
	r, err := u.Open()
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	p := openBytes(t, b)
	tr := read(t, p)
	for name, want := range map[string]int64{".dtb": 5, ".dtb.2": 6, ".cmdline": 1} {
		n, err := tr.Resolve(name)
		if err != nil || n.Inode().Size != want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Find(name); err != nil {
			t.Error(err)
		}
	}
}

// A hash tree is of the partition whose type says so, though another has the same
// size.
func TestWhichDataAHashTreeIsOf(t *testing.T) {
	d := newDisk(t)
	raw, err := os.ReadFile(d.path)
	must(t, err)
	table, err := gpt.Read(bytes.NewReader(raw), int64(len(raw)))
	must(t, err)
	types, _ := gpt.TypesOf("amd64")
	for i := range table.Partitions {
		p := &table.Partitions[i]
		p.Name, p.Attributes = fmt.Sprint("p", i), 0
		if i == 0 {
			p.Type = types.Usr // before the root, and as large
		}
	}
	f := file(t, "disk", func(f *os.File) error {
		if _, err := f.Write(raw); err != nil {
			return err
		}
		return table.WriteTo(f)
	})
	q, err := open(t, f).Find("verity")
	must(t, err)
	if q.Attribute("data") != "p1" {
		t.Errorf("it is of %v", q.Attribute("data"))
	}
	if text, err := json.Marshal(q.Attribute("root_hash_in_ids")); err != nil || string(text) != "true" {
		t.Errorf("%s, %v", text, err)
	}
}
