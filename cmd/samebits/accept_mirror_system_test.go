package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A mirror without any configuration, in roots of other distributions that have
// nothing but the binary, asks where these roots themselves ask.
func TestAcceptMirrorOfTheSystem(t *testing.T) {
	needs(t, true, "tar")
	arch := func(t *testing.T, root string) {
		must(t, "cp", "-r", realData(t, "arch/local-2026-03-x86_64")+"/.", root)
		write(t, root+"/etc/os-release", "ID=arch\n")
		write(t, root+"/etc/pacman.conf", "[options]\nArchitecture = x86_64\n[core]\nInclude = /etc/pacman.d/mirrorlist\n")
		write(t, root+"/etc/pacman.d/mirrorlist", "Server = http://one.example.org/arch/$repo/os/$arch\nServer = http://two.example.org/pub/$repo/os/$arch\n")
	}
	fedora := func(t *testing.T, root string) {
		must(t, "mkdir", "-p", root+"/usr/lib/sysimage/rpm")
		must(t, "cp", realData(t, "rpm/fedora35/rpmdb.sqlite"), root+"/usr/lib/sysimage/rpm/")
		write(t, root+"/etc/os-release", "ID=fedora\nVERSION_ID=35\n")
		write(t, root+"/etc/yum.repos.d/f.repo", "[fedora]\nname=f\nenabled=1\nbaseurl=http://one.example.org/linux/releases/35/Everything/x86_64/os/\n")
	}
	alpine := func(t *testing.T, root string) {
		must(t, "cp", "-r", alpineHost(t)+"/.", root)
		write(t, root+"/etc/apk/repositories", "http://one.example.org/pub/alpine/v3.19/main\nhttp://one.example.org/pub/alpine/v3.19/community\n")
	}
	for _, c := range []struct {
		prefix string
		root   func(*testing.T, string)
		from   []string // before the well-known place
	}{
		{"alpine", alpine, []string{"http://one.example.org/pub/alpine"}},
		{"archlinux", arch, []string{"http://one.example.org/arch", "http://two.example.org/pub"}},
		{"fedora", fedora, []string{"http://one.example.org/linux"}},
	} {
		t.Run(c.prefix, func(t *testing.T) {
			root := t.TempDir()
			c.root(t, root)
			must(t, "cp", builtBinary(t), root+"/samebits")
			upstreams, said := statusIn(t, root)
			var got []string
			for _, u := range upstreams {
				if u.Prefix == c.prefix {
					got = u.From
				}
			}
			if len(got) != len(c.from)+1 || !slices.Equal(got[:len(c.from)], c.from) {
				t.Errorf("/%s is had from %q", c.prefix, got)
			}
			for _, client := range []string{"/alpine/latest-stable/main", "Server = http", "baseurl=http"} {
				if !strings.Contains(said, client) {
					t.Errorf("no line has %q:\n%s", client, said)
				}
			}
		})
	}
}

type upstreamShown struct {
	Prefix string   `json:"prefix"`
	From   []string `json:"from"`
}

// statusIn runs a mirror in a root, and returns its status and what it said.
func statusIn(t *testing.T, root string) (upstreams []upstreamShown, said string) {
	t.Helper()
	for _, dir := range []string{"tmp", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/samebits", "mirror", "serve", "--listen", "127.0.0.1:0", "--state", "/s", "--cache", "/c")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/bin", "HOME=/"}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	url := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if _, found, ok := strings.Cut(lines.Text(), "the mirror listens on "); ok {
			url = found
		}
		if strings.Contains(lines.Text(), "  samebits  mirror: ") {
			break
		}
	}
	if url == "" {
		t.Fatalf("the mirror does not start:\n%s", said)
	}
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get(url + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status struct {
		Upstreams []upstreamShown `json:"upstreams"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status.Upstreams, said
}
