package share

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// S3 is a Store in a bucket. Blobs go through [s3.Bucket], so that what "cache
// push" put there is found too.
type S3 struct {
	*s3.Bucket
	sink   *s3.Sink
	config s3.Config
	client *http.Client
	base   string // scheme, host and bucket, without a slash at the end
	region string
}

// requestTime bounds a request for a small object.
const requestTime = 30 * time.Second

// OpenS3 returns the store. It asks nothing of it yet.
func OpenS3(client *web.Client, config s3.Config) (*S3, error) {
	bucket, err := s3.Open(client, config)
	if err != nil {
		return nil, err
	}
	sink, err := bucket.Sink()
	if err != nil {
		return nil, err
	}
	s := &S3{Bucket: bucket, sink: sink, config: config, region: cmp.Or(config.Region, "us-east-1")}
	s.client = &http.Client{Transport: client.Transport(), Timeout: requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	scheme := "https://"
	if config.PlainHTTP {
		scheme = "http://"
	}
	if config.Endpoint == "" {
		s.base = scheme + config.Bucket + ".s3." + s.region + ".amazonaws.com"
	} else {
		s.base = scheme + config.Endpoint + "/" + config.Bucket
	}
	return s, nil
}

// PutBlob stores a file under its digest unless one of its size, and of its
// SHA-256 where the store tells that, is there.
func (s *S3) PutBlob(ctx context.Context, f fetch.File) (bool, error) {
	sent, err := s.sink.Put(ctx, f)
	if err != nil {
		err = fmt.Errorf("write %s of %s: %w", BlobKey(f.Entry.Digest), s.Name(), err)
	}
	return sent, err
}

// Size asks for the head of a blob.
func (s *S3) Size(ctx context.Context, d lockfile.Digest) (int64, error) {
	_, header, err := s.do(ctx, http.MethodHead, s.key(BlobKey(d)), "", nil)
	if err == nil {
		var size int64
		if size, err = strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
			return size, nil
		}
	}
	return 0, fmt.Errorf("read the head of %s of %s: %w", BlobKey(d), s.Name(), err)
}

// Delete removes an object. Stores answer alike where there is none.
func (s *S3) Delete(ctx context.Context, key string) error {
	_, _, err := s.do(ctx, http.MethodDelete, s.key(key), "", nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s of %s: %w", key, s.Name(), err)
	}
	return nil
}

func (s *S3) key(key string) string { return path.Join(s.config.Prefix, key) }

// do sends a request. The body of the answer has at most MaxObject bytes.
func (s *S3) do(ctx context.Context, method, path, query string, body []byte, header ...string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+"/"+escape(path, true), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.URL.RawQuery = query
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	sign(req, body, s.config.Login, s.region, time.Now())
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, web.PlainError(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxObject+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(data) > MaxObject:
		return nil, resp.Header, ErrTooLarge
	case resp.StatusCode != http.StatusOK && (method != http.MethodDelete || resp.StatusCode != http.StatusNoContent):
		return nil, nil, refusal(resp.StatusCode, data)
	}
	return data, resp.Header, nil
}

// refusal says what an answer without an object means.
func refusal(status int, body []byte) error {
	var answer struct{ Code string }
	_ = xml.Unmarshal(body, &answer)
	err := fmt.Errorf("the store answers %d %s", status, printable(answer.Code))
	switch {
	case status == http.StatusPreconditionFailed, status == http.StatusConflict:
		return fmt.Errorf("%w: %w", err, ErrConflict)
	case status == http.StatusNotFound && answer.Code == "NoSuchBucket":
		return fmt.Errorf("%w; create the bucket first", err)
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fmt.Errorf("%w; check the keys, what they may do, and the clock", err)
	case status == http.StatusNotImplemented:
		return fmt.Errorf("%w: %w", err, ErrUnconditional)
	}
	return err
}

func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s[:min(len(s), 100)])
}

// Get returns an object and its ETag.
func (s *S3) Get(ctx context.Context, key string) ([]byte, string, error) {
	data, header, err := s.do(ctx, http.MethodGet, s.key(key), "", nil)
	if err != nil {
		return nil, header.Get("ETag"), fmt.Errorf("read %s of %s: %w", key, s.Name(), err)
	}
	return data, header.Get("ETag"), nil
}

// Put writes an object on a condition.
func (s *S3) Put(ctx context.Context, key string, data []byte, was string) (string, error) {
	condition := []string{"If-None-Match", "*"}
	if was != "" {
		condition = []string{"If-Match", was}
	}
	_, header, err := s.do(ctx, http.MethodPut, s.key(key), "", data, condition...)
	if was != "" && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", err, ErrConflict)
	}
	if err != nil {
		return "", fmt.Errorf("write %s of %s: %w", key, s.Name(), err)
	}
	return header.Get("ETag"), nil
}

// maxPages bounds a list, at 1000 objects a page.
const maxPages = 1000

// List returns the objects whose keys begin with prefix.
func (s *S3) List(ctx context.Context, prefix string) ([]Object, error) {
	root := ""
	if s.config.Prefix != "" {
		root = s.config.Prefix + "/"
	}
	var out []Object
	after := ""
	for range maxPages {
		query := "list-type=2&prefix=" + escape(root+prefix, false)
		if after != "" {
			query = "continuation-token=" + escape(after, false) + "&" + query
		}
		data, _, err := s.do(ctx, http.MethodGet, "", query, nil)
		if err != nil {
			return nil, fmt.Errorf("list %s of %s: %w", prefix, s.Name(), err)
		}
		page, next, err := parseList(data, root)
		if err != nil {
			return nil, fmt.Errorf("list %s of %s: %w", prefix, s.Name(), err)
		}
		out = append(out, page...)
		if after = next; after == "" {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list %s of %s: there are too many objects", prefix, s.Name())
}

// parseList reads a page of a list. next names the page after it.
func parseList(data []byte, root string) (out []Object, next string, err error) {
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []struct {
			Key, ETag    string
			Size         int64
			LastModified time.Time
		}
	}
	if err := xml.Unmarshal(data, &page); err != nil {
		return nil, "", errors.New("the answer is no list of objects")
	}
	for _, c := range page.Contents {
		if key, ok := strings.CutPrefix(c.Key, root); ok && c.Size >= 0 {
			out = append(out, Object{key, c.ETag, c.Size, c.LastModified})
		}
	}
	if page.IsTruncated && page.NextContinuationToken == "" {
		return nil, "", errors.New("the list goes on, and the store does not say where")
	}
	if page.IsTruncated {
		next = page.NextContinuationToken
	}
	return out, next, nil
}
