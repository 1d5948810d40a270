package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// An rpmRepository is one that rpmbuild, rpmsign and createrepo_c make.
type rpmRepository struct {
	t         *testing.T
	dir, home string
}

func newRPMRepository(t *testing.T) rpmRepository {
	t.Helper()
	r := rpmRepository{t, t.TempDir(), t.TempDir()}
	if err := os.Chmod(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	r.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "T <t@example.org>", "rsa2048", "sign", "0")
	t.Cleanup(func() { r.run("gpgconf", "--kill", "all") })
	return r
}

func (r rpmRepository) run(args ...string) []byte {
	r.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = r.dir, clean("GNUPGHOME="+r.home, "HOME="+r.home, "LC_ALL=C")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return out
}

func (r rpmRepository) key() string {
	return write(r.t, filepath.Join(r.t.TempDir(), "key.asc"), string(r.run("gpg", "--batch", "--armor", "--export")))
}

// publish makes so many packages of a version, all that the repository has,
// and returns its files.
func (r rpmRepository) publish(version string, count int, signed bool) map[string][]byte {
	r.t.Helper()
	var spec strings.Builder
	fmt.Fprintf(&spec, "Name: p0\nVersion: %s\nRelease: 1\nSummary: t\nLicense: MIT\nBuildArch: noarch\n%%description\nt\n", version)
	install, files := "%install\nmkdir -p %{buildroot}/usr/share\n", "%files\n/usr/share/p0\n"
	for i := range count {
		if i > 0 {
			fmt.Fprintf(&spec, "%%package -n p%d\nSummary: t\n%%description -n p%[1]d\nt\n", i)
			files += fmt.Sprintf("%%files -n p%d\n/usr/share/p%[1]d\n", i)
		}
		install += fmt.Sprintf("head -c %d /dev/urandom >%%{buildroot}/usr/share/p%d\n", 1000+i*20_000, i)
	}
	write(r.t, r.dir+"/p.spec", spec.String()+install+files)
	for _, old := range []string{"repo", "out"} {
		os.RemoveAll(r.dir + "/" + old)
	}
	r.run("rpmbuild", "--quiet", "-bb", "--define", "_topdir "+r.dir+"/top", "--define", "_rpmdir "+r.dir+"/out", "p.spec")
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		r.t.Skip(err)
	}
	packages, _ := filepath.Glob(r.dir + "/out/*/*.rpm")
	r.run(append([]string{"rpmsign", "--define", "_gpg_name t@example.org", "--define", "__gpg " + gpg, "--addsign"}, packages...)...)
	if err := os.MkdirAll(r.dir+"/repo", 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.dir+"/out", r.dir+"/repo/Packages"); err != nil {
		r.t.Fatal(err)
	}
	r.run("createrepo_c", "--quiet", "repo")
	if signed {
		r.run("gpg", "--batch", "--quiet", "--armor", "--detach-sign", "repo/repodata/repomd.xml")
	}
	return filesBelow(r.t, r.dir+"/repo", "40/x86_64/")
}

// A dnfClient is a root of its own for the real dnf.
type dnfClient struct{ root string }

// newDNF makes one that takes a repository from a URL.
func newDNF(t *testing.T, url, key string, repoCheck bool) dnfClient {
	t.Helper()
	c := dnfClient{t.TempDir()}
	check := 0
	if repoCheck {
		check = 1
	}
	write(t, c.root+"/repos/team.repo", fmt.Sprintf("[team]\nname=t\nbaseurl=%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=%d\ngpgkey=file://%s\nmetadata_expire=0\nskip_if_unavailable=0\n", url, check, key))
	for _, dir := range []string{"log", "root"} {
		if err := os.Mkdir(filepath.Join(c.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, c.root+"/dnf.conf", "[main]\nkeepcache=1\nplugins=0\nretries=1\n")
	return c
}

func (c dnfClient) run(args ...string) (string, error) {
	cmd := exec.Command("dnf", append([]string{"-q", "-y", "-c", c.root + "/dnf.conf", "--installroot=" + c.root + "/root", "--setopt=reposdir=" + c.root + "/repos",
		"--setopt=cachedir=" + c.root + "/cache", "--setopt=logdir=" + c.root + "/log", "--releasever=40", "--forcearch=x86_64"}, args...)...)
	cmd.Env = clean("LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c dnfClient) must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := c.run(args...); err != nil {
		t.Errorf("dnf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// has wants so many packages to be installed, by what rpm says.
func (c dnfClient) has(t *testing.T, count int) {
	t.Helper()
	out := must(t, "rpm", "--root", c.root+"/root", "-qa")
	if n := strings.Count(out, "p"); n < count || strings.Count(out, "\n") < count {
		t.Errorf("of %d packages are installed:\n%s", count, out)
	}
}

// A repository of rpm is mirrored for the real dnf: packages are signed, and
// repomd.xml as well.
func TestAcceptMirrorRPM(t *testing.T) {
	needs(t, true, "dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
	t.Parallel() // they wait for most of the time
	const count, repomd = 20, "40/x86_64/repodata/repomd.xml"
	r := newRPMRepository(t)
	key := r.key()
	first := r.publish("1", count, true)
	up := newUpstreamServer(t, first)
	m := serveMirror(t, "{prefix: team, format: rpm, urls: ['"+up.URL+"'], keys: ['"+key+"']}")
	const below = "/team/$releasever/$basearch"
	install := func(int) {
		c := newDNF(t, m.url+below, key, true)
		c.must(t, "install", "p*")
		c.has(t, count)
	}
	took := atOnce(4, install)
	n := up.once(t)
	t.Logf("4 clients, cold: %v, %d files asked upstream", took, n)
	if n < count+3 {
		t.Errorf("only %d files came through the mirror", n)
	}
	m.stop()
	m.start()
	t.Logf("4 clients, hot: %v", atOnce(4, install))
	proxied := newDNF(t, up.URL+"/$releasever/$basearch", key, true)
	proxied.must(t, "install", "--setopt=proxy="+m.url, "p*")
	proxied.has(t, count)
	up.once(t)
	stamp := m.freeze()
	m.admin("warm?snapshot=" + stamp)

	second := r.publish("2", count, true)
	lie := map[string][]byte{repomd: second[repomd], repomd + ".asc": first[repomd+".asc"]}
	up.become(lie, nil)
	m.eventuallyStale("/team/"+repomd, first[repomd], "does not verify")
	up.become(nil, dead)
	m.eventuallyStale("/team/"+repomd, first[repomd], "EOF")
	install(0)
	up.become(second, nil)
	m.eventually("/team/"+repomd, second[repomd])
	up.become(first, nil)
	m.eventuallyStale("/team/"+repomd, second[repomd], "someone replays it")
	up.become(nil, nil)
	c := newDNF(t, m.url+"/snapshot/"+stamp+below, key, true)
	c.must(t, "install", "p*")
	c.has(t, count)
}

// A repository changes with every few requests, and drops the metadata of
// before: each client of the mirror sees one state.
func TestAcceptMirrorRPMThatChanges(t *testing.T) {
	needs(t, true, "dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
	t.Parallel() // they wait for most of the time
	r := newRPMRepository(t)
	key := r.key()
	var states []map[string][]byte
	for _, version := range []string{"1", "2", "3", "4"} {
		states = append(states, r.publish(version, 3, false))
	}
	up := newUpstreamServer(t, nil)
	m := serveMirror(t, "{prefix: team, format: rpm, urls: ['"+up.URL+"'], keys: ['"+key+"']}")
	var asked atomic.Int64
	up.become(nil, func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
		name := strings.TrimPrefix(req.URL.Path, "/")
		now := states[min(int(asked.Load()/20), len(states)-1)]
		if strings.Contains(name, "repodata/") {
			now = states[min(int(asked.Add(1)/20), len(states)-1)]
		} else {
			for _, s := range states { // packages stay for some time
				if s[name] != nil {
					now = s
				}
			}
		}
		data, ok := now[name]
		if ok {
			_, _ = w.Write(data)
		}
		return ok
	})
	m.whileRefreshing(func() {
		atOnce(3, func(int) {
			for range 4 {
				newDNF(t, m.url+"/team/$releasever/$basearch", key, false).must(t, "install", "--downloadonly", "p*")
			}
		})
	})
	if n := asked.Load(); n < 80 {
		t.Errorf("upstream was asked %d times for metadata", n)
	}
}
