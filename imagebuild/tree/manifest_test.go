package tree_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func format(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	var b bytes.Buffer
	if err := tree.WriteManifest(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const sample = `#mtree v2.0
. type=dir mode=0755 uid=0 gid=0 time=0.000000000
./bin type=link mode=0777 uid=0 gid=0 time=-1.500000000 link=usr\040bin
./c type=char mode=0666 uid=0 gid=5 time=4354819200.000000001 device=native,1,3
./e type=file mode=4755 uid=70000 gid=0 time=0.000000000 size=0 sha256digest=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
#xattr security.capability=AQAAAgAgAAAAAAAAAAAAAAAAAAA=
#xattr user.a\075\012=
./f type=fifo mode=0644 uid=0 gid=0 time=0.000000000 inode=1 nlink=2
./\377\012 type=fifo mode=0644 uid=0 gid=0 time=0.000000000 inode=1 nlink=2
`

func TestManifestIsWhatIsDocumented(t *testing.T) {
	var b tree.Builder
	fifo := tree.Inode{Mode: tree.Fifo | 0o644}
	for err := range slices.Values([]error{
		b.Add("bin", tree.Inode{Mode: tree.Symlink, Target: "usr bin", ModTime: tree.Time{Sec: -1, Nsec: 5e8}}),
		b.Add("c", tree.Inode{Mode: tree.CharDev | 0o666, GID: 5, Major: 1, Minor: 3, ModTime: tree.Time{Sec: 4354819200, Nsec: 1}}),
		b.Add("e", tree.Inode{Mode: tree.Regular | 0o4755, UID: 70000, Xattrs: []tree.Xattr{{Name: "user.a=\n"}, {Name: "security.capability", Value: treetest.NetRaw}}}),
		b.Add("f", fifo),
		b.Link("\xff\n", "f"),
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := format(t, tr); got != sample {
		t.Errorf("got\n%s\nwant\n%s", got, sample)
	}
}

func TestManifestReadsBack(t *testing.T) {
	odd := treetest.Odd()
	text := format(t, odd)
	got, err := tree.ReadManifest(strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(odd, got, treetest.All))
	if got.Digest() != odd.Digest() || format(t, got) != text {
		t.Error("the manifest of what was read is another")
	}
	if err := treetest.Read(got); err == nil || !strings.Contains(err.Error(), "not at hand") {
		t.Errorf("reading a content that is not there: %v", err)
	}
}

func TestManifestFindsContents(t *testing.T) {
	tr := plant(t, "a:abc", "b:", "c:defg")
	got, err := tree.ReadManifest(strings.NewReader(format(t, tr)), func(d tree.Digest, size int64) tree.Content {
		for n := range tr.All() {
			if inode := n.Inode(); inode.Mode.IsRegular() && inode.Digest == d && inode.Size == size {
				return inode.Content
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := treetest.Read(got); err != nil {
		t.Error(err)
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	lines := strings.SplitAfter(sample, "\n")
	without := func(i int) string { return strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "") }
	replace := func(old, new string) string { return strings.Replace(sample, old, new, 1) }
	for complaint, text := range map[string]string{
		"manifest:1: must be":                    without(0),
		"manifest:2: /bin: the root must":        without(1),
		"not as many paths":                      without(8),
		"the last line is cut off":               strings.TrimSuffix(sample, "\n"),
		"must be":                                "#mtree v1.0\n",
		"the root is missing":                    "#mtree v2.0\n",
		"manifest:3: /bin: its lines are n":      replace("link=usr\\040bin", "link=u\\163r\\040bin"),
		"three octal digits":                     replace("\\040", "\\x40"),
		"escape that is cut off":                 replace("\\040bin", "\\04"),
		"not a keyword":                          replace("gid=5", "gid=5 flags=none"),
		"uid: strconv":                           replace("uid=70000", "uid=4294967296"),
		"is not base64":                          replace("AQAA", "*"),
		"is no SHA-256":                          replace("e3b0c4", "c4"),
		"with the digest of another":             replace("e3b0c4", "e3b0c5"),
		"without a content and without a digest": replace("size=0 sha256digest=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size=5"),
		"other attributes at another path":       replace("./\\377\\012 type=fifo mode=0644", "./\\377\\012 type=fifo mode=0640"),
		"no set of hard links":                   strings.ReplaceAll(sample, "inode=1", "inode=2"),
		`"pipe" is not known`:                    replace("type=fifo", "type=pipe"),
		"an empty name":                          replace("./bin", ".//bin"),
		"manifest:3: /../bin":                    replace("./bin", "./../bin"),
		"in the order of bytes":                  replace("./c ", "./a "),
		"missing":                                replace("./bin", "./b/n"),
	} {
		if _, err := tree.ReadManifest(strings.NewReader(text), nil); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// bsdtar's idea of each path of a manifest, as its verbose listing tells it.
func TestBsdtarReadsManifest(t *testing.T) {
	if _, err := exec.LookPath("bsdtar"); err != nil {
		t.Skip(err)
	}
	odd := treetest.Odd()
	// Converting the manifest to a manifest has libarchive tell all it read.
	cmd := exec.CommandContext(t.Context(), "bsdtar", "-cf", "-", "--format=mtree",
		"--options=!all,type,mode,uid,gid,time,link,size,device,nlink", "@-")
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(format(t, odd))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("bsdtar: %v: %.2000s", err, complaints.String())
	}
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, words, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[unescape(path)] = words
	}
	for line := range strings.Lines(format(t, odd)) {
		if line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		words, found := got[unescape(fields[0])]
		if !found {
			t.Errorf("bsdtar does not tell %s", fields[0])
			continue
		}
		for _, want := range fields[1:] {
			key, _, _ := strings.Cut(want, "=")
			switch key {
			case "time": // libarchive writes the nanoseconds as a number
				sec, nsec, _ := strings.Cut(want, ".")
				want = sec + "." + cmp.Or(strings.TrimLeft(nsec, "0"), "0")
			case "mode":
				octal, _ := strconv.ParseUint(want[len("mode="):], 8, 12)
				want = fmt.Sprintf("mode=%o", octal)
			case "inode", "sha256digest":
				continue
			}
			if !slices.Contains(strings.Fields(words), want) {
				t.Errorf("%s: bsdtar has %q, want %q among it", fields[0], words, want)
			}
		}
	}
}

// unescape undoes any escapes in octal digits, more than are needed, too.
func unescape(s string) string {
	return regexp.MustCompile(`\\[0-7]{3}`).ReplaceAllStringFunc(s, func(octal string) string {
		c, _ := strconv.ParseUint(octal[1:], 8, 8)
		return string([]byte{byte(c)})
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(sample)
	f.Add("#mtree v2.0\n. type=dir mode=0755 uid=0 gid=0 time=0.000000000\n./s type=socket mode=0000 uid=1 gid=0 time=0.000000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := tree.ReadManifest(strings.NewReader(text), nil)
		if err != nil {
			return
		}
		if got := format(t, tr); got != text {
			t.Errorf("read %q, wrote %q", text, got)
		}
	})
}
