package yum

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

// exampleModules is as libmodulemd writes it, with the traps that streams and
// descriptions set.
const exampleModules = `---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "1.10"
  version: 8030020201124152102
  context: 229f0a1c
  arch: x86_64
  summary: Javascript runtime
  description: >-
    Node.js is a platform: built on
    name: nonsense
    * Chrome's & others'
  license:
    module:
    - MIT
    content:
    - MIT and ASL 2.0 and ISC and BSD
  xmd:
    mbs: {mse: TRUE, rpms: {nodejs: {ref: "*x"}}}
  dependencies:
  - buildrequires:
      platform: [el8.3.0]
    requires:
      platform: [el8]
  references:
    community: http://nodejs.org
  profiles:
    common:
      rpms:
      - nodejs
      - npm
  api:
    rpms:
    - nodejs
  components:
    rpms:
      nodejs:
        rationale: |
          Javascript runtime
          artifacts: none
        ref: stream-12
  artifacts:
    rpms:
    - nodejs-1:12.19.1-1.module+el8.3.0+8851+b7b41ca0.src
    - nodejs-1:12.19.1-1.module+el8.3.0+8851+b7b41ca0.x86_64
    - npm-1:6.14.8-1.12.19.1.1.module+el8.3.0+8851+b7b41ca0.x86_64
    - not a package
...
---
document: modulemd-defaults
version: 1
data:
  module: nodejs
  stream: "10"
...
---
document: modulemd
version: 2
data:
  name: perl
  stream: 5.30
  version: 820190829141137
  context: 0177e123
  arch: noarch
  artifacts:
    rpms: [perl-4:5.30.0-1.noarch]
...
`

var wantModules = []Module{
	{Name: "nodejs", Stream: "1.10", Version: 8030020201124152102, Context: "229f0a1c", Arch: "x86_64", Artifacts: []rpm.NEVRA{
		{Name: "nodejs", Epoch: 1, Version: "12.19.1", Release: "1.module+el8.3.0+8851+b7b41ca0", Arch: "src"},
		{Name: "nodejs", Epoch: 1, Version: "12.19.1", Release: "1.module+el8.3.0+8851+b7b41ca0", Arch: "x86_64"},
		{Name: "npm", Epoch: 1, Version: "6.14.8", Release: "1.12.19.1.1.module+el8.3.0+8851+b7b41ca0", Arch: "x86_64"},
	}},
	{Name: "perl", Stream: "5.30", Version: 820190829141137, Context: "0177e123", Arch: "noarch", Artifacts: []rpm.NEVRA{
		{Name: "perl", Epoch: 4, Version: "5.30.0", Release: "1", Arch: "noarch"},
	}},
}

func TestModules(t *testing.T) {
	got, err := ReadModules(strings.NewReader(exampleModules))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wantModules, got); d != "" {
		t.Error(d)
	}
	if s := got[1].String(); s != "perl:5.30:820190829141137:0177e123:noarch" {
		t.Error(s)
	}
	if s := got[0].Label(); s != "nodejs:1.10:8030020201124152102:229f0a1c" {
		t.Error(s)
	}
}

func TestModulesInOtherForms(t *testing.T) {
	for name, doc := range map[string]string{
		"indented more":      "document: modulemd\nversion: 2\ndata:\n    summary: x\n    name: perl\n    stream: '5.30'\n    version: 820190829141137\n    context: '0177e123'\n    arch: noarch\n    artifacts:\n        rpms:\n            - perl-4:5.30.0-1.noarch\n",
		"in braces":          `{document: modulemd}` + "\n---\n" + `document: modulemd` + "\n" + `data: {name: perl, stream: "5.30", version: 820190829141137, context: 0177e123, arch: noarch, artifacts: {rpms: ["perl-4:5.30.0-1.noarch"]}}`,
		"comments, CR LF":    "# x\r\ndocument: modulemd\r\nversion: 2\r\ndata:\r\n  # y\r\n  name: perl # z\r\n  stream: \"5.30\"\r\n  version: 820190829141137\r\n  context: 0177e123\r\n  arch: noarch\r\n  artifacts:\r\n    rpms:\r\n    - perl-4:5.30.0-1.noarch\r\n",
		"lists not indented": "document: modulemd\ndata:\n  xmd:\n  - name: x\n    stream: y\n  name: perl\n  stream: '5.30'\n  version: 820190829141137\n  context: '0177e123'\n  arch: noarch\n  artifacts:\n    rpms:\n    - perl-4:5.30.0-1.noarch\n  other:\n  - arch: z\n",
	} {
		got, err := ReadModules(strings.NewReader(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(wantModules[1:], got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestModulesThatAreRefused(t *testing.T) {
	for name, doc := range map[string]string{
		"no YAML":             "document: modulemd\ndata: {",
		"a version of words":  "document: modulemd\ndata:\n  name: x\n  version: y\n",
		"a document too long": "document: modulemd\n" + strings.Repeat("#"+strings.Repeat(" ", 1000)+"\n", maxDocument/1000),
		"a line too long":     strings.Repeat("x", 2<<20),
	} {
		if got, err := ReadModules(strings.NewReader(doc)); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestModulesOfModifyrepo(t *testing.T) {
	dir := t.TempDir()
	packages(t, dir)
	command(t, "createrepo_c", "--quiet", dir)
	file := filepath.Join(t.TempDir(), "modules.yaml")
	if err := os.WriteFile(file, []byte(exampleModules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"gz", "xz"} {
		command(t, "modifyrepo_c", "--mdtype=modules", "--compress-type="+kind, file, filepath.Join(dir, "repodata"))
		d, ok := readRepomd(t, dir).Find("modules")
		if !ok || !strings.HasSuffix(d.Location, "modules.yaml."+kind) {
			t.Fatalf("%+v", d)
		}
		data, err := os.Open(filepath.Join(dir, d.Location))
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		var got []Module
		err = ReadData(d, data, func(r io.Reader) (err error) {
			got, err = ReadModules(r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(wantModules, got); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
}

func BenchmarkReadModules(b *testing.B) {
	var data bytes.Buffer
	for i := range 700 {
		first, _, _ := strings.Cut(exampleModules, "...\n")
		data.WriteString(strings.Replace(first, "name: nodejs\n", fmt.Sprintf("name: nodejs%d\n", i), 1))
		for j := range 30 {
			fmt.Fprintf(&data, "    - library%d-1:12.19.1-1.module+el8.3.0+8851+b7b41ca0.x86_64\n", j)
		}
	}
	b.SetBytes(int64(data.Len()))
	for b.Loop() {
		if m, err := ReadModules(bytes.NewReader(data.Bytes())); err != nil || len(m) != 700 {
			b.Fatal(len(m), err)
		}
	}
}

func FuzzReadModules(f *testing.F) {
	for doc := range strings.SplitSeq(exampleModules, "...\n") {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		modules, err := ReadModules(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, m := range modules {
			for _, a := range m.Artifacts {
				if !a.Valid() {
					t.Errorf("an artifact %+v", a)
				}
			}
		}
	})
}
