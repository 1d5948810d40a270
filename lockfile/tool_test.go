package lockfile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func needSha256sum(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("sha256sum is not installed")
	}
}

// GNU sha256sum accepts every entry of a formatted lock, warns of nothing, and
// notices a changed file; and what sha256sum writes is read here.
func TestGNUSha256sum(t *testing.T) {
	needSha256sum(t)
	dir := t.TempDir()
	files := []string{"pool/main/h/hello_2.10-3_amd64.deb", "*star.deb", "#hash.deb", "--check", "-x/y", "...", "a'b\"c$d.deb", "1%3a2~b+c.deb", "日本.deb"}
	l := &Lock{
		System: System{"debian", "12", "amd64"}, Missing: []Missing{{"x", "1", "all"}},
		CIDs: map[Digest]string{DigestOf([]byte("x")): "Qm"}, Header: []string{"# by hand"}, Trailer: []string{"#"},
	}
	for i, name := range files {
		content := []byte(name)
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		e := Entry{Digest: DigestOf(content), Path: name, Comments: []string{"# about " + name}}
		if i%2 == 0 {
			e.Archive, e.Unsigned = Archive{Name: "X", URL: "https://x.example/"}, i%4 == 0
		}
		l.Entries = append(l.Entries, e)
	}
	if err := l.Sort(); err != nil {
		t.Fatal(err)
	}
	check := func() (string, error) {
		cmd := exec.Command("sha256sum", "--check", "--strict", "--warn", "-")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(l.Format())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := check()
	if err != nil || strings.Count(out, ": OK\n") != len(files) || strings.Count(out, "\n") != len(files) {
		t.Errorf("sha256sum --check: %v\n%s\n%s", err, out, l.Format())
	}
	for _, mode := range []string{"--text", "--binary"} {
		cmd := exec.Command("sha256sum", append([]string{mode, "--"}, files...)...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		bare := mustParse(t, string(out))
		if len(bare.Entries) != len(files) || len(bare.Without(l).Entries) != 0 {
			t.Errorf("sha256sum %s wrote\n%s\nwhich is read as\n%s", mode, out, bare.Format())
		}
	}
	if err := os.WriteFile(filepath.Join(dir, files[0]), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil || !strings.Contains(out, files[0]+": FAILED") {
		t.Errorf("sha256sum did not notice a changed file: %v\n%s", err, out)
	}
}

// The example in the description of the format is canonical, and what the
// description says is refused is refused.
func TestDocumentedExample(t *testing.T) {
	doc, err := os.ReadFile("../docs/lock-format.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(doc), "```")
	var locks int
	for i := 1; i < len(blocks); i += 2 {
		if text, ok := strings.CutPrefix(blocks[i], "lock\n"); ok {
			locks++
			if !IsCanonical([]byte(text)) {
				t.Errorf("docs/lock-format.md has a lock that is not canonical:\n%s", text)
			}
		}
	}
	if locks == 0 {
		t.Error("docs/lock-format.md has no example")
	}
	for name := range directives {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/lock-format.md does not describe the directive %s", name)
		}
	}
}
