package oci

import (
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/lockfile"
)

const (
	// ArtifactType is the type of a lock's artifact, and of an index of such.
	ArtifactType = "application/vnd.samebits.lock.v1"
	// LockMediaType is the type of the layer that holds the lock itself.
	LockMediaType = "application/vnd.samebits.lock.v1.sha256sums"
	// lockTitle is the file name of that layer.
	lockTitle = "SHA256SUMS"
)

// packageTypes are the media types of package files by how their names end.
// Debian's is registered with IANA; the others are in wide use.
var packageTypes = []struct{ suffix, mediaType string }{
	{".deb", "application/vnd.debian.binary-package"},
	{".udeb", "application/vnd.debian.binary-package"},
	{".ddeb", "application/vnd.debian.binary-package"},
	{".rpm", "application/x-rpm"},
	{".zst", "application/zstd"},
	{".xz", "application/x-xz"},
	{".gz", "application/gzip"},
}

// mediaType returns the media type of a package file. That of apk has none of
// its own, and the file is gzip or not depending on its version.
func mediaType(path string) string {
	for _, t := range packageTypes {
		if strings.HasSuffix(path, t.suffix) {
			return t.mediaType
		}
	}
	return "application/octet-stream"
}

// architectures are the names that distributions give to processors, with the
// operating system's and variant's as Go and the image specification have it.
var architectures = map[string]v1.Platform{
	"x86_64":      {Architecture: "amd64"},
	"aarch64":     {Architecture: "arm64"},
	"armhf":       {Architecture: "arm", Variant: "v7"},
	"armv7":       {Architecture: "arm", Variant: "v7"},
	"armv7h":      {Architecture: "arm", Variant: "v7"},
	"armv7hl":     {Architecture: "arm", Variant: "v7"},
	"armel":       {Architecture: "arm", Variant: "v5"},
	"i386":        {Architecture: "386"},
	"i486":        {Architecture: "386"},
	"i586":        {Architecture: "386"},
	"i686":        {Architecture: "386"},
	"x86":         {Architecture: "386"},
	"ppc64el":     {Architecture: "ppc64le"},
	"mips64el":    {Architecture: "mips64le"},
	"mipsel":      {Architecture: "mipsle"},
	"loongarch64": {Architecture: "loong64"},
}

// platform returns the platform of a system, or nil where the lock does not
// say. Alpine's armhf is for older processors than Debian's.
func platform(s lockfile.System) *v1.Platform {
	if s.Arch == "" {
		return nil
	}
	p, ok := architectures[s.Arch]
	if !ok {
		p.Architecture = s.Arch
	}
	if s.Distro == "alpine" && s.Arch == "armhf" {
		p.Variant = "v6"
	}
	p.OS = "linux"
	return &p
}
