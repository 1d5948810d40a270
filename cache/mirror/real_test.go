package mirror

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/debian/archive"
)

// TestRealDebian mirrors a real archive of Debian for the real apt. It wants
// SAMEBITS_TEST_ARCHIVE, the URL of one that has bookworm.
func TestRealDebian(t *testing.T) {
	needApt(t)
	url := os.Getenv("SAMEBITS_TEST_ARCHIVE")
	if url == "" {
		t.Skip("SAMEBITS_TEST_ARCHIVE names no archive of Debian")
	}
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
	a.must("install", "--download-only", "hello", "openssh-server", "build-essential")
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
	b.must("install", "--download-only", "build-essential")
	seen := r.History("hello", "", "")
	if len(seen) < 2 {
		t.Errorf("the history of hello: %+v", seen)
	}
	m := r.Metrics()
	if m.Passed != 0 || m.BadFiles != 0 {
		t.Errorf("%+v", m)
	}
}
