package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// debianArchive is where this machine's apt has Debian's bookworm from.
func debianArchive(t *testing.T) *url.URL {
	t.Helper()
	needsMirror(t)
	if _, err := os.Stat(debianKeyring); err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(must(t, "apt-get", "indextargets", "--format", "$(CREATED_BY) $(CODENAME) $(REPO_URI)")) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "bookworm" && strings.HasPrefix(f[2], "http") {
			u, err := url.Parse(strings.TrimSuffix(f[2], "/"))
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
	}
	t.Skip("no archive of Debian's bookworm is configured here")
	return nil
}

// A minimal Debian is fetched once. Then upstream drops everything, and the
// real mmdebstrap, apt and dpkg make one from the frozen state, with all of its
// maintainers' scripts.
func TestAcceptMirrorFrozenDebian(t *testing.T) {
	needs(t, true, "mmdebstrap", "apt-get", "dpkg-query")
	archive := debianArchive(t)
	t.Parallel() // it waits for most of the time
	forward := httputil.NewSingleHostReverseProxy(archive)
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	up := newUpstreamServer(t, nil)
	up.become(nil, func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		r.Host = archive.Host
		forward.ServeHTTP(w, r)
		return true
	})
	m := serveMirror(t, "{prefix: debian, format: debian, urls: ['"+up.URL+"'], keys: ['"+debianKeyring+"'], architectures: [amd64], components: [main]}")
	line := func(base string) string { return "deb [signed-by=" + debianKeyring + "] " + base + " bookworm main" }

	root := t.TempDir()
	for _, dir := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		must(t, "mkdir", "-p", filepath.Join(root, dir))
	}
	write(t, root+"/etc/apt/sources.list", line(m.url+"/debian")+"\n")
	write(t, root+"/status", "")
	apt := []string{"-qq", "-y", "-o", "Dir=" + root, "-o", "Dir::State::status=" + root + "/status", "-o", "Dir::Etc::parts=" + root + "/etc/apt/apt.conf.d",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures::=amd64", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-o", "Acquire::http::Proxy=DIRECT"}
	began := time.Now()
	must(t, "apt-get", append(apt, "update")...)
	must(t, "apt-get", append(apt, "install", "--download-only", "--no-install-recommends", "?essential")...)
	fetched, err := filepath.Glob(root + "/var/cache/apt/archives/*.deb")
	if err != nil || len(fetched) < 50 {
		t.Fatalf("%d packages were downloaded, %v", len(fetched), err)
	}
	stamp := m.freeze()
	t.Logf("%d packages were fetched in %v", len(fetched), time.Since(began))
	began = time.Now()

	up.become(nil, func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		t.Errorf("upstream was asked for %s", r.URL.Path)
		return false
	})
	m.stop()
	m.start()
	made := filepath.Join(t.TempDir(), "root")
	cmd := exec.Command("mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--aptopt=Acquire::Check-Valid-Until false", "--aptopt=Acquire::http::Proxy DIRECT",
		"--dpkgopt=force-unsafe-io", "bookworm", made, line(m.url+"/snapshot/"+stamp+"/debian"))
	cmd.Env = clean("LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
	states := strings.Fields(must(t, "dpkg-query", "--root="+made, "-W", "-f", "${db:Status-Abbrev}\n"))
	for _, state := range states {
		if state != "ii" {
			t.Errorf("a package is in the state %q", state)
		}
	}
	if len(states) < 50 {
		t.Errorf("only %d packages are installed", len(states))
	}
	if out := must(t, "chroot", made, "dpkg", "--audit"); out != "" {
		t.Errorf("dpkg complains: %s", out)
	}
	t.Logf("and %d installed in %v", len(states), time.Since(began))
}
