package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// aptDownload has apt-get download the shelf from base, with a configuration
// and lists of its own.
func (b *bench) aptDownload(s *shelf, base string) (contestant, error) {
	if err := s.index(); err != nil {
		return contestant{}, err
	}
	dir := filepath.Join(b.dir, "apt")
	for _, sub := range []string{"etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "lists/partial", "cache/archives/partial", "out"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return contestant{}, err
		}
	}
	files := map[string]string{
		"etc/sources.list": fmt.Sprintf("deb [trusted=yes] %s ./\n", base),
		"status":           "",
		"conf": fmt.Sprintf(`Dir::Etc "%[1]s/etc"; Dir::State "%[1]s"; Dir::State::Lists "%[1]s/lists";
Dir::State::status "%[1]s/status"; Dir::Cache "%[1]s/cache"; APT::Sandbox::User "root"; Acquire::http::Proxy "DIRECT";
`, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return contestant{}, err
		}
	}
	apt := func(args ...string) *exec.Cmd {
		cmd := exec.Command("apt-get", append([]string{"-q", "-q"}, args...)...)
		cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(dir, "conf"))
		return cmd
	}
	if out, err := apt("update").CombinedOutput(); err != nil {
		return contestant{}, fmt.Errorf("apt-get update: %w\n%s", err, out)
	}
	index, err := os.ReadFile(filepath.Join(s.dir, "Packages"))
	if err != nil {
		return contestant{}, err
	}
	var specs []string
	var name string
	for line := range strings.Lines(string(index)) {
		if v, ok := strings.CutPrefix(line, "Package: "); ok {
			name = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			specs = append(specs, name+"="+strings.TrimSpace(v))
		}
	}
	out := filepath.Join(dir, "out")
	return contestant{name: "`apt-get download`", prepare: func() error { return emptyDir(out) }, command: func() *exec.Cmd {
		cmd := apt(append([]string{"download"}, specs...)...)
		cmd.Dir = out
		return cmd
	}}, nil
}
