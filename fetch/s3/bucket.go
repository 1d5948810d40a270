package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// A Bucket is where files lie under their digests. It is a [fetch.Source].
type Bucket struct {
	config Config
	client minio.Core
}

// Open returns the bucket. It asks nothing of the store yet.
func Open(client *web.Client, config Config) (*Bucket, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	login := Login{}
	if config.Login != nil {
		login = *config.Login
	}
	c, err := minio.New(config.endpoint(), &minio.Options{
		// Without keys requests are not signed.
		Creds:        credentials.NewStaticV4(login.AccessKey, login.SecretKey, login.SessionToken),
		Secure:       !config.PlainHTTP,
		Region:       config.region(),
		BucketLookup: lookups[config.Addressing],
		Transport:    &attentive{client.Transport()},
		// Whether and when to ask again is for the planner and the push.
		MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.name(), err)
	}
	return &Bucket{config, minio.Core{Client: c}}, nil
}

// Name is the bucket's URL.
func (b *Bucket) Name() string { return b.config.name() }

// Serves reports true: all that a lock needs to have is the digest.
func (b *Bucket) Serves(lockfile.Entry) bool { return true }

// Limits are the planner's, for each host.
func (b *Bucket) Limits() fetch.Limits { return fetch.Limits{Host: b.config.endpoint()} }

// errRange says that an answer is not the rest that was asked for.
var errRange = errors.New("the store sends other bytes than it was asked for")

// Open asks for the file, or for its rest on the condition that the object is
// still the same (If-Match).
func (b *Bucket) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	body, err := b.get(ctx, b.config.blobKey(req.Entry.Digest), req)
	if req.Offset == 0 {
		return body, err
	}
	switch {
	case errors.Is(err, errRange), status(err) == http.StatusPreconditionFailed: // a store that cannot count, or another object
		req.Offset, req.Validator = 0, ""
		return b.get(ctx, b.config.blobKey(req.Entry.Digest), req)
	case status(err) == http.StatusRequestedRangeNotSatisfiable:
		return b.beyond(ctx, req)
	}
	return body, err
}

// beyond deals with an answer that there is nothing at the offset: the file is
// there in full, or the bytes that the caller has are of another one.
func (b *Bucket) beyond(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	end := req.Offset
	req.Offset, req.Validator = 0, ""
	body, err := b.get(ctx, b.config.blobKey(req.Entry.Digest), req)
	if err != nil || body.Size != end {
		return body, err
	}
	body.Close()
	return &fetch.Body{ReadCloser: http.NoBody, Offset: end, Size: end, Validator: body.Validator}, nil
}

func (b *Bucket) get(ctx context.Context, key string, req fetch.Request) (*fetch.Body, error) {
	ctx, note := listen(ctx)
	opts := minio.GetObjectOptions{}
	if req.Offset > 0 {
		opts.Set("Range", fmt.Sprintf("bytes=%d-", req.Offset))
		if req.Validator != "" {
			opts.Set("If-Match", req.Validator)
		}
	}
	r, info, header, err := b.client.GetObject(ctx, b.config.Bucket, key, opts)
	if err != nil {
		return nil, b.explain(err, note)
	}
	body := &fetch.Body{ReadCloser: r, Size: info.Size, Validator: header.Get("ETag")}
	if span := header.Get("Content-Range"); span != "" && req.Offset > 0 {
		body.Offset, body.Size = req.Offset, req.Offset+info.Size
		if !strings.HasPrefix(span, fmt.Sprintf("bytes %d-", req.Offset)) || !isRest(span, body.Size) {
			r.Close()
			return nil, errRange
		}
	}
	return body, nil
}

// isRest reports whether a Content-Range reaches the end of an object of the
// size.
func isRest(span string, size int64) bool {
	_, total, _ := strings.Cut(span, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	return err == nil && n == size
}

// Presign returns a URL at which anyone gets the file for so long, at most a
// week. It is signed here: whether the file is there is not asked.
func (b *Bucket) Presign(ctx context.Context, d lockfile.Digest, valid time.Duration) (*url.URL, error) {
	if b.config.Login == nil {
		return nil, fmt.Errorf("%s: only who has keys can sign a URL", b.Name())
	}
	ctx, note := listen(ctx)
	u, err := b.client.PresignedGetObject(ctx, b.config.Bucket, b.config.blobKey(d), valid, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), b.explain(err, note))
	}
	return u, nil
}

// maxLock is the size of the largest lock that is read, in bytes. The format
// allows no larger one.
const maxLock = 32 << 20

// Lock gets the lock that [Config.Lock] names. One that is named by its digest
// is checked by it; what another name stands for, the store decides. It returns
// the bytes too, as they are.
func (b *Bucket) Lock(ctx context.Context) (*lockfile.Lock, []byte, error) {
	name := b.config.Lock
	if name == "" {
		return nil, nil, fmt.Errorf("%s: no lock is named; add lock=NAME to the URL", b.Name())
	}
	lock, text, err := b.lock(ctx, name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the lock %s: %w", b.Name(), name, err)
	}
	return lock, text, nil
}

func (b *Bucket) lock(ctx context.Context, name string) (*lockfile.Lock, []byte, error) {
	body, err := b.get(ctx, b.config.lockKey(name), fetch.Request{})
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxLock+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(text) > maxLock:
		return nil, nil, fmt.Errorf("it is larger than the %d bytes that a lock may have", maxLock)
	case body.Size >= 0 && body.Size != int64(len(text)):
		return nil, nil, io.ErrUnexpectedEOF
	}
	if want, err := lockfile.ParseDigest(name); err == nil {
		if got := lockfile.DigestOf(text); got != want {
			return nil, nil, &lockfile.DigestError{Want: want, Got: got, Size: int64(len(text))}
		}
	}
	lock, err := lockfile.Parse(name, strings.NewReader(string(text)))
	return lock, text, err
}
