package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/ipfs"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/fetch/web"
)

// A backend is a kind of source.
type backend struct {
	scheme  string // empty for a directory
	network bool
	keeps   bool // it may be a keeper
	open    func(*opener, place) (fetch.Source, error)
}

// backends are all kinds of sources.
var backends = []backend{
	{"", false, false, (*opener).directory},
	{"file", false, false, (*opener).directory},
	{"http", true, true, (*opener).web},
	{"https", true, true, (*opener).web},
	{"oci", true, false, (*opener).oci},
	{"oci+http", true, false, (*opener).oci},
	{"ipfs", true, false, (*opener).ipfs},
	{"ipfs+https", true, false, (*opener).ipfs},
	{"ipfs+gateway", true, false, (*opener).ipfs},
	{"s3", true, false, (*opener).s3},
	{"s3+http", true, false, (*opener).s3},
}

// schemeOf is the scheme of a URL, in lower case; empty for a directory.
func schemeOf(rawURL string) string {
	if _, ok := filePath(rawURL); ok {
		return "file"
	}
	scheme, _, ok := strings.Cut(rawURL, "://")
	if !ok {
		return ""
	}
	return strings.ToLower(scheme)
}

// backendOf finds the kind of source that a URL or directory is; nil where
// there is none.
func backendOf(rawURL string) *backend {
	scheme := schemeOf(rawURL)
	for i := range backends {
		if backends[i].scheme == scheme {
			return &backends[i]
		}
	}
	return nil
}

func unknownScheme(rawURL string) error {
	var known []string
	for _, b := range backends[1:] {
		known = append(known, b.scheme+"://")
	}
	return fmt.Errorf("%s:// is not the scheme of a source; there are directories, %s", schemeOf(rawURL), strings.Join(known, ", "))
}

// An opener makes sources of places. What a system's own configuration says of
// proxies and logins is for mirrors of packages, and for nothing else.
type opener struct {
	session    *session
	mirrors    *web.Client
	others     func() *web.Client          // one for all
	registries func() (*oci.Client, error) // one for all
	keepers    []*keeper                   // that were opened
}

func (s *session) newOpener(access distro.Access) *opener {
	others := sync.OnceValue(func() *web.Client { return s.client(distro.Access{}) })
	registries := sync.OnceValues(func() (*oci.Client, error) {
		return oci.NewClient(oci.Config{Web: others(), DockerConfig: s.dockerConfig()})
	})
	return &opener{session: s, mirrors: s.client(access), others: others, registries: registries}
}

// errOffline is why a place is not used.
var errOffline = errors.New("it is on the network, which --offline forbids")

// open makes a source of a place.
func (o *opener) open(p place) (fetch.Source, error) {
	b := backendOf(p.url)
	switch {
	case b == nil:
		return nil, unknownScheme(p.url)
	case b.network && o.session.Bool("offline"):
		return nil, errOffline
	}
	src, err := b.open(o, p)
	if err != nil {
		return nil, err
	}
	return fetch.Only(src, p.archives...), nil
}

func (o *opener) directory(p place) (fetch.Source, error) {
	name, ok := filePath(p.url)
	if !ok {
		var err error
		if name, err = filepath.Abs(p.url); err != nil {
			return nil, err
		}
	}
	return dir.New(name)
}

// cidField is the field that makes a template that of an IPFS gateway.
var cidField = regexp.MustCompile(`\{\{ *\.CID *\}\}`)

func (o *opener) web(p place) (fetch.Source, error) {
	if cidField.MatchString(p.url) {
		return o.ipfs(p)
	}
	src, err := web.New(o.mirrors, web.Place{URL: p.url, Keeper: p.keeper})
	if err != nil || !p.keeper {
		return src, err
	}
	src = o.session.newKeeper(p, src, &fetcher{session: o.session, client: o.mirrors})
	if k, ok := src.(*keeper); ok {
		o.keepers = append(o.keepers, k)
	}
	return src, nil
}

func (o *opener) oci(p place) (fetch.Source, error) {
	client, err := o.registries()
	if err != nil {
		return nil, err
	}
	return oci.New(client, p.url)
}

func (o *opener) ipfs(p place) (fetch.Source, error) {
	return ipfs.NewSource(o.others(), p.url)
}

func (o *opener) s3(p place) (fetch.Source, error) {
	bucket, err := o.bucket(p.url)
	if err != nil {
		return nil, err
	}
	return bucket, nil
}

func (o *opener) bucket(rawURL string) (*s3.Bucket, error) {
	config, err := o.session.bucket(rawURL)
	if err != nil {
		return nil, err
	}
	return s3.Open(o.others(), config)
}
