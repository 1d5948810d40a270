package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

const (
	// maxSingle is the size up to which a file is sent in one request, which
	// the store checks by its SHA-256.
	maxSingle = 64 << 20
	// partSize is the size of the pieces of larger files. A store takes at
	// most 10,000 of them, and each may be held in memory.
	partSize = 16 << 20
)

// A Sink puts files into a bucket.
type Sink struct {
	bucket *Bucket
	mu     sync.Mutex
	locks  []string
}

// Sink returns the bucket as a sink. A single lock is published as
// [Config.Lock], and several as that with their architectures, as in
// bookworm-amd64; without a name, under their digests.
func (b *Bucket) Sink() (*Sink, error) {
	if _, err := lockfile.ParseDigest(b.config.Lock); err == nil {
		return nil, errors.New("a lock cannot be given a digest for a name; leave out lock= to push it under its own")
	}
	return &Sink{bucket: b}, nil
}

// Name is the bucket's URL.
func (s *Sink) Name() string { return s.bucket.Name() }

// Locks returns the names of the locks that were published last, in their
// order.
func (s *Sink) Locks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.locks)
}

// Put uploads a file unless an object of its size, and of its SHA-256 where the
// store tells that, is there under its key.
func (s *Sink) Put(ctx context.Context, f fetch.File) (sent bool, err error) {
	there, err := s.has(ctx, f)
	if there || err != nil {
		return false, err
	}
	r, err := f.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	if err := s.upload(ctx, s.bucket.config.blobKey(f.Entry.Digest), f.Entry.Digest, f.Size, r); err != nil {
		return false, err
	}
	return true, nil
}

func (s *Sink) has(ctx context.Context, f fetch.File) (bool, error) {
	b := s.bucket
	ctx, note := listen(ctx)
	info, err := b.client.StatObject(ctx, b.config.Bucket, b.config.blobKey(f.Entry.Digest), minio.StatObjectOptions{Checksum: true})
	if err != nil {
		if err = b.explain(err, note); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	// What was sent in pieces has a checksum of checksums, with a dash.
	sum := info.ChecksumSHA256
	same := sum == "" || strings.Contains(sum, "-") || info.ChecksumMode == "COMPOSITE" || sum == checksum(f.Entry.Digest)
	return same && info.Size == f.Size, nil
}

// checksum is a digest as S3 writes it.
func checksum(d lockfile.Digest) string { return base64.StdEncoding.EncodeToString(d[:]) }

func (s *Sink) upload(ctx context.Context, key string, d lockfile.Digest, size int64, r io.ReadSeeker) error {
	b := s.bucket
	ctx, note := listen(ctx)
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	var err error
	if size <= maxSingle {
		opts.UserMetadata = map[string]string{"x-amz-checksum-sha256": checksum(d)}
		opts.DisableContentSha256 = true // it is known, and need not be computed piece by piece
		// The client would close a file, and it may have more methods.
		_, err = b.client.PutObject(ctx, b.config.Bucket, key, struct{ io.ReadSeeker }{r}, size, "", d.String(), opts)
	} else {
		opts.PartSize = partSize
		_, err = b.client.Client.PutObject(ctx, b.config.Bucket, key, struct{ io.ReadSeeker }{r}, size, opts)
	}
	if err == nil {
		return nil
	}
	if err = b.explain(err, note); errors.Is(err, fs.ErrNotExist) {
		return fetch.Permanent(fmt.Errorf("there is no bucket %s at %s; create it first", b.config.Bucket, b.config.endpoint()))
	}
	return err
}

// Publish uploads the locks.
func (s *Sink) Publish(ctx context.Context, sets []fetch.Set) error {
	names, err := s.names(sets)
	if err != nil {
		return fetch.Permanent(err)
	}
	for i, set := range sets {
		text := set.Lock.Format()
		err := s.upload(ctx, s.bucket.config.lockKey(names[i]), lockfile.DigestOf(text), int64(len(text)), bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("the lock %s: %w", names[i], err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks = names
	return nil
}

// names gives each set the name of its lock.
func (s *Sink) names(sets []fetch.Set) ([]string, error) {
	var out []string
	for _, set := range sets {
		name := s.bucket.config.Lock
		switch {
		case name == "":
			name = lockfile.DigestOf(set.Lock.Format()).String()
		case len(sets) > 1:
			name += "-" + set.Lock.System.Arch
			if !lockName().MatchString(name) || slices.Contains(out, name) {
				return nil, fmt.Errorf("several locks under one name need an architecture each, and %q is another's or cannot be a name; push them one by one", name)
			}
		}
		out = append(out, name)
	}
	return out, nil
}
