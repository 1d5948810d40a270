package oci

import (
	"context"
	"fmt"
	"net/http"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

type source struct{ repository }

// New returns a repository as a source for any file whose blob it has. The tag
// or digest of the reference does not matter.
func New(client *Client, reference string) (fetch.Source, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	return &source{client.repository(ref, auth.ActionPull)}, nil
}

// Name is the reference without a tag.
func (s *source) Name() string { return s.ref.repository() }

// Serves reports true: blobs are known by their digests alone.
func (s *source) Serves(lockfile.Entry) bool { return true }

// Limits are shared by all repositories of a registry.
func (s *source) Limits() fetch.Limits { return fetch.Limits{Host: s.ref.server()} }

// Open asks for the blob, or for its rest. Registries may redirect to where
// their blobs are stored, now here and now there; since a blob never changes,
// no validator is needed, and none of one place is shown to another.
func (s *source) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	if req.Entry.Digest.IsZero() {
		return nil, fetch.Permanent(fmt.Errorf("the digest of %s is not known", req.Entry.Path))
	}
	body, err := web.Ask(req, func(header http.Header) (*http.Response, error) {
		return s.ask(ctx, http.MethodGet, blobPath(req.Entry.Digest), header)
	})
	if err == nil {
		body.Validator = ""
	}
	return body, err
}
