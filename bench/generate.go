package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// benchGenerate locks the running system, with the package lists that apt has
// on disk and without the network. The peers do a part of the same: list what
// is installed, and look up the index records of all of it.
func benchGenerate(b *bench) error {
	names, err := exec.Command("dpkg-query", "-W", "-f", "${binary:Package}\n").Output()
	if err != nil {
		return err
	}
	installed := strings.Fields(string(names))
	lock := filepath.Join(b.dir, "SHA256SUMS")
	generate := func(more ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			args := append([]string{"lock", "generate", "--offline", "--allow-missing", "--cache", filepath.Join(b.dir, "cache")}, more...)
			return exec.Command(b.samebits, args...)
		}
	}
	var out, stderr bytes.Buffer
	cmd := generate()()
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		os.Stderr.Write(stderr.Bytes())
		return err
	}
	if err := os.WriteFile(lock, out.Bytes(), 0o644); err != nil {
		return err
	}
	return b.measure(
		contestant{name: "`samebits lock generate`", command: generate()},
		contestant{name: "`samebits lock generate --since`", command: generate("--since", lock)},
		contestant{name: "`dpkg-query -W`", command: func() *exec.Cmd { return exec.Command("dpkg-query", "-W") }},
		contestant{name: "`apt-cache show` of all installed packages", command: func() *exec.Cmd {
			return exec.Command("apt-cache", append([]string{"show"}, installed...)...)
		}},
		contestant{name: "`apt-get indextargets`", command: func() *exec.Cmd { return exec.Command("apt-get", "indextargets") }},
	)
}
