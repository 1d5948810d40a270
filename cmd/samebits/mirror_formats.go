package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/distro/debian/archive"
)

// A mirrorFormat is a family of archives that a mirror can serve.
type mirrorFormat struct {
	name string
	// open makes the format, with keyring files; none has signatures passed on
	// unchecked.
	open func(keyrings []string, architectures, components []string) (mirror.Format, error)
}

// mirrorFormats are all of them.
var mirrorFormats = []mirrorFormat{
	{"debian", openDebianFormat},
}

func findFormat(name string) *mirrorFormat {
	for i := range mirrorFormats {
		if mirrorFormats[i].name == name {
			return &mirrorFormats[i]
		}
	}
	return nil
}

func formatNames() []string {
	var names []string
	for _, f := range mirrorFormats {
		names = append(names, f.name)
	}
	return names
}

// A knownArchive is one that every mirror has, under a prefix that never
// changes.
type knownArchive struct {
	prefix, format string
	urls           []string
	keyrings       []string // patterns of files
	components     []string
}

var knownArchives = []knownArchive{
	{"debian", "debian", []string{"http://ftp.debian.org/debian"}, debianKeyrings, []string{"main"}},
	{"debian-security", "debian", []string{"http://security.debian.org/debian-security"}, debianKeyrings, []string{"main", "updates/main"}},
	{"ubuntu", "debian", []string{"http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"}, ubuntuKeyrings, []string{"main", "universe"}},
}

var (
	debianKeyrings = []string{"/usr/share/keyrings/debian-archive-*.gpg", "/usr/share/keyrings/debian-archive-*.pgp", "/etc/apt/trusted.gpg.d/debian-archive-*"}
	ubuntuKeyrings = []string{"/usr/share/keyrings/ubuntu-archive-keyring.gpg", "/etc/apt/trusted.gpg.d/ubuntu-keyring-*"}
)

// keyringFiles are the files that patterns match.
func keyringFiles(patterns []string) (names []string) {
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		names = append(names, found...)
	}
	return names
}

// openDebianFormat is that of apt's archives.
func openDebianFormat(keyrings, architectures, components []string) (mirror.Format, error) {
	d := &mirror.Debian{Architectures: architectures, Components: components}
	for _, name := range keyrings {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read a keyring: %w", err)
		}
		keys, err := archive.ReadKeys(data)
		if err != nil {
			return nil, fmt.Errorf("keyring %s: %w", name, err)
		}
		d.Keys = archive.Join(d.Keys, keys)
	}
	if len(keyrings) > 0 && d.Keys == nil {
		return nil, errors.New("no key is in the keyrings")
	}
	return d, nil
}

// debianArchitecture is this machine's architecture as Debian calls it.
func debianArchitecture() string {
	names := map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}
	if name := names[runtime.GOARCH]; name != "" {
		return name
	}
	return runtime.GOARCH
}
