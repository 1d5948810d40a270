package debian

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild"
)

// TestRules has each rule take what it is there for, and nothing beside it.
func TestRules(t *testing.T) {
	cases := map[string]struct{ gone, kept []string }{
		"dpkg-logs":          {[]string{"var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log", "var/log/apt/history.log"}, []string{"var/log", "var/log/apt", "var/log/nginx/error.log"}},
		"apt-caches":         {[]string{"var/lib/apt/lists/ftp.debian.org_debian_dists_bookworm_InRelease", "var/lib/apt/lists/lock", "var/cache/apt/pkgcache.bin", "var/cache/apt/archives/hello_2.10-3_amd64.deb", "var/cache/apt/archives/lock"}, []string{"var/lib/apt/lists", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/apt/extended_states"}},
		"database-backups":   {[]string{"var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/cache/debconf/config.dat-old", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock"}, []string{"var/lib/dpkg/status", "var/lib/dpkg/diversions", "var/cache/debconf/config.dat", "var/lib/dpkg/triggers/File"}},
		"snakeoil":           {[]string{"etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/ssl/private/ssl-cert-snakeoil.key"}, []string{"etc/ssl/certs/ca-certificates.crt", "etc/ssl/private"}},
		"man-cache":          {[]string{"var/cache/man/index.db", "var/cache/man/de/CACHEDIR.TAG"}, []string{"var/cache/man", "usr/share/man/man1/ls.1.gz"}},
		"font-cache":         {[]string{"var/cache/fontconfig/0123.cache-8", "var/log/fontconfig.log"}, []string{"var/cache/fontconfig", "usr/share/fonts/a.ttf"}},
		"raspi-cmdline":      {[]string{"boot/firmware/cmdline.txt"}, []string{"boot/firmware/config.txt", "boot/cmdline.txt"}},
		"popularity-contest": {[]string{"etc/popularity-contest.conf", "etc/cron.d/popularity-contest"}, []string{"etc/cron.d", "usr/share/popularity-contest/default.conf"}},
	}
	for _, r := range (Distro{}).Rules() {
		c, ok := cases[r.Name]
		if !ok {
			t.Errorf("the rule %s is not tried", r.Name)
			continue
		}
		delete(cases, r.Name)
		if r.Reason == "" || strings.HasSuffix(r.Reason, ".") {
			t.Errorf("%s: the reason %q is no clause", r.Name, r.Reason)
		}
		removes := func(name string) bool {
			return slices.ContainsFunc(r.Remove, func(p string) bool { return imagebuild.Match(p, name) })
		}
		for _, name := range c.gone {
			if !removes(name) {
				t.Errorf("%s leaves %s", r.Name, name)
			}
		}
		for _, name := range c.kept {
			if removes(name) {
				t.Errorf("%s takes %s", r.Name, name)
			}
		}
		for _, p := range r.Remove {
			if _, err := path.Match(strings.TrimSuffix(p, "/**"), "x"); err != nil || p[0] == '/' {
				t.Errorf("%s: %q is no pattern", r.Name, p)
			}
		}
	}
	for name := range cases {
		t.Errorf("there is no rule %s", name)
	}
}
