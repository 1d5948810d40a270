package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/samebits/samebits"

// mayImport is the direction in which data flows: for each folder, those of
// this module that it may import, besides folders below itself. A folder below
// one of these has its parent's rights and may import its parent; "…" stands
// for a folder and all below it.
var mayImport = []struct {
	folder string
	may    []string
}{
	{"lockfile", nil},
	{"distro/rootfs", nil},
	{"distro/decompress", nil},
	{"distro/openpgp", nil},
	{"distro", []string{"lockfile"}},
	{"fetch", []string{"lockfile"}},
	{"cache/mirror", []string{"cache…", "fetch…", "distro…", "lockfile"}},
	{"cache", []string{"lockfile"}},
	{"imagebuild/tree", nil},
	{"imagebuild/compress", nil},
	{"imagebuild/sandbox", nil},
	{"imagebuild/spec", nil},
	{"imagebuild/filetime", nil},
	{"imagebuild/target", []string{"distro", "imagebuild/tree", "imagebuild/filetime"}},
	{"imagebuild/tar", []string{"imagebuild/tree", "imagebuild/compress"}},
	{"imagebuild/cpio", []string{"imagebuild/tree", "imagebuild/compress"}},
	{"imagebuild/dir", []string{"imagebuild/tree", "imagebuild/filetime"}},
	{"imagebuild/oci", []string{"imagebuild/tree", "imagebuild/tar", "imagebuild/compress"}},
	{"imagebuild/secureboot", []string{"imagebuild/tree", "imagebuild/uki"}},
	{"imagebuild/disk", []string{"imagebuild/tree", "imagebuild/compress", "imagebuild/cpio", "imagebuild/erofs", "imagebuild/ext4", "imagebuild/fat",
		"imagebuild/gpt", "imagebuild/grub", "imagebuild/initramfs", "imagebuild/iso", "imagebuild/secureboot", "imagebuild/squashfs", "imagebuild/swap", "imagebuild/uki", "imagebuild/verity"}},
	{"imagebuild/inspect", []string{"imagebuild…", "distro/decompress"}},
	{"imagebuild", []string{"cache", "fetch…", "distro…", "lockfile"}},
	{"cmd/samebits", []string{"…"}},
	{"bench", []string{"…"}},
	{".ci", nil},
}

// onlyIn is where a heavy dependency is imported; nowhere else.
var onlyIn = map[string]string{
	"oras.land/oras-go/v2":                   "fetch/oci",
	"github.com/ipfs/go-cid":                 "fetch/ipfs",
	"github.com/hashicorp/go-retryablehttp":  "fetch/web",
	"go.etcd.io/bbolt":                       "cache",
	"github.com/minio/minio-go/v7":           "fetch/s3",
	"github.com/vbauerster/mpb/v8":           "cmd/samebits",
	"github.com/urfave/cli/v2":               "cmd/samebits",
	"golang.org/x/crypto/x509roots/fallback": "fetch/web",
	"github.com/ProtonMail/go-crypto":        "distro",
	"github.com/knqyf263/go-rpmdb":           "distro/fedora",
	"modernc.org/sqlite":                     "distro/fedora",
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	// What tests import is bound only by onlyIn.
	TestImports, XTestImports []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImportDirection(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	for _, p := range packages {
		for _, imported := range p.Imports {
			if target, ours := strings.CutPrefix(imported, module+"/"); ours {
				if from := strings.TrimPrefix(p.ImportPath, module+"/"); !allowed(from, target) {
					t.Errorf("%s imports %s, which is against the direction", from, target)
				}
			}
		}
	}
}

// allowed reports whether the folder from may import the folder target.
func allowed(from, target string) bool {
	for _, rule := range mayImport {
		if !below(from, rule.folder) {
			continue
		}
		// A suite beside an interface is for tests, and imports what it holds
		// to its contract.
		return below(target, rule.folder) && !siblings(from, target, rule.folder) ||
			slices.ContainsFunc(rule.may, func(may string) bool {
				tree, all := strings.CutSuffix(may, "…")
				return target == may || all && (tree == "" || below(target, tree))
			})
	}
	return false
}

// siblings reports whether two folders are different implementations of what
// folder has the vocabulary of, such as distro/debian and distro/alpine. Those
// that speak HTTP may stand on fetch/web, which stands on none of them.
func siblings(a, b, folder string) bool {
	first := func(s string) string {
		word, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(s, folder), "/"), "/")
		return word
	}
	x, y := first(a), first(b)
	shared := func(s string) bool {
		return s == "" || s == "rootfs" || s == "decompress" || s == "openpgp" || s == "tree" || s == "compress" || strings.HasSuffix(s, "test")
	}
	return !shared(x) && !shared(y) && x != y && folder+"/"+y != "fetch/web"
}

func below(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		from, target string
		want         bool
	}{
		{"cache", "lockfile", true},
		{"cache", "fetch", false},
		{"cache/mirror", "cache", true},
		{"lockfile", "distro", false},
		{"distro/debian", "distro", true},
		{"distro/debian", "distro/rootfs", true},
		{"distro/fedora/rpm", "distro/openpgp", true},
		{"distro/openpgp", "distro", false},
		{"distro/debian/apt", "distro/debian/deb822", true},
		{"distro/alpine", "distro/debian", false},
		{"distro/debian", "fetch", false},
		{"fetch/web", "fetch", true},
		{"fetch/web", "fetch/dir", false},
		{"fetch/oci", "fetch/web", true},
		{"fetch/oci", "fetch/dir", false},
		{"fetch/web", "cache", false},
		{"imagebuild/ext4", "imagebuild/tree", true},
		{"cmd/samebits", "fetch/web", true},
		{"somewhere", "lockfile", false},
	} {
		if got := allowed(c.from, c.target); got != c.want {
			t.Errorf("%s imports %s: allowed %t, want %t", c.from, c.target, got, c.want)
		}
	}
}

func TestHeavyDependenciesStayInOneFolder(t *testing.T) {
	for _, p := range listPackages(t) {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for dependency, folder := range onlyIn {
				if below(imported, dependency) && !below(from, folder) {
					t.Errorf("%s imports %s, which belongs to %s alone", from, imported, folder)
				}
			}
		}
	}
}
