package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/samebits/samebits/lockfile"
)

const (
	// maxLock is the most bytes that are read of a lock.
	maxLock = 32 << 20
	// maxLocks is how many locks an artifact may have.
	maxLocks = 100
)

// A Pulled is a lock that came out of a registry or a layout.
type Pulled struct {
	Lock *lockfile.Lock
	// Data is the lock file as it was stored.
	Data []byte
	// Manifest is the digest of the lock's manifest.
	Manifest lockfile.Digest
}

// Pull returns the locks of the artifact that the reference names, by its
// digest or else its tag, "latest" where it has neither. Everything below the
// tag is checked by its digest. The error wraps fs.ErrNotExist where the
// registry does not have it.
func (c *Client) Pull(ctx context.Context, reference string) ([]Pulled, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	r := c.repository(ref, auth.ActionPull)
	name := ref.Tag
	switch {
	case !ref.Digest.IsZero():
		name = "sha256:" + ref.Digest.String()
	case name == "":
		name = "latest"
	}
	data, err := r.manifest(ctx, name)
	if err == nil && !ref.Digest.IsZero() {
		err = check(data, ref.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the manifest: %w", ref, err)
	}
	locks, err := unpack(ctx, r, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return locks, nil
}

// acceptManifests is one header field, since not all that stands between us and
// a registry knows what to do with two.
const acceptManifests = v1.MediaTypeImageManifest + ", " + v1.MediaTypeImageIndex

// manifest returns a manifest by tag or digest, unchecked.
func (r repository) manifest(ctx context.Context, name string) ([]byte, error) {
	header := http.Header{"Accept": {acceptManifests}}
	return r.read(ctx, "manifests/"+name, header, maxManifest)
}

func (r repository) read(ctx context.Context, path string, header http.Header, most int64) ([]byte, error) {
	resp, err := r.ask(ctx, http.MethodGet, path, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	defer resp.Body.Close()
	return readAll(resp.Body, most)
}

// readAll reads no more than most bytes, and fails where there are more.
func readAll(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	return data, err
}

func check(data []byte, want lockfile.Digest) error {
	if got := lockfile.DigestOf(data); got != want {
		return &lockfile.DigestError{Want: want, Got: got, Size: int64(len(data))}
	}
	return nil
}

// A shelf has the parts of artifacts by their digests. What it gives is
// unchecked, and no longer than it was told.
type shelf interface {
	part(ctx context.Context, isManifest bool, d lockfile.Digest, most int64) ([]byte, error)
}

func (r repository) part(ctx context.Context, isManifest bool, d lockfile.Digest, most int64) ([]byte, error) {
	if isManifest {
		return r.manifest(ctx, "sha256:"+d.String())
	}
	return r.read(ctx, blobPath(d), nil, most)
}

// get returns the part that a descriptor describes, checked.
func get(ctx context.Context, from shelf, isManifest bool, d v1.Descriptor, most int64) ([]byte, error) {
	want, err := sum(d.Digest)
	if err != nil {
		return nil, err
	}
	if d.Size < 0 || d.Size > most {
		return nil, fmt.Errorf("sha256:%s is said to have %d bytes, of which at most %d are read", want, d.Size, most)
	}
	data, err := from.part(ctx, isManifest, want, d.Size)
	if err == nil {
		err = check(data, want)
	}
	if err != nil {
		return nil, fmt.Errorf("sha256:%s: %w", want, err)
	}
	return data, nil
}

// A manifest is a manifest or an index, of which it has what matters here.
type manifest struct {
	MediaType    string          `json:"mediaType"`
	ArtifactType string          `json:"artifactType"`
	Manifests    []v1.Descriptor `json:"manifests"`
	Layers       []v1.Descriptor `json:"layers"`
}

// unpack returns the locks of a manifest or an index.
func unpack(ctx context.Context, from shelf, data []byte) ([]Pulled, error) {
	top, err := decode(data)
	if err != nil {
		return nil, err
	}
	if top.MediaType != v1.MediaTypeImageIndex {
		one, err := unpackOne(ctx, from, data)
		return []Pulled{one}, err
	}
	if n := len(top.Manifests); n == 0 || n > maxLocks {
		return nil, fmt.Errorf("an index of %d locks; there may be 1 to %d", n, maxLocks)
	}
	var out []Pulled
	for _, d := range top.Manifests {
		data, err := get(ctx, from, true, d, maxManifest)
		if err != nil {
			return nil, err
		}
		one, err := unpackOne(ctx, from, data)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func decode(data []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	return m, nil
}

// unpackOne returns the lock of a manifest.
func unpackOne(ctx context.Context, from shelf, data []byte) (Pulled, error) {
	m, err := decode(data)
	if err != nil {
		return Pulled{}, err
	}
	if m.MediaType != v1.MediaTypeImageManifest || m.ArtifactType != ArtifactType {
		return Pulled{}, fmt.Errorf("not the artifact of a lock: it is a %q of the type %q, not %s", m.MediaType, m.ArtifactType, ArtifactType)
	}
	if len(m.Layers) == 0 || m.Layers[0].MediaType != LockMediaType {
		return Pulled{}, errors.New("the first layer of the artifact is not a lock")
	}
	text, err := get(ctx, from, false, m.Layers[0], maxLock)
	if err != nil {
		return Pulled{}, fmt.Errorf("the lock: %w", err)
	}
	lock, err := lockfile.Parse(lockTitle, bytes.NewReader(text))
	if err != nil {
		return Pulled{}, err
	}
	return Pulled{lock, text, lockfile.DigestOf(data)}, nil
}
