package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	os.Exit(m.Run())
}

var epoch = time.Date(2026, 11, 15, 9, 12, 33, 0, time.UTC)

// boxed assembles a root of busybox and a few files.
type boxed struct {
	distro.Distro
	box  []byte
	step string // a script to run while assembling
}

func newBoxed(t *testing.T) *boxed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root is needed to give files to others")
	}
	name, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is needed: install busybox-static")
	}
	box, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(box, []byte("/ld-linux")) {
		t.Skip("a static busybox is needed: install busybox-static")
	}
	return &boxed{box: box}
}

func (b *boxed) Rules() []distro.Rule {
	return []distro.Rule{{Name: "logs", Reason: "logs have times", Remove: []string{"var/log/**"}}}
}

func (b *boxed) Assemble(ctx context.Context, a distro.Assembly) error {
	old := a.Epoch.AddDate(-1, 0, 0)
	var errs []error
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "etc", "etc/ssh", "var", "var/log", "usr", "usr/share", "usr/share/doc"} {
		errs = append(errs, a.Root.Put(distro.File{Path: d, Type: distro.Directory, Mode: 0o755, ModTime: old}, nil))
	}
	for name, text := range map[string]string{
		"bin/busybox":          string(b.box),
		"etc/passwd":           "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":            "root:x:0:\nwww-data:x:33:\n",
		"etc/shadow":           "root:*:30000:0:99999:7:::\n",
		"etc/passwd-":          "older",
		"etc/machine-id":       "00ff\n",
		"etc/ssh/ssh_host_key": "secret",
		"usr/share/doc/a":      "words",
	} {
		mode := uint32(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		errs = append(errs, a.Root.Put(distro.File{Path: name, Type: distro.Regular, Mode: mode, Size: int64(len(text)), ModTime: old}, strings.NewReader(text)))
	}
	errs = append(errs, a.Root.Put(distro.File{Path: "bin/sh", Type: distro.Symlink, Link: "busybox", ModTime: old}, nil))
	if err := errors.Join(errs...); err != nil || a.Run == nil || b.step == "" {
		return err
	}
	return a.Run(ctx, distro.Step{Args: []string{"/bin/sh", "-ec", b.step}})
}

func build(t *testing.T, b *boxed, text string) (*Image, error) {
	t.Helper()
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	img, err := Build(t.Context(), Plan{
		Spec: s, Assembler: b, Sources: "testdata", Temp: t.TempDir(),
		Lock: &lockfile.Lock{Date: epoch, System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}},
	})
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	if err == nil {
		t.Cleanup(func() { img.Close() })
	}
	return img, err
}

// describe is what is at a path: mode, owner, time and content or target.
func describe(t *testing.T, tr *tree.Tree, path string) string {
	t.Helper()
	n, ok := tr.Lookup(path)
	if !ok {
		return "absent"
	}
	in := n.Inode()
	var b strings.Builder
	fmt.Fprintf(&b, "%o %d:%d %s", in.Mode, in.UID, in.GID, in.ModTime.Time().Format("2006-01-02"))
	if in.Mode.IsRegular() && in.Size < 1000 {
		b.WriteString(" ")
		if err := n.CopyTo(&b); err != nil {
			t.Error(err)
		}
	}
	if in.Target != "" {
		b.WriteString(" -> " + in.Target)
	}
	return b.String()
}

const customised = `
hostname: web
locale: C.UTF-8
groups: [{name: staff, id: 50}]
users:
- {name: app, groups: [www-data, staff], home: /srv/app, shell: /bin/sh}
- {name: "other", id: 2000, group: staff}
files:
- {path: /etc/motd, content: "{{.Hostname}} {{.Distro}} {{.Version}} {{.Arch}} {{.Epoch}}\n", template: true}
- {path: /opt/deep/down/file, content: x, mode: 0600, owner: app}
- {path: /opt/link, link: deep}
- {path: /var/box, directory: true, mode: 0o1777, group: staff}
- {path: /srv/files, source: files, owner: "70000"}
run: [{script: "echo made > /etc/made; busybox id -un > /etc/who"}]
remove: [/usr/share/doc/**]
`

func TestBuild(t *testing.T) {
	b := newBoxed(t)
	b.step = "echo log > /var/log/x; echo $SOURCE_DATE_EPOCH $TZ $(busybox hostname) > /etc/env; echo t > /tmp/t"
	img, err := build(t, b, customised)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                     "40755 0:0 2026-11-15",
		"bin/sh":               "120777 0:0 2025-11-15 -> busybox",
		"etc/hostname":         "100644 0:0 2026-11-15 web\n",
		"etc/locale.conf":      "100644 0:0 2026-11-15 LANG=C.UTF-8\n",
		"etc/motd":             "100644 0:0 2026-11-15 web debian 12 amd64 2026-11-15T09:12:33Z\n",
		"etc/env":              "100644 0:0 2026-11-15 1794733953 UTC localhost\n",
		"etc/made":             "100644 0:0 2026-11-15 made\n",
		"etc/who":              "100644 0:0 2026-11-15 root\n",
		"etc/passwd":           "100644 0:0 2026-11-15 root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv/app:/bin/sh\nother:x:2000:50::/nonexistent:/sbin/nologin\n",
		"etc/group":            "100644 0:0 2026-11-15 root:x:0:\nwww-data:x:33:app\nstaff:x:50:app\napp:x:1000:\n",
		"etc/shadow":           "100644 0:0 2026-11-15 root:*:20772:0:99999:7:::\napp:!:20772:0:99999:7:::\nother:!:20772:0:99999:7:::\n",
		"etc/passwd-":          "absent",
		"etc/machine-id":       "100644 0:0 2025-11-15 ",
		"etc/ssh/ssh_host_key": "absent",
		"opt/deep/down/file":   "100600 1000:1000 2026-11-15 x",
		"opt/link":             "120777 0:0 2026-11-15 -> deep",
		"srv/app":              "40755 1000:1000 2026-11-15",
		"srv/files":            "40755 70000:0 2026-11-15",
		"srv/files/program":    "100755 70000:0 2026-11-15 #!/bin/sh\n",
		"srv/files/sub/text":   "100644 70000:0 2026-11-15 text\n",
		"var/box":              "41777 0:50 2026-11-15",
		"var/log":              "40755 0:0 2026-11-15",
		"var/log/x":            "absent",
		"usr/share/doc":        "40755 0:0 2026-11-15",
		"usr/share/doc/a":      "absent",
		"tmp/t":                "absent",
	} {
		if got := describe(t, img.Tree, path); got != want {
			t.Errorf("/%s is %q, want %q", path, got, want)
		}
	}
	var told []string
	for _, a := range img.Applied {
		if a.Action != "time set" {
			told = append(told, a.Rule+" "+a.Action+" "+a.Path)
		}
		if a.Reason == "" {
			t.Errorf("rule %s has no reason", a.Rule)
		}
	}
	want := "account-backups removed etc/passwd-|ssh-host-keys removed etc/ssh/ssh_host_key|spec removed usr/share/doc/a|logs removed var/log/x|" +
		"machine-id emptied etc/machine-id|password-dates rewritten etc/shadow"
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("the rules did\n%s, want\n%s", got, want)
	}
}

func TestBuildTwiceIsTheSame(t *testing.T) {
	b := newBoxed(t)
	manifest := func() string {
		img, err := build(t, b, customised)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := tree.WriteManifest(&out, img.Tree); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := manifest()
	time.Sleep(10 * time.Millisecond)
	if manifest() != first {
		t.Error("two builds differ")
	}
}

func TestBuildFails(t *testing.T) {
	b := newBoxed(t)
	for text, want := range map[string]string{
		"run: [{script: 'echo why >&2; exit 3'}]":                 "command 1 of the spec: /bin/sh ended with exit code 3; the end of what it printed:\n  why",
		"files: [{path: /a, content: x, owner: nobody}]":          "add /a: the user nobody is not in the image",
		"files: [{path: /a, source: absent}]":                     "absent",
		"files: [{path: /a, content: '{{.No}}', template: true}]": "No",
		"files: [{path: /etc/passwd/x, content: a}]":              "not a directory",
		"users: [{name: root}]":                                   "already",
		"users: [{name: a, id: 0}]":                               "which another has",
		"users: [{name: a, groups: [no]}]":                        "not there",
		"groups: [{name: www-data, id: 5}]":                       "already, with number 33",
		"timezone: Europe/Berlin":                                 "tzdata",
		"services: {enable: [x]}":                                 "no init system",
		"no-scripts: true\nservices: {enable: [x]}":               "no-scripts",
	} {
		if _, err := build(t, b, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	b.step = "exit 9"
	if _, err := build(t, b, ""); err == nil || !strings.Contains(err.Error(), "exit code 9") {
		t.Errorf("a script of a package fails: %v", err)
	}
	if _, err := build(t, b, "no-scripts: true"); err != nil {
		t.Errorf("without scripts: %v", err)
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"a/**", "a/b/c", true}, {"a/**", "a", false},
		{"*/x/**", "a/x/b/c", true}, {"**/x", "x", true}, {"**/x", "a/b/x", true}, {"**/x", "a/bx", false},
		{"**/x/**", "a/x/y", true}, {"etc/*-", "etc/passwd-", true}, {"[", "a", false},
		{"a[bc]/d", "ac/d", true}, {"a[bc]/d", "ad/d", false}, {`a\*`, "a*", true}, {`a\*`, "ab", false}, {"a?", "ab", true},
		{"a/[b", "a/b", false}, {"x/b*", "a/bc", false}, {"a/b/**", "a/bc/d", false}, {"", "", true}, {"", "a", false}, {"a", "a/b", false},
	} {
		if got := Match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%s and %s: %v", tt.pattern, tt.name, got)
		}
	}
}

func TestCommonRulesAreNamedAndExplained(t *testing.T) {
	seen := map[string]bool{timeRule.Name: true, rootRule.Name: true, "spec": true}
	for _, r := range CommonRules() {
		if seen[r.Name] || r.Reason == "" {
			t.Errorf("rule %q is there twice or has no reason", r.Name)
		}
		seen[r.Name] = true
		for _, p := range append(append(r.Remove, r.Empty...), r.Edit...) {
			if strings.HasPrefix(p, "/") || filepath.Clean(p) != p {
				t.Errorf("rule %s: %q is no pattern", r.Name, p)
			}
		}
	}
}
