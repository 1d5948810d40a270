package s3

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/samebits/samebits/lockfile"
)

// amazon is the endpoint where none is named.
const amazon = "s3.amazonaws.com"

// A Config says which bucket is meant and how to reach it.
type Config struct {
	Bucket string
	// Prefix is what all keys begin with, without slashes at its ends; may be
	// empty.
	Prefix string
	// Endpoint is the HOST[:PORT] of the store; empty for Amazon's.
	Endpoint string
	// Region is where the bucket is; empty where the store may say so itself.
	Region string
	// Addressing is where the name of the bucket stands in requests: "virtual"
	// for before the host's, "path" for behind it; empty for what the store is
	// known to want, which is the path but for a few.
	Addressing string
	// PlainHTTP says not to use TLS.
	PlainHTTP bool
	// Lock is the name of the lock to push or pull: a word such as
	// "bookworm", or to pull also a digest. Empty, a lock is pushed under its
	// own digest.
	Lock string
	// Login signs the requests; nil for anonymous ones.
	Login *Login
}

// A Login is a key pair for signing (AWS Signature Version 4), with a session
// token where the keys are temporary.
type Login struct{ AccessKey, SecretKey, SessionToken string }

const form = "use s3://BUCKET[/PREFIX][?endpoint=HOST:PORT&region=REGION&addressing=virtual&lock=NAME], or s3+http:// without TLS"

// lookups are the kinds of addressing in the words of the S3 client.
var lookups = map[string]minio.BucketLookupType{
	"":        minio.BucketLookupAuto,
	"virtual": minio.BucketLookupDNS,
	"path":    minio.BucketLookupPath,
}

// lockName is what a lock may be called, as the tags of registries are.
var lockName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
})

// ParseURL reads the form that is described in docs/s3.md. Login stays nil:
// keys do not belong in URLs.
func ParseURL(raw string) (Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Config{}, errors.New("not the URL of a bucket; " + form) // the error of url.Parse repeats a password
	}
	bad := func(why string) (Config, error) { return Config{}, fmt.Errorf("%s: %s; %s", u.Redacted(), why, form) }
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), PlainHTTP: u.Scheme == "s3+http"}
	switch {
	case u.Scheme != "s3" && !c.PlainHTTP:
		return bad("not the URL of a bucket")
	case u.User != nil:
		return bad("keys do not belong in a URL")
	case u.Fragment != "":
		return bad("a fragment (#) means nothing here")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("the query cannot be read")
	}
	for key, values := range query {
		if len(values) != 1 || values[0] == "" {
			return bad(key + " needs one value")
		}
		switch key {
		case "endpoint":
			c.Endpoint = values[0]
		case "region":
			c.Region = values[0]
		case "addressing":
			c.Addressing = values[0]
		case "lock":
			c.Lock = values[0]
		default:
			return bad("unknown setting " + key)
		}
	}
	if err := c.check(); err != nil {
		return bad(err.Error())
	}
	return c, nil
}

func (c Config) check() error {
	if err := s3utils.CheckValidBucketNameStrict(c.Bucket); err != nil {
		return fmt.Errorf("%q cannot be a bucket", c.Bucket)
	}
	if c.Prefix != "" && lockfile.CheckPath(c.Prefix) != nil {
		return fmt.Errorf("%q cannot be a prefix", c.Prefix)
	}
	if c.Lock != "" && !lockName().MatchString(c.Lock) {
		return fmt.Errorf("%q cannot be the name of a lock", c.Lock)
	}
	if _, ok := lookups[c.Addressing]; !ok {
		return fmt.Errorf("%q is not a kind of addressing: there are virtual and path", c.Addressing)
	}
	e, err := url.Parse("http://" + c.endpoint())
	if err != nil || e.Host != c.endpoint() || !s3utils.IsValidDomain(e.Hostname()) && !s3utils.IsValidIP(e.Hostname()) {
		return fmt.Errorf("%q is not a HOST or HOST:PORT", c.Endpoint)
	}
	if c.Addressing == "virtual" && s3utils.IsValidIP(strings.Trim(e.Hostname(), "[]")) {
		return errors.New("the name of a bucket cannot stand before an IP address")
	}
	if c.PlainHTTP && c.Endpoint == "" {
		return errors.New("without an endpoint the store is Amazon's, which is reached with TLS only")
	}
	return nil
}

func (c Config) endpoint() string {
	if c.Endpoint == "" {
		return amazon
	}
	return c.Endpoint
}

// region is the region to sign for where it is known. Stores other than
// Amazon's have rarely more than one, which then goes by this name.
func (c Config) region() string {
	if c.Region == "" && c.Endpoint != "" && !strings.HasSuffix(c.Endpoint, ".amazonaws.com") {
		return "us-east-1"
	}
	return c.Region
}

// name is the bucket for people.
func (c Config) name() string {
	scheme := "s3://"
	if c.PlainHTTP {
		scheme = "s3+http://"
	}
	name := scheme + path.Join(c.Bucket, c.Prefix)
	sign := "?"
	if c.Endpoint != "" {
		name += "?endpoint=" + c.Endpoint
		sign = "&"
	}
	if c.Addressing != "" {
		name += sign + "addressing=" + c.Addressing
	}
	return name
}

func (c Config) blobKey(d lockfile.Digest) string {
	return path.Join(c.Prefix, "blobs/sha256", d.String())
}

func (c Config) lockKey(name string) string { return path.Join(c.Prefix, "locks", name) }
