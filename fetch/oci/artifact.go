package oci

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// maxManifest is the size in bytes that registries must accept of a manifest,
// and the most that is read of one.
const maxManifest = 4 << 20

// A document is a small blob, with what describes it.
type document struct {
	v1.Descriptor
	data []byte
}

func newDocument(mediaType string, data []byte) document {
	return document{v1.Descriptor{
		MediaType: mediaType,
		Digest:    digest.FromBytes(data),
		Size:      int64(len(data)),
	}, data}
}

// An artifact is all that is stored of sets besides the files of the sets.
type artifact struct {
	blobs     []document // the locks and the empty configuration
	manifests []document // one for each set
	// top is what a tag names: the only manifest, or an index of them.
	top document
}

// newArtifact makes the artifact of the sets. It follows from the locks and
// the sizes of the files alone.
//
// The artifact's type stands in the manifests alone: an index may have it too,
// but tools from before that was specified drop it when they copy the index,
// which would change its digest.
func newArtifact(sets []fetch.Set) (*artifact, error) {
	if len(sets) == 0 {
		return nil, errors.New("there is no lock to publish")
	}
	a := &artifact{blobs: []document{newDocument(v1.MediaTypeEmptyJSON, v1.DescriptorEmptyJSON.Data)}}
	for _, set := range sets {
		if err := a.add(set); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(a.manifests, compareManifests)
	a.manifests = slices.CompactFunc(a.manifests, func(x, y document) bool { return x.Digest == y.Digest })
	if len(a.manifests) == 1 {
		a.top = a.manifests[0]
		return a, nil
	}
	index := v1.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   v1.MediaTypeImageIndex,
		Annotations: created(newest(sets)),
	}
	for _, m := range a.manifests {
		index.Manifests = append(index.Manifests, m.Descriptor)
	}
	var err error
	a.top, err = encode(v1.MediaTypeImageIndex, index)
	return a, err
}

// add adds the manifest of a set.
func (a *artifact) add(set fetch.Set) error {
	var text bytes.Buffer
	if _, err := set.Lock.WriteTo(&text); err != nil {
		return err
	}
	lock := newDocument(LockMediaType, text.Bytes())
	layers := []v1.Descriptor{titled(lock.Descriptor, lockTitle)}
	for _, f := range set.Files {
		if f.Entry.Path == lockTitle {
			return fmt.Errorf("the lock names a file %s, which is the name of the lock itself", lockTitle)
		}
		layers = append(layers, titled(v1.Descriptor{
			MediaType: mediaType(f.Entry.Path),
			Digest:    digest.NewDigestFromEncoded(digest.SHA256, f.Entry.Digest.String()),
			Size:      f.Size,
		}, f.Entry.Path))
	}
	m, err := encode(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       v1.DescriptorEmptyJSON,
		Layers:       layers,
		Annotations:  created(set.Lock.Date),
	})
	if err != nil {
		return err
	}
	m.Platform = platform(set.Lock.System)
	a.blobs = append(a.blobs, lock)
	a.manifests = append(a.manifests, m)
	return nil
}

func encode(mediaType string, v any) (document, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return document{}, err
	}
	if len(data) > maxManifest {
		return document{}, fmt.Errorf("the lock has too many files for one artifact: its manifest would have %d bytes, of the %d that registries take", len(data), maxManifest)
	}
	return newDocument(mediaType, data), nil
}

// titled gives a layer the name that its file has when the artifact is pulled.
func titled(d v1.Descriptor, title string) v1.Descriptor {
	d.Annotations = map[string]string{v1.AnnotationTitle: title}
	return d
}

// created is the annotation for the date of a lock, if it has one.
func created(t time.Time) map[string]string {
	if t.IsZero() {
		return nil
	}
	return map[string]string{v1.AnnotationCreated: t.UTC().Format(time.RFC3339)}
}

func newest(sets []fetch.Set) time.Time {
	var t time.Time
	for _, s := range sets {
		if s.Lock.Date.After(t) {
			t = s.Lock.Date
		}
	}
	return t
}

// compareManifests orders by platform, then by digest.
func compareManifests(a, b document) int {
	return cmp.Or(cmp.Compare(platformName(a.Platform), platformName(b.Platform)), cmp.Compare(a.Digest, b.Digest))
}

func platformName(p *v1.Platform) string {
	if p == nil {
		return ""
	}
	return p.OS + "/" + p.Architecture + "/" + p.Variant
}

// sum returns a digest in the form of this program.
func sum(d digest.Digest) (lockfile.Digest, error) {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return lockfile.Digest{}, fmt.Errorf("%q is not a digest such as sha256:…", d)
	}
	return lockfile.ParseDigest(d.Encoded())
}
