package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// A Login is a name and a password for HTTP's basic authentication.
type Login struct{ User, Password string }

// Config says how a [Client] reaches the outside. The zero Config is usable.
type Config struct {
	// Proxy returns the proxy for a request, or nil for none, such as
	// http.ProxyFromEnvironment. Nil means no proxy.
	Proxy func(*http.Request) (*url.URL, error)
	// Login returns what to log in with at a URL, and false for nothing. It
	// is asked again for the target of each redirect. May be nil.
	Login func(*url.URL) (Login, bool)
	// UserAgent is how the client names itself; empty for "samebits".
	UserAgent string
	// Stall is how long a server may be silent; 0 for [fetch.DefaultStall].
	Stall time.Duration
	// Retries is how often [Client.Get] repeats a request that failed for a
	// reason that may pass; 0 for 4, negative for never.
	Retries int
}

// A Client sends requests over connections that it keeps. It may be used
// concurrently, and one should serve the whole program.
type Client struct{}

// NewClient returns a Client that works as config says.
func NewClient(config Config) *Client { return &Client{} }

// Get opens the file at a URL. What may pass is tried again, and a server that
// asks for time is given it. The error wraps fs.ErrNotExist where the server
// answers that it does not have the file. Reading fails when the server falls
// silent. The caller closes the body.
func (c *Client) Get(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	return nil, errors.ErrUnsupported
}
