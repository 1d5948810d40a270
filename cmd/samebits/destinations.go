package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/ipfs"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
)

// A destination is a sink, and what is to be told of it after a push.
type destination struct {
	fetch.Sink
	// published are the addresses that "lock pull" takes, one for each lock
	// or one for all.
	published func() []string
	// cids are the IPFS addresses that locks should record; may be nil.
	cids func() map[lockfile.Digest]string
}

// A destinationKind is a kind of destination.
type destinationKind struct {
	scheme string
	flags  []string // those of destinationFlags that mean something for it
	open   func(*opener, string) (destination, error)
}

// destinationFlags are for some kinds only.
var destinationFlags = []string{"mount", "output", "profile", "write"}

var (
	registryFlags = []string{"mount"}
	nodeFlags     = []string{"output", "profile", "write"}
)

// destinationKinds are all that can be pushed to.
var destinationKinds = []destinationKind{
	{"oci", registryFlags, (*opener).toRegistry},
	{"oci+http", registryFlags, (*opener).toRegistry},
	{"ipfs", nodeFlags, (*opener).toNode},
	{"ipfs+https", nodeFlags, (*opener).toNode},
	{"s3", nil, (*opener).toBucket},
	{"s3+http", nil, (*opener).toBucket},
}

// destination opens what a URL names for a push.
func (o *opener) destination(rawURL string) (destination, error) {
	scheme := schemeOf(rawURL)
	var known []string
	for _, k := range destinationKinds {
		if k.scheme == scheme {
			for _, flag := range destinationFlags {
				if o.session.IsSet(flag) && !slices.Contains(k.flags, flag) {
					return destination{}, o.session.usagef("--%s means nothing for %s://", flag, scheme)
				}
			}
			return k.open(o, rawURL)
		}
		known = append(known, k.scheme+"://")
	}
	return destination{}, o.session.usagef("%s cannot be pushed to: there are %s; for directories there is \"samebits cache export\"", withoutLogin(rawURL), strings.Join(known, ", "))
}

func (o *opener) toRegistry(rawURL string) (destination, error) {
	client, err := o.registries()
	if err != nil {
		return destination{}, err
	}
	sink, err := oci.NewSink(client, rawURL, o.session.StringSlice("mount")...)
	if err != nil {
		return destination{}, err
	}
	return destination{Sink: sink, published: func() []string { return []string{sink.Published().String()} }}, nil
}

func (o *opener) toNode(rawURL string) (destination, error) {
	profile, err := ipfs.ProfileNamed(o.session.String("profile"))
	if err != nil {
		return destination{}, err
	}
	sink, err := ipfs.NewSink(o.others(), rawURL, profile)
	if err != nil {
		return destination{}, err
	}
	return destination{sink, func() []string { return prefixed("ipfs://", sink.Locks()) }, sink.CIDs}, nil
}

func (o *opener) toBucket(rawURL string) (destination, error) {
	bucket, err := o.bucket(rawURL)
	if err != nil {
		return destination{}, err
	}
	sink, err := bucket.Sink()
	if err != nil {
		return destination{}, err
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return destination{}, err
	}
	q := u.Query()
	q.Del("lock")
	u.RawQuery = ""
	base := u.String() + "?"
	if rest := strings.ReplaceAll(q.Encode(), "%3A", ":"); rest != "" {
		base += rest + "&"
	}
	return destination{Sink: sink, published: func() []string { return prefixed(base+"lock=", sink.Locks()) }}, nil
}

func prefixed(prefix string, words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprint(prefix, w)
	}
	return out
}
