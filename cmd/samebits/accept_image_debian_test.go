package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/debian"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
)

// debianRoot has mmdebstrap make a root of the packages that a lock was made of,
// and reads it.
func debianRoot(t *testing.T, debs string) *tree.Tree {
	t.Helper()
	needsMirror(t)
	out := filepath.Join(t.TempDir(), "root.tar")
	sources, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if _, err := os.Stat("/etc/apt/sources.list"); err == nil {
		sources = append(sources, "/etc/apt/sources.list")
	}
	// The packages are there already, and not downloaded again.
	hook := fmt.Sprintf(`mkdir -p "$1/var/cache/apt/archives" && cp %s/*.deb "$1/var/cache/apt/archives/"`, debs)
	must(t, "mmdebstrap", append([]string{"--quiet", "--variant=apt", "--include=tzdata,iputils-ping", "--setup-hook=" + hook, "bookworm", out}, sources...)...)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := tar.Read(t.Context(), f, &tree.MemoryStore{}, tar.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// besideDebian are the differences from mmdebstrap's root that no rule makes,
// by pattern, with their reason.
var besideDebian = map[string]string{
	"dev/*":                          "scripts of the sandbox have no devices, and who starts a container makes them",
	"etc/hostname":                   "mmdebstrap takes the host's",
	"etc/resolv.conf":                "mmdebstrap takes the host's",
	"etc/fstab":                      "mmdebstrap writes one without a line",
	"etc/apt/sources.list.d/*":       "mmdebstrap writes its own",
	"etc/shells":                     "the order in which packages are configured",
	"var/cache/debconf/*":            "apt asks debconf's questions before",
	"var/lib/dpkg/arch":              "written where dpkg was asked to add an architecture",
	"var/lib/apt/extended_states":    "written by apt alone",
	"var/cache/apt/archives/partial": "apt gives it to its user where it downloads",
	"var/lib/apt/lists/partial":      "apt gives it to its user where it downloads",
	"usr/bin/uncompress":             "a hard link of the package gzip, of which mmdebstrap makes a copy",
}

// ruleOf is the name of the rule that accounts for a path; empty where none
// does.
func ruleOf(path string) string {
	for _, r := range append(imagebuild.CommonRules(), debian.Distro{}.Rules()...) {
		fits := func(p string) bool { return imagebuild.Match(p, path) || imagebuild.Match(p+"/**", path) }
		if slices.ContainsFunc(slices.Concat(r.Remove, r.Empty, r.Edit), fits) {
			return r.Name
		}
	}
	return ""
}

// TestImageIsWhatMmdebstrapMakes holds the minimal Debian to the root that
// mmdebstrap makes of the same packages: every path, type, mode, owner, target,
// attribute and content. What differs is named by a rule or here.
func TestImageIsWhatMmdebstrapMakes(t *testing.T) {
	needs(t, true, "mmdebstrap")
	b := newImageBuilder(t)
	b.outputs = []string{"root.mtree"}
	b.build(t, "ours", `exec "$@"`)
	listing, err := os.Open(filepath.Join(b.dir, "ours", "root.mtree"))
	if err != nil {
		t.Fatal(err)
	}
	defer listing.Close()
	ours, err := tree.ReadManifest(listing, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := debianRoot(t, filepath.Join(filepath.Dir(b.lock), "debs"))
	same, byRule := 0, map[string][]string{}
	for _, d := range imagebuild.Compare(theirs, ours) {
		what := slices.DeleteFunc(slices.Clone(d.What), func(w string) bool { return w == "time" })
		if len(what) == 0 {
			continue
		}
		why := ruleOf(d.Path)
		for pattern, reason := range besideDebian {
			if imagebuild.Match(pattern, d.Path) {
				why = reason
			}
		}
		if why == "" {
			t.Errorf("/%s differs from mmdebstrap's: %s", d.Path, strings.Join(what, ", "))
		}
		byRule[why] = append(byRule[why], d.Path)
		same++
	}
	for why, paths := range byRule {
		t.Logf("%s: %s", why, strings.Join(paths, " "))
	}
	t.Logf("of %d paths, %d differ", theirs.Len(), same)
	if theirs.Len() < 5000 {
		t.Errorf("mmdebstrap's root has only %d paths", theirs.Len())
	}
}
