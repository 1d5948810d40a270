package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Who may not install is told before anything is fetched; what would be
// installed anyone may ask.
func TestInstallWantsRoot(t *testing.T) {
	if os.Geteuid() != 0 || !has("setpriv") {
		t.Skip("to be another user needs root and setpriv")
	}
	dir, err := os.MkdirTemp("", "rights")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const hash = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
	for name, text := range map[string]string{
		"root/etc/os-release":                    "ID=debian\nVERSION_ID=\"12\"\n",
		"root/var/lib/dpkg/arch":                 "amd64\n",
		"root/var/lib/dpkg/status":               "",
		"files/pool/h/hello/hello_1.0_amd64.deb": "one\n",
		"lock":                                   "# samebits lock v1\n#: distro debian 12 amd64\n#: archive Test\n" + hash + "  pool/h/hello/hello_1.0_amd64.deb\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	must(t, "chmod", "-R", "a+rX", dir)
	cache := filepath.Join(dir, "cache")
	if err := os.Mkdir(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	install := func(flags ...string) result {
		t.Helper()
		args := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", builtBinary(t), "lock", "install",
			"--offline", "--root", filepath.Join(dir, "root"), "--source", filepath.Join(dir, "files"), filepath.Join(dir, "lock")}
		cmd := exec.Command("setpriv", append(args, flags...)...)
		cmd.Env = []string{"SAMEBITS_CACHE=" + cache}
		return finish(t, cmd)
	}
	if r := install(); r.code != 1 || !strings.Contains(r.stderr, "samebits: only root can install packages into "+dir+"/root; run this with sudo\n") {
		t.Errorf("another user: %v", r)
	}
	if found, _ := filepath.Glob(filepath.Join(cache, "blobs/sha256/*")); len(found) > 0 {
		t.Errorf("fetched in vain: %v", found)
	}
	if r := install("--dry-run"); strings.Contains(r.stderr, "only root") {
		t.Errorf("asked what would be installed: %v", r)
	}
	if _, err := os.Stat(filepath.Join(cache, "blobs/sha256", hash)); err != nil {
		t.Error(err)
	}
}
