package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

const (
	oneDigest = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
	twoDigest = "27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a"
)

// badLocks are what a lock may not be, with the line that is to blame.
var badLocks = map[string]struct {
	line int
	text string
}{
	"hash":            {2, oneDigest + "  a/one\nzz  a/two\n"},
	"short hash":      {1, "abcd  a/one\n"},
	"long hash":       {1, oneDigest + "00  a/one\n"},
	"upper-case hash": {0, strings.ToUpper(oneDigest) + "  a/one\n"},
	"one space":       {1, oneDigest + " a/one\n"},
	"no path":         {1, oneDigest + "\n"},
	"empty path":      {1, oneDigest + "  \n"},
	"absolute path":   {1, oneDigest + "  /etc/passwd\n"},
	"dotdot":          {1, oneDigest + "  a/../../one\n"},
	"dotdot at end":   {1, oneDigest + "  a/..\n"},
	"control":         {1, oneDigest + "  a/o\x1b[2Jne\n"},
	"zero byte":       {1, oneDigest + "  a/o\x00ne\n"},
	"two hashes":      {3, oneDigest + "  a/one\n" + twoDigest + "  a/two\n" + twoDigest + "  a/one\n"},
	"trailing junk":   {2, oneDigest + "  a/one\nThe end.\n"},
	"directive":       {2, "# samebits lock v1\n#: frobnicate yes\n"},
	"two dates":       {3, "# samebits lock v1\n#: date 2026-11-15T09:12:33Z\n#: date 2026-11-16T09:12:33Z\n"},
	"bad date":        {2, "# samebits lock v1\n#: date yesterday\n"},
	"bad distro":      {2, "# samebits lock v1\n#: distro debian\n"},
	"bad missing":     {2, "# samebits lock v1\n#: missing hello\n"},
	"no archive":      {2, "# samebits lock v1\n#: archive\n"},
	"newer":           {1, "# samebits lock v2\n"},
	"page":            {1, "<!DOCTYPE html>\n<html>not found</html>\n"},
	"binary":          {1, "\x7fELF\x02\x01\x01\x00\x00"},
	"long line":       {1, oneDigest + "  a/" + strings.Repeat("x", 1<<20) + "\n"},
	"cut off":         {2, oneDigest + "  a/one\n" + twoDigest[:40]},
}

// Every verb that reads a lock says where a bad one is bad, and touches
// neither the cache nor the system nor what it would have written.
func TestAcceptBadLocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, cache := filepath.Join(dir, "root"), filepath.Join(dir, "cache")
	write(t, filepath.Join(root, "etc/os-release"), "ID=debian\nVERSION_ID=12\n")
	write(t, filepath.Join(root, "var/lib/dpkg/arch"), "amd64\n")
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "Package: one\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n")
	good := write(t, filepath.Join(dir, "good"), oneDigest+"  a/one_1_amd64.deb\n")
	samebits(t, 0, cache, "cache", "import", write(t, filepath.Join(dir, "files", "one_1_amd64.deb"), "one\n"))
	work := filepath.Join(dir, "work")
	out, dest := filepath.Join(work, "out"), filepath.Join(work, "dest")
	write(t, out, "as it was\n")
	verbs := [][]string{
		{"lock", "inspect", "BAD"},
		{"lock", "inspect", "--json", "BAD"},
		{"lock", "diff", good, "BAD"},
		{"lock", "diff", "BAD", good},
		{"lock", "fetch", "--source", work, "BAD"},
		{"lock", "fetch", "--source", work, good, "BAD"},
		{"lock", "install", "--root", root, "BAD"},
		{"lock", "install", "--root", root, "--dry-run", good, "BAD"},
		{"lock", "update", "--root", root, "--write", "BAD"},
		{"lock", "update", "--root", root, "-o", out, "BAD"},
		{"lock", "generate", "--root", root, "--since", "BAD", "-o", out},
		{"cache", "pin", "name", "BAD"},
		{"cache", "export", "BAD", dest},
		{"cache", "export", "--layout", "tar", "BAD", out},
		{"cache", "push", "oci://127.0.0.1:1/packages", good, "BAD"},
		{"sources", "--source", work, "BAD"},
		{"sources", "--check", "--source", work, "BAD"},
	}
	everyReader(t, verbs)
	for _, name := range slices.Sorted(maps.Keys(badLocks)) {
		b := badLocks[name]
		bad := write(t, filepath.Join(dir, "bad", strings.ReplaceAll(name, " ", "-")), b.text)
		if b.line == 0 {
			// It is allowed to mean the same, and then it must.
			if l, err := lockfile.Parse(bad, strings.NewReader(b.text)); err == nil {
				if l.Entries[0].Digest.String() != oneDigest {
					t.Errorf("%s: read as %v", name, l.Entries)
				}
				continue
			}
			b.line = 1
		}
		want := regexp.MustCompile(`(?m)^samebits: ` + regexp.QuoteMeta(fmt.Sprintf("%s:%d: ", bad, b.line)))
		for _, verb := range verbs {
			args := slices.Clone(verb)
			args[slices.Index(args, "BAD")] = bad
			before := listing(t, dir)
			r := finish(t, command(t, cache, args...))
			if r.code != 1 || !want.MatchString(r.stderr) || r.stdout != "" {
				t.Errorf("%s: want exit code 1 and a line %q: %v", name, want, r)
			}
			if len(r.stderr) > 2000 || strings.ContainsAny(r.stderr, "\x00\x1b") {
				t.Errorf("%s: what is said is no line for a person: %v", name, r)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("%s: %v\nchanged\n%s\nto\n%s", name, r, before, after)
			}
		}
	}
}

// everyReader fails the test where a verb that takes a lock is not tried.
func everyReader(t *testing.T, tried [][]string) {
	t.Helper()
	p := &program{getenv: func(string) string { return "" }}
	eachVerb(p.app().Commands, nil, func(path []string, c *cli.Command) {
		if usage := c.ArgsUsage; !strings.Contains(usage, "FILE") && !strings.Contains(usage, "OLD") || path[0] == "image" {
			return // what image takes are images and specs
		}
		if !slices.ContainsFunc(tried, func(verb []string) bool { return slices.Equal(verb[:min(len(path), len(verb))], path) }) {
			t.Errorf("%q takes a lock and is not tried", path)
		}
	})
}

// A verb whose lock is good but bad for the system touches nothing either.
func TestAcceptLockForAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, cache := filepath.Join(dir, "root"), filepath.Join(dir, "cache")
	write(t, filepath.Join(root, "etc/os-release"), "ID=debian\nVERSION_ID=12\n")
	write(t, filepath.Join(root, "var/lib/dpkg/arch"), "amd64\n")
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "Package: one\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n")
	for _, system := range []string{"ubuntu 24.04 amd64", "debian 11 amd64", "debian 12 arm64"} {
		lock := write(t, filepath.Join(dir, "lock"), "# samebits lock v1\n#: distro "+system+"\n#: archive Test\n"+oneDigest+"  pool/two_1_all.deb\n")
		before := listing(t, dir)
		r := finish(t, command(t, cache, "lock", "install", "--root", root, lock))
		for _, want := range []string{system, "debian 12 amd64"} {
			if r.code != 1 || !strings.Contains(lastLine(r.stderr), want) {
				t.Errorf("a lock for %s: want exit code 1 and %q: %v", system, want, r)
			}
		}
		if after := listing(t, dir); after != before {
			t.Errorf("a lock for %s changed\n%s\nto\n%s", system, before, after)
		}
	}
	if _, err := os.Stat(cache); err == nil {
		t.Error("there is a cache now")
	}
}
