package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// A Sink is a repository of a registry as a [fetch.Sink].
type Sink struct {
	repository
	from []repository

	mu        sync.Mutex
	published Reference
}

// NewSink returns the repository as a sink. What is published gets the tag of
// the reference, or none. from names other repositories of the same registry:
// blobs that are there are not sent but mounted, for which their registry must
// let the login read there.
func NewSink(client *Client, reference string, from ...string) (*Sink, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	if !ref.Digest.IsZero() {
		return nil, fmt.Errorf("%s: what is pushed has a digest of its own; name a tag or none", ref)
	}
	s := &Sink{repository: client.repository(ref, auth.ActionPull, auth.ActionPush)}
	for _, name := range from {
		if err := checkRepository(name); err != nil {
			return nil, err
		}
		other := ref
		other.Repository = name
		s.scopes = append(s.scopes, auth.ScopeRepository(name, auth.ActionPull))
		s.from = append(s.from, repository{client, other, nil})
	}
	for i := range s.from {
		s.from[i].scopes = s.scopes
	}
	return s, nil
}

// Name is the reference.
func (s *Sink) Name() string { return s.ref.String() }

// Published is the reference, with the digest, of what was published last;
// zero before that.
func (s *Sink) Published() Reference {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.published
}

// Put makes the file a blob of the repository.
func (s *Sink) Put(ctx context.Context, f fetch.File) (sent bool, err error) {
	if f.Entry.Digest.IsZero() {
		return false, fetch.Permanent(errors.New("the digest of the file is not known"))
	}
	return s.put(ctx, f.Entry.Digest, f.Size, func() (io.ReadCloser, error) { return f.Open(ctx) })
}

// Publish stores the artifact of the sets: see [ArtifactType]. It sends
// nothing that is there.
func (s *Sink) Publish(ctx context.Context, sets []fetch.Set) error {
	a, err := newArtifact(sets)
	if err != nil {
		return fetch.Permanent(err)
	}
	for _, b := range a.blobs {
		d, err := sum(b.Digest)
		if err != nil {
			return fetch.Permanent(err)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.data)), nil }
		if _, err := s.put(ctx, d, b.Size, open); err != nil {
			return err
		}
	}
	for _, m := range a.manifests {
		if m.Digest != a.top.Digest {
			if err := s.putManifest(ctx, m, ""); err != nil {
				return err
			}
		}
	}
	if err := s.putManifest(ctx, a.top, s.ref.Tag); err != nil {
		return err
	}
	ref := s.ref
	if ref.Digest, err = sum(a.top.Digest); err != nil {
		return fetch.Permanent(err)
	}
	s.mu.Lock()
	s.published = ref
	s.mu.Unlock()
	return nil
}

// put makes bytes a blob of the repository, if they are none yet.
func (s *Sink) put(ctx context.Context, d lockfile.Digest, size int64, open func() (io.ReadCloser, error)) (sent bool, err error) {
	if has, err := s.has(ctx, d); has || err != nil {
		return false, err
	}
	to, err := s.begin(ctx, d)
	if to == nil || err != nil {
		return false, err
	}
	q := to.Query()
	q.Set("digest", "sha256:"+d.String())
	to.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.String(), nil)
	if err != nil {
		return false, fetch.Permanent(err)
	}
	if size > 0 {
		req.GetBody = open
		if req.Body, err = open(); err != nil {
			return false, err
		}
		req.ContentLength = size
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return true, s.created(s.send(req))
}

// has reports whether the repository has a blob.
func (r repository) has(ctx context.Context, d lockfile.Digest) (bool, error) {
	resp, err := r.ask(ctx, http.MethodHead, blobPath(d), nil)
	if err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusOK {
		resp.Body.Close()
		return true, nil
	}
	if err = refusal(resp); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}

// begin returns where the bytes of a blob are to be sent, or nil when it could
// be had from another repository.
func (s *Sink) begin(ctx context.Context, d lockfile.Digest) (*url.URL, error) {
	u := s.ref.url("blobs/uploads/")
	for _, other := range s.from {
		has, err := other.has(ctx, d)
		if err != nil && !fetch.IsPermanent(err) {
			return nil, err
		}
		if has {
			u.RawQuery = url.Values{"mount": {"sha256:" + d.String()}, "from": {other.ref.Repository}}.Encode()
			break
		}
	}
	resp, err := s.askURL(ctx, http.MethodPost, u, nil)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusCreated:
		resp.Body.Close()
		return nil, nil
	case http.StatusAccepted:
		resp.Body.Close()
		to, err := resp.Location()
		if err != nil || to.Host == "" {
			return nil, fetch.Permanent(errors.New("the registry does not say where to send the file"))
		}
		return to, nil
	}
	return nil, refusal(resp)
}

// created checks that an answer says that something was stored.
func (r repository) created(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return refusal(resp)
	}
	return resp.Body.Close()
}

// putManifest stores a manifest under a tag, or under its digest alone.
func (s *Sink) putManifest(ctx context.Context, m document, tag string) error {
	path := "manifests/" + m.Digest.String()
	if tag != "" {
		path = "manifests/" + tag
	}
	header := http.Header{"Accept": {acceptManifests}}
	resp, err := s.ask(ctx, http.MethodHead, path, header)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Docker-Content-Digest") == m.Digest.String() {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.ref.url(path).String(), bytes.NewReader(m.data))
	if err != nil {
		return fetch.Permanent(err)
	}
	req.Header.Set("Content-Type", m.MediaType)
	return s.created(s.send(req))
}
