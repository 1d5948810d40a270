package oci

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/samebits/samebits/lockfile"
)

// A Reference names a repository of a registry, or an artifact in it.
type Reference struct {
	// Host is the registry as people write it, with its port where it has
	// one, in lower case.
	Host string
	// Plain says that the registry is spoken to without encryption.
	Plain      bool
	Repository string
	Tag        string          // may be empty
	Digest     lockfile.Digest // of a manifest; may be zero
}

const (
	secureScheme = "oci://"
	plainScheme  = "oci+http://"
	// maxRepository is the length that registries allow.
	maxRepository = 255
)

var (
	repositoryForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	})
	tagForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	})
)

// IsReference reports whether s has one of the schemes of a reference.
func IsReference(s string) bool {
	return strings.HasPrefix(s, secureScheme) || strings.HasPrefix(s, plainScheme)
}

// ParseReference reads oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST], or
// oci+http:// for a registry without encryption. Registries on a loopback
// address have none in either case.
func ParseReference(s string) (Reference, error) {
	var ref Reference
	rest, ok := strings.CutPrefix(s, secureScheme)
	if !ok {
		if rest, ok = strings.CutPrefix(s, plainScheme); !ok {
			return Reference{}, errors.New("not a reference such as oci://registry.example/team/packages:tag")
		}
		ref.Plain = true
	}
	host, path, _ := strings.Cut(rest, "/")
	if strings.Contains(host, "@") {
		// The message does not repeat the password.
		return Reference{}, errors.New("a reference holds no login; use: docker login HOST")
	}
	bad := func(format string, args ...any) (Reference, error) {
		return Reference{}, fmt.Errorf("%q: %w", s, fmt.Errorf(format, args...))
	}
	ref.Host = strings.ToLower(host)
	if !isHost(ref.Host) {
		return bad("%q is not the name of a registry", host)
	}
	ref.Plain = ref.Plain || isLoopback(ref.Host)
	path, digest, hasDigest := strings.Cut(path, "@")
	if hasDigest {
		hex, isSHA256 := strings.CutPrefix(digest, "sha256:")
		d, err := lockfile.ParseDigest(hex)
		if err != nil || !isSHA256 || d.IsZero() {
			return bad("%q is not a digest such as sha256:…", digest)
		}
		ref.Digest = d
	}
	var hasTag bool
	ref.Repository, ref.Tag, hasTag = strings.Cut(path, ":")
	if hasTag && !tagForm().MatchString(ref.Tag) {
		return bad("%q is not a tag: letters, digits and . _ -, at most 128", ref.Tag)
	}
	if err := checkRepository(ref.Repository); err != nil {
		return bad("%w", err)
	}
	return ref, nil
}

func checkRepository(name string) error {
	if len(name) > maxRepository || !repositoryForm().MatchString(name) {
		return fmt.Errorf("%q is not the name of a repository: lower-case letters and digits, with . _ - between, and / for folders", name)
	}
	return nil
}

// isHost reports whether s is a host name or address, with a port or without.
func isHost(s string) bool {
	u, err := url.Parse("//" + s)
	return err == nil && u.Host == s && u.Hostname() != "" && !strings.HasSuffix(s, ":") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' })
}

func isLoopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// String returns the reference in the form that ParseReference reads.
func (r Reference) String() string {
	s := r.repository()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if !r.Digest.IsZero() {
		s += "@sha256:" + r.Digest.String()
	}
	return s
}

// repository is the reference without tag and digest.
func (r Reference) repository() string {
	scheme := secureScheme
	if r.Plain && !isLoopback(r.Host) {
		scheme = plainScheme
	}
	return scheme + r.Host + "/" + r.Repository
}

// server is the host that answers for the registry.
func (r Reference) server() string {
	if r.Host == "docker.io" || r.Host == "index.docker.io" {
		return "registry-1.docker.io"
	}
	return r.Host
}

// url is the address of what lies at path below the repository.
func (r Reference) url(path string) *url.URL {
	u := &url.URL{Scheme: "https", Host: r.server(), Path: "/v2/" + r.Repository + "/" + path}
	if r.Plain {
		u.Scheme = "http"
	}
	return u
}
