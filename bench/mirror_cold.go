package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// measureCold has clients get the same files at once, directly from nginx and
// through a mirror that has none of them.
func (b *bench) measureCold(a *archive) error {
	ours, err := b.mirrorOf(a, "cold-mirror")
	if err != nil {
		return err
	}
	// The large stock is not part of this, in its index neither.
	direct, err := b.clientsOf("nginx, directly", a.url, a.cold)
	if err != nil {
		return err
	}
	through, err := b.clientsOf(ours.name+", which has nothing yet", ours.url, a.cold)
	if err != nil {
		return err
	}
	through.prepare = func() error {
		if ours.running != nil {
			ours.running.end()
		}
		for _, sub := range []string{"cache", "state"} {
			if err := os.RemoveAll(filepath.Join(ours.dir, sub)); err != nil {
				return err
			}
		}
		_, err := ours.run()
		for _, path := range []string{"dists/stable/Release", "dists/stable/main/binary-amd64/Packages", hotPath(hotSizes[0].size)} {
			_, e := length(ours.url + "/" + path)
			err = errors.Join(err, e)
		}
		return err
	}
	fmt.Fprintf(b.out, "%d clients at once, each of which gets %d files; 1.30 is wanted at most:\n\n", clients, len(a.cold))
	return b.measure(direct, through)
}

// clientsOf are clients that get files one after another, and keep them.
func (b *bench) clientsOf(name, base string, paths []string) (contestant, error) {
	var config strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&config, "url = %q\noutput = %q\n", base+"/"+p, filepath.Base(p))
	}
	dir := filepath.Join(b.dir, "clients")
	file := filepath.Join(b.dir, "clients-"+strings.ReplaceAll(strings.TrimPrefix(base, "http://"), "/", "-"))
	if err := os.WriteFile(file, []byte(config.String()), 0o644); err != nil {
		return contestant{}, err
	}
	return contestant{name: name, prepare: func() error { return nil }, command: func() *exec.Cmd {
		script := fmt.Sprintf("rm -rf %[1]s; for i in $(seq %[2]d); do mkdir -p %[1]s/$i; done; seq %[2]d | xargs -P %[2]d -I{} sh -c 'cd %[1]s/{} && exec curl --silent --fail --config %[3]s'", dir, clients, file)
		return pinned("sh", "-c", script)
	}}, nil
}
