package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// coldLimit is how much longer clients may take through a cold mirror than
// directly from upstream.
const coldLimit = 1.3

// measureCold has clients get the same files at once, directly from nginx and
// through a mirror that has none of them: apt as it downloads what it is to
// install, and curl, which does nothing but write what it gets.
func (b *bench) measureCold(a *archive) error {
	for _, kind := range []struct {
		tag, name string
		make      func(name string, base func() string, a *archive) contestant
	}{{"apt", "`apt-get install --download-only`", b.aptClients}, {"curl", "`curl`, which neither checks nor resolves anything", b.curlClients}} {
		var mirror *served
		n := 0
		direct := kind.make("nginx, directly", func() string { return a.url }, a)
		through := kind.make("`samebits mirror serve`, which has nothing yet", func() string { return mirror.url }, a)
		clients := through.prepare
		through.prepare = func() (err error) {
			mirror.end()
			n++
			// What was just deleted makes new files slow: all stays to the end.
			if mirror, err = b.mirrorOf(a, fmt.Sprintf("cold-%s-%d", kind.tag, n)); err != nil {
				return err
			}
			_, err = mirror.run()
			for _, path := range []string{"Release", "main/binary-amd64/Packages"} {
				_, e := length(mirror.url + "/dists/" + coldSuite + "/" + path)
				err = errors.Join(err, e)
			}
			return errors.Join(err, clients())
		}
		fmt.Fprintf(b.out, "%d clients at once, each of which gets %d files with %s; %.2f is wanted at most:\n\n", coldClients, len(a.cold), kind.name, coldLimit)
		err := b.measure(direct, through)
		mirror.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// end ends the server, if it runs.
func (s *served) end() {
	if s != nil && s.running != nil {
		s.running.end()
	}
}

// atOnce is a command that runs a script for each of the clients at the same
// time; in it, {} is the number of the client.
func atOnce(script string) *exec.Cmd {
	return pinned("sh", "-c", fmt.Sprintf("seq %[1]d | xargs -P %[1]d -I{} sh -c '%[2]s'", coldClients, script))
}

// curlClients get files one after another, and keep them.
func (b *bench) curlClients(name string, base func() string, a *archive) contestant {
	var dir string
	return contestant{name: name, prepare: func() (err error) {
		if dir, err = os.MkdirTemp(b.dir, "curl-"); err != nil {
			return err
		}
		var config strings.Builder
		for _, p := range a.cold {
			fmt.Fprintf(&config, "url = %q\noutput = %q\n", base()+"/"+p, filepath.Base(p))
		}
		for i := range coldClients {
			err = errors.Join(err, os.Mkdir(filepath.Join(dir, fmt.Sprint(i+1)), 0o755))
		}
		return errors.Join(err, os.WriteFile(filepath.Join(dir, "config"), []byte(config.String()), 0o644))
	}, command: func() *exec.Cmd {
		return atOnce(fmt.Sprintf("cd %s/{} && exec curl --silent --fail --config ../config", dir))
	}}
}

// aptClients each have a root of their own, which knows the archive.
func (b *bench) aptClients(name string, base func() string, a *archive) contestant {
	var dir string
	apt := func(args string) *exec.Cmd {
		root := dir + "/{}"
		options := []string{"Dir=" + root, "Dir::State::status=" + root + "/status", "Dir::Etc::parts=" + root + "/none", "APT::Architecture=amd64", "APT::Architectures::=amd64",
			"APT::Sandbox::User=root", "Acquire::Languages=none", "Acquire::Check-Valid-Until=false", "Debug::NoLocking=1"}
		return atOnce("exec apt-get -q -q -y -o " + strings.Join(options, " -o ") + " " + args + " >/dev/null")
	}
	return contestant{name: name, prepare: func() (err error) {
		if dir, err = os.MkdirTemp(b.dir, "apt-"); err != nil {
			return err
		}
		for i := range coldClients {
			root := filepath.Join(dir, fmt.Sprint(i+1))
			for _, d := range []string{"etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
				err = errors.Join(err, os.MkdirAll(filepath.Join(root, d), 0o755))
			}
			line := "deb [trusted=yes arch=amd64] " + base() + " " + coldSuite + " main\n"
			err = errors.Join(err, os.WriteFile(filepath.Join(root, "status"), nil, 0o644), os.WriteFile(filepath.Join(root, "etc/apt/sources.list"), []byte(line), 0o644))
		}
		if err != nil {
			return err
		}
		if out, err := apt("update").CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get update: %w\n%s", err, tail(out, 1000))
		}
		return nil
	}, command: func() *exec.Cmd {
		var names []string
		for _, p := range a.cold {
			word, _, _ := strings.Cut(filepath.Base(p), "_")
			names = append(names, word)
		}
		return apt("--download-only install " + strings.Join(names, " "))
	}}
}
