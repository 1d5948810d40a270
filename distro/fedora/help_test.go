package fedora

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/distro"
)

// needTools skips a test where the tools of rpm are not here.
func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no ", tool, " here: ", err)
		}
	}
}

// needRoot skips a test that installs.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can install packages")
	}
}

// run runs a program and returns what it printed.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func put(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyFileTo(t testing.TB, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, string(data))
}

// A spec is a package to build.
type spec struct {
	name, version, release, epoch string
	arch                          string // noarch if empty
	vendor                        string
	more                          string // lines of the spec file, such as Requires
	post                          string // a scriptlet
	file                          string // one more of its files
}

func (s spec) evr() string {
	v := s.version + "-" + s.release
	if s.epoch != "" {
		v = s.epoch + ":" + v
	}
	return v
}

func (s spec) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Name: %s\nVersion: %s\nRelease: %s\nSummary: a package for tests\nLicense: none\n", s.name, s.version, s.release)
	if s.vendor != "" {
		fmt.Fprintf(&b, "Vendor: %s\n", s.vendor)
	}
	if s.epoch != "" {
		fmt.Fprintf(&b, "Epoch: %s\n", s.epoch)
	}
	if s.arch == "" {
		b.WriteString("BuildArch: noarch\n")
	}
	fmt.Fprintf(&b, "%s\n%%description\nIt does nothing.\n%%install\nmkdir -p %%{buildroot}/usr/share/%s\necho %s > %%{buildroot}/usr/share/%s/version-%s-%s\n",
		s.more, s.name, s.evr(), s.name, s.version, s.release)
	if s.file != "" {
		fmt.Fprintf(&b, "mkdir -p %%{buildroot}%s && touch %%{buildroot}%s\n", filepath.Dir(s.file), s.file)
	}
	if s.post != "" {
		fmt.Fprintf(&b, "%%post -p <lua>\n%s\n", s.post)
	}
	fmt.Fprintf(&b, "%%files\n/usr/share/%s\n%s\n", s.name, s.file)
	return b.String()
}

// A workshop builds and signs packages.
type workshop struct {
	home string // of gpg
	key  string // armored
	dir  string
}

var builds struct {
	sync.Mutex
	byText map[string][]byte // packages that were built, unsigned
}

// shared is the key that most tests sign with: to make one takes a while.
var shared struct {
	sync.Once
	home, key string
}

func TestMain(m *testing.M) {
	code := m.Run()
	endKey(shared.home)
	os.Exit(code)
}

// newKey makes a key.
func newKey(t *testing.T) (home, key string) {
	t.Helper()
	// The agent's socket wants a short path.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "gpg", "--homedir", home, "--batch", "-q", "--passphrase", "", "--quick-gen-key", "Tests <t@example.invalid>", "rsa2048", "sign", "0")
	return home, run(t, "gpg", "--homedir", home, "--batch", "--armor", "--export")
}

func endKey(home string) {
	if home != "" {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	}
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	needTools(t, "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
	shared.Do(func() { shared.home, shared.key = newKey(t) })
	if shared.key == "" {
		t.Fatal("there is no key to sign with")
	}
	return &workshop{dir: t.TempDir(), home: shared.home, key: shared.key}
}

// stranger has another key.
func stranger(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{dir: t.TempDir()}
	w.home, w.key = newKey(t)
	t.Cleanup(func() { endKey(w.home) })
	return w
}

// build makes an unsigned package file in a directory.
func (w *workshop) build(t *testing.T, dir string, s spec) string {
	t.Helper()
	name := fmt.Sprintf("%s-%s-%s.%s.rpm", s.name, s.version, s.release, s.archName())
	to := filepath.Join(dir, name)
	builds.Lock()
	defer builds.Unlock()
	if data, ok := builds.byText[s.text()]; ok {
		put(t, to, string(data))
		return to
	}
	specFile := filepath.Join(w.dir, s.name+".spec")
	put(t, specFile, s.text())
	run(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+w.dir, "--define", "_rpmdir "+w.dir+"/out", "--define", "_build_id_links none",
		"--define", "_rpmfilename "+name, "--define", "use_source_date_epoch_as_buildtime 1", "--define", "source_date_epoch_from_changelog 0", specFile)
	data, err := os.ReadFile(filepath.Join(w.dir, "out", name))
	if err != nil {
		t.Fatal(err)
	}
	if builds.byText == nil {
		builds.byText = map[string][]byte{}
	}
	builds.byText[s.text()] = data
	put(t, to, string(data))
	return to
}

func (s spec) archName() string {
	if s.arch == "" {
		return "noarch"
	}
	return s.arch
}

// sign signs a package file in its place.
func (w *workshop) sign(t *testing.T, files ...string) {
	t.Helper()
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "rpmsign", append([]string{"--define", "_gpg_path " + w.home, "--define", "_gpg_name t@example.invalid", "--define", "__gpg " + gpg, "--addsign"}, files...)...)
}

// repository makes a repository of signed packages below a directory.
func (w *workshop) repository(t *testing.T, dir string, specs ...spec) {
	t.Helper()
	var files []string
	for _, s := range specs {
		files = append(files, w.build(t, filepath.Join(dir, "Packages", s.name[:1]), s))
	}
	w.sign(t, files...)
	w.index(t, dir)
}

// index makes or renews the metadata of a repository.
func (w *workshop) index(t *testing.T, dir string) {
	t.Helper()
	os.RemoveAll(filepath.Join(dir, "repodata"))
	run(t, "createrepo_c", "-q", "--general-compress-type", "gz", dir)
}

// signIndex signs the metadata.
func (w *workshop) signIndex(t *testing.T, dir string) {
	t.Helper()
	run(t, "gpg", "--homedir", w.home, "--batch", "--yes", "--armor", "--detach-sign", filepath.Join(dir, "repodata/repomd.xml"))
}

// newRoot makes a root with an empty package database.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put(t, filepath.Join(root, "etc/os-release"), "ID=fedora\nVERSION_ID=35\n")
	run(t, "rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--define", "_db_backend sqlite", "--initdb")
	return root
}

// rpmInstall installs files with rpm itself.
func rpmInstall(t *testing.T, root string, files ...string) {
	t.Helper()
	run(t, "rpm", append([]string{"--root", root, "--dbpath", "/var/lib/rpm", "--define", "_db_backend sqlite", "-i", "--nosignature"}, files...)...)
}

// configure gives a root the repository at a URL and the key that signs it.
func (w *workshop) configure(t *testing.T, root, id, url string, more ...string) {
	t.Helper()
	put(t, filepath.Join(root, "etc/pki/rpm-gpg/key"), w.key)
	put(t, filepath.Join(root, "etc/yum.repos.d", id+".repo"), fmt.Sprintf("[%s]\nname=%s\nbaseurl=%s\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/key\n%s\n", id, id, url, strings.Join(more, "\n")))
}

// openSystem opens a root and collects the warnings.
func openSystem(t *testing.T, root string) (*System, func() string) {
	t.Helper()
	var mu sync.Mutex
	var warnings []string
	s, err := open(root, &distro.Events{Warn: func(m string) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, m)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(warnings, "\n")
	}
}

func installedNames(t *testing.T, s *System) string {
	t.Helper()
	ps, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

func sharedData(t *testing.T) string {
	t.Helper()
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := filepath.Abs(data)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fedora35 makes a root with the real database of a Fedora 35.
func fedora35(t *testing.T) string {
	t.Helper()
	from := filepath.Join(sharedData(t), "rpm/fedora35/rpmdb.sqlite")
	if _, err := os.Stat(from); err != nil {
		t.Skip("no such system here: ", err)
	}
	root := t.TempDir()
	copyFileTo(t, filepath.Join(root, "var/lib/rpm/rpmdb.sqlite"), from)
	put(t, filepath.Join(root, "etc/os-release"), "ID=fedora\nVERSION_ID=35\n")
	return root
}
