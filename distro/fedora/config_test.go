package fedora

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// TestConfig reads repositories of several files with their variables; what is
// disabled, and what another file has first, is left out.
func TestConfig(t *testing.T) {
	root := fedora35(t)
	put(t, filepath.Join(root, "etc/dnf/dnf.conf"), "[main]\ngpgcheck=1\nexcludepkgs=kernel*\n")
	put(t, filepath.Join(root, "etc/dnf/vars/mirror"), "m.example.org\n")
	put(t, filepath.Join(root, "etc/yum.repos.d/a.repo"), `[fedora]
baseurl=https://$mirror/pub/fedora/linux/releases/$releasever/Everything/$basearch/os/
[updates]
metalink=https://mirrors.fedoraproject.org/metalink?repo=updates-released-f$releasever&arch=$basearch
[debug]
baseurl=https://example.org/debug
enabled=0
`)
	put(t, filepath.Join(root, "etc/yum.repos.d/b.repo"), "[fedora]\nbaseurl=https://example.org/other\n[own]\nbaseurl=https://example.org/own/ https://example.org/twin\ngpgcheck=0\ngpgkey=file:///etc/pki/absent\n")
	put(t, filepath.Join(root, "etc/yum.repos.d/notes.txt"), "not a repository")
	s, warned := openSystem(t, root)
	var got []string
	for _, r := range s.config.repos {
		got = append(got, strings.TrimSpace(r.ID+" "+r.archive.String()+" "+r.path))
	}
	want := []string{
		"fedora Fedora releases/35/Everything/x86_64/os", "updates Fedora updates/35/Everything/x86_64", "own own https://example.org/own",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("repositories: %q", got)
	}
	if !s.config.repos[0].GPGCheck || s.config.repos[2].GPGCheck {
		t.Error("gpgcheck is not what the files say")
	}
	if w := warned(); !strings.Contains(w, "a key of the repository own is not used") || strings.Count(w, "\n") > 0 {
		t.Errorf("warnings: %s", w)
	}
	mirrors := []distro.Mirror{
		{Archive: "Fedora", URL: "https://m.example.org/pub/fedora/linux"},
		{Archive: "own", URL: "https://example.org/own"}, {Archive: "own", URL: "https://example.org/twin"},
	}
	access := s.Access().Mirrors
	if len(access) != len(mirrors) {
		t.Fatalf("mirrors: %v", access)
	}
	for i, m := range mirrors {
		if access[i] != m {
			t.Errorf("mirror %v, want %v", access[i], m)
		}
	}
}

// TestBadConfig names the file and the line.
func TestBadConfig(t *testing.T) {
	root := fedora35(t)
	put(t, filepath.Join(root, "etc/yum.repos.d/a.repo"), "[a]\nenabled=perhaps\n")
	if _, err := (Distro{}).Open(root, nil); err == nil || !strings.Contains(err.Error(), "etc/yum.repos.d/a.repo:2") {
		t.Errorf("%v", err)
	}
	if _, err := (Distro{}).Open("relative", nil); err == nil {
		t.Error("a relative root is opened")
	}
}

// TestPending has entries that are installed, at another version, not at all,
// and of odd names.
func TestPending(t *testing.T) {
	s, _ := openSystem(t, fedora35(t))
	ps, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lock := &lockfile.Lock{System: s.ID()}
	epochs := 0
	for _, p := range ps {
		if strings.Contains(p.Version, ":") {
			epochs++
		}
		lock.Entries = append(lock.Entries, lockfile.Entry{Path: "Packages/" + fileName(p)})
	}
	if epochs == 0 {
		t.Error("no package has an epoch, so this shows little")
	}
	odd := []string{"bash-5.1.8-3.fc35.x86_64.rpm", "bash-5.1.8-2.fc35.aarch64.rpm", "odd.rpm"}
	for _, name := range odd {
		lock.Entries = append(lock.Entries, lockfile.Entry{Path: name})
	}
	pending, err := s.Pending(t.Context(), lock, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range pending {
		got = append(got, e.Path)
	}
	if strings.Join(got, " ") != strings.Join(odd, " ") {
		t.Errorf("pending: %q", got)
	}
}

func FuzzModuleState(f *testing.F) {
	f.Add("[nodejs]\nname=nodejs\nstream=16\nstate=enabled\n")
	f.Add("[\n=\n==")
	f.Fuzz(func(t *testing.T, text string) {
		if name, stream, ok := moduleState(text); ok && (name == "" || stream == "") {
			t.Errorf("%q is enabled as %q %q", text, name, stream)
		}
	})
}

func FuzzKnownArchive(f *testing.F) {
	f.Add("https://mirrors.fedoraproject.org/metalink?repo=fedora-35&arch=x86_64")
	f.Add("http://h/pub/fedora/linux/releases/35/Everything/x86_64/os/")
	f.Add("http://h/distribution/leap/1//x//")
	f.Add("http://h/opensuse/distribution/leap/15.5/../../x")
	f.Fuzz(func(t *testing.T, url string) {
		archive, path, ok := knownArchive(url, "x86_64")
		if !ok {
			return
		}
		if err := lockfile.CheckPath(path); err != nil || archive == "" {
			t.Errorf("%q is %q: %v", url, archive, err)
		}
	})
}
