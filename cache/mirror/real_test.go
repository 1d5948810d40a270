package mirror

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/debian/archive"
)

// realArchive is the URL of an archive of Debian that has bookworm: of the
// system's own configuration.
func realArchive(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(REPO_URI)").Output()
	if err != nil {
		t.Skipf("apt tells no archives: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "bookworm" && strings.HasPrefix(f[2], "http") {
			return strings.TrimSuffix(f[2], "/")
		}
	}
	t.Skip("no archive of Debian's bookworm is configured here")
	return ""
}

// TestRealDebian mirrors a real archive of Debian for the real apt.
func TestRealDebian(t *testing.T) {
	needApt(t)
	url := realArchive(t)
	keyring := "/usr/share/keyrings/debian-archive-keyring.gpg"
	data, err := os.ReadFile(keyring)
	if err != nil {
		t.Skipf("no keyring of Debian here: %v", err)
	}
	keys, err := archive.ReadKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Upstream{Prefix: "debian", URLs: []string{url}, Format: &Debian{Keys: keys, Architectures: []string{"amd64"}}}, nil)
	a := newApt(t, newRepo(t), r.url+"/debian")
	line := "deb [signed-by=" + keyring + "] " + r.url + "/debian bookworm main\ndeb-src [signed-by=" + keyring + "] " + r.url + "/debian bookworm main\n"
	if err := os.WriteFile(a.dir+"/etc/apt/sources.list", []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	a.opt = []string{"-o", "Acquire::Check-Valid-Until=false"}
	began := time.Now()
	a.must("update")
	t.Logf("update: %v", time.Since(began))
	began = time.Now()
	a.must("install", "--download-only", "hello", "openssh-server")
	t.Logf("install: %v", time.Since(began))
	r.waitIndexed()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") || strings.HasPrefix(line, "RssAnon") {
			t.Log(strings.TrimSpace(line))
		}
	}
	t.Logf("heap %d MiB; %+v", mem.HeapAlloc>>20, r.Metrics())
	began = time.Now()
	r.restart()
	t.Logf("start: %v", time.Since(began))
	r.SetOffline(true)
	b := newApt(t, newRepo(t), r.url+"/debian")
	b.opt = a.opt
	line = "deb [signed-by=" + keyring + "] " + r.url + "/debian bookworm main\n"
	if err := os.WriteFile(b.dir+"/etc/apt/sources.list", []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	b.must("update")
	b.must("install", "--download-only", "hello")
	seen := r.History("hello", "", "")
	if len(seen) < 2 {
		t.Errorf("the history of hello: %+v", seen)
	}
	m := r.Metrics()
	if m.Passed != 0 || m.BadFiles != 0 {
		t.Errorf("%+v", m)
	}
}
