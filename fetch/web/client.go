package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/samebits/samebits/fetch"
)

const (
	maxRedirects = 10
	// maxWait is the longest that Get waits before it asks again.
	maxWait = time.Minute
	// maxHeader bounds what a server can make us keep of an answer's head.
	maxHeader = 256 << 10
	// idlePerHost keeps as many connections as a planner opens to one host.
	idlePerHost = 2 * fetch.DefaultPerHost
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
	// Backoff is the first pause before a repetition; 0 for
	// [fetch.DefaultBackoff].
	Backoff time.Duration
}

// A Client sends requests over connections that it keeps. It may be used
// concurrently, and one should serve the whole program.
type Client struct {
	stall   time.Duration
	outside http.RoundTripper
	once    *retryablehttp.Client // for sources: the planner repeats
	patient *retryablehttp.Client // for Get
}

// NewClient returns a Client that works as config says.
func NewClient(config Config) *Client {
	stall := cmp.Or(config.Stall, fetch.DefaultStall)
	transport := &http.Transport{
		Proxy:                  config.Proxy,
		DialContext:            dial,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  stall,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           10 * idlePerHost,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        90 * time.Second,
		// The hash is over the bytes as they are stored.
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
	}
	out := &outside{next: transport, userAgent: cmp.Or(config.UserAgent, "samebits")}
	base := &http.Client{
		Transport:     &identity{next: out, login: config.Login},
		CheckRedirect: checkRedirect,
	}
	c := &Client{stall: stall, outside: out}
	c.once = repeater(base, 0, 0)
	c.patient = repeater(base, max(0, cmp.Or(config.Retries, 4)), cmp.Or(config.Backoff, fetch.DefaultBackoff))
	return c
}

// dial makes a connection. Names below localhost are this machine, which not
// every resolver knows (RFC 6761, section 6.3); IPFS gateways redirect to them.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(strings.TrimSuffix(host, "."), ".localhost") {
		address = net.JoinHostPort("localhost", port)
	}
	return d.DialContext(ctx, network, address)
}

// Transport returns the client's way to the outside for other protocols that
// speak HTTP: its connections, proxy and certificate authorities. Logins are
// the caller's own.
func (c *Client) Transport() http.RoundTripper { return c.outside }

// repeater returns a client that asks up to times more, and hands out the last
// answer as it is.
func repeater(base *http.Client, times int, backoff time.Duration) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   base,
		RetryMax:     times,
		RetryWaitMin: backoff,
		RetryWaitMax: 10 * time.Second,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			if times == 0 || incurable(err) {
				return false, err
			}
			return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
		},
		Backoff: func(lo, hi time.Duration, n int, resp *http.Response) time.Duration {
			if resp != nil {
				if after := retryAfter(resp.Header, time.Now()); after > 0 {
					return min(after, maxWait)
				}
			}
			return retryablehttp.DefaultBackoff(lo, hi, n, nil)
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// loopError says that a chain of redirects does not end.
type loopError struct{ hops int }

func (e *loopError) Error() string { return fmt.Sprintf("redirected more than %d times", e.hops) }

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return &loopError{maxRedirects}
	}
	// Where it came from is nobody's business.
	req.Header.Del("Referer")
	return nil
}

// Get opens the file at a URL. What may pass is tried again, and a server that
// asks for time is given it, up to a minute. The error wraps fs.ErrNotExist
// where the server answers that it does not have the file. Reading fails when
// the server falls silent. The caller bounds how much it reads, and closes the
// body.
func (c *Client) Get(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	u, login, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := send(ctx, c.patient, u, login, nil)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = Refusal(resp)
	}
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%s: %w", shown(u), err)
	}
	return fetch.Watch(ctx, cancel, c.stall, resp.Body), nil
}

// send asks for a URL that has no login in it. The error holds no URL.
func send(ctx context.Context, client *retryablehttp.Client, u *url.URL, login *placeLogin, header http.Header) (*http.Response, error) {
	if login != nil {
		ctx = context.WithValue(ctx, placeLogin{}, login)
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = u, u.Host
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := client.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, PlainError(err)
	}
	return resp, nil
}

// PlainError takes the URL out of the error of a request, since a redirect may
// have put a secret there, and marks what no repetition cures.
func PlainError(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if incurable(err) {
		return fetch.Permanent(err)
	}
	return err
}

// incurable reports whether a request failed in a way that no repetition
// cures: redirects without end, a certificate that does not hold, a host that
// does not exist.
func incurable(err error) bool {
	var dns *net.DNSError
	return errors.As(err, new(*loopError)) || errors.As(err, new(*tls.CertificateVerificationError)) ||
		errors.As(err, &dns) && dns.IsNotFound
}

// A StatusError is an answer that has no file in it.
type StatusError struct {
	Code   int    // of HTTP
	Status string // the code and its text
}

// Error names the status.
func (e *StatusError) Error() string { return "the server answers " + e.Status }

// Refusal says what an answer that has no file in it means, in the terms of
// [fetch.Source], and closes it. The error wraps a [*StatusError].
func Refusal(resp *http.Response) error {
	// A short body is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
	status := &StatusError{resp.StatusCode, resp.Status}
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: %w", status, fs.ErrNotExist)
	case code == http.StatusTooManyRequests,
		code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return &fetch.BusyError{After: retryAfter(resp.Header, time.Now()), Err: status}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fetch.Permanent(fmt.Errorf("%w; it may want a login", status))
	case code == http.StatusProxyAuthRequired:
		return fetch.Permanent(fmt.Errorf("%w; the proxy wants a login", status))
	case code == http.StatusRequestTimeout, code >= 500:
		return status
	}
	return fetch.Permanent(status)
}
