package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

const maxRedirects = 10

// Config says how registries are reached.
type Config struct {
	// Web carries the requests. Its logins are not used. For a sink its Stall
	// must be longer than a registry takes to store a file after it has all
	// the bytes, which may be a minute for a large one.
	Web *web.Client
	// DockerConfig is the path of docker's config.json, which has logins or
	// names the helpers that have them; empty for none. The file need not
	// exist.
	DockerConfig string
}

// A Client speaks to registries, and remembers what they let it in with. It
// may be used concurrently, and one should serve the whole program.
type Client struct {
	known  *auth.Client // logs in
	nobody *http.Client // does not
}

// NewClient returns a Client that works as config says. It fails where
// docker's configuration cannot be read.
func NewClient(config Config) (*Client, error) {
	nobody := &http.Client{Transport: config.Web.Transport(), CheckRedirect: checkRedirect}
	known := &auth.Client{Client: nobody, Cache: auth.NewCache(), ClientID: "samebits"}
	if config.DockerConfig != "" {
		store, err := credentials.NewStore(config.DockerConfig, credentials.StoreOptions{})
		if err != nil {
			return nil, fmt.Errorf("read the logins of registries in %s: %w", config.DockerConfig, err)
		}
		known.Credential = helped(credentials.Credential(store), config.DockerConfig)
	}
	return &Client{known: known, nobody: nobody}, nil
}

// helperError says that a login could not be looked up.
type helperError struct {
	config string
	err    error
}

func (e *helperError) Error() string {
	return fmt.Sprintf("look for a login as %s says: %v; install the credential helper that is named there, or take it out", e.config, e.err)
}

func (e *helperError) Unwrap() error { return e.err }

// helped tells errors of credential helpers from those of the network.
func helped(get auth.CredentialFunc, config string) auth.CredentialFunc {
	return func(ctx context.Context, host string) (auth.Credential, error) {
		c, err := get(ctx, host)
		if err != nil && ctx.Err() == nil {
			err = &helperError{config, err}
		}
		return c, err
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fetch.Permanent(fmt.Errorf("redirected more than %d times", maxRedirects))
	}
	// Where it came from is nobody's business.
	req.Header.Del("Referer")
	return nil
}

// A repository is a repository of a registry, and what is done there.
type repository struct {
	client *Client
	ref    Reference
	// scopes are what a token is asked for, where the registry wants one. They
	// are the same in all requests, so that one token serves all.
	scopes []string
}

func (c *Client) repository(ref Reference, actions ...string) repository {
	return repository{c, ref, []string{auth.ScopeRepository(ref.Repository, actions...)}}
}

// blobPath is where a blob lies below its repository.
func blobPath(d lockfile.Digest) string { return "blobs/sha256:" + d.String() }

// ask sends a request without a body for what lies at path.
func (r repository) ask(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	return r.askURL(ctx, method, r.ref.url(path), header)
}

func (r repository) askURL(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fetch.Permanent(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	return r.send(req)
}

// send sends a request, with the login that docker's configuration has for
// the registry where the request is for that. An answer of the registry that
// refuses a login is an error.
func (r repository) send(req *http.Request) (*http.Response, error) {
	do, base := r.client.nobody.Do, r.ref.url("")
	if req.URL.Scheme == base.Scheme && req.URL.Host == base.Host {
		do = r.client.known.Do
		req = req.WithContext(auth.AppendScopesForHost(req.Context(), base.Host, r.scopes...))
	}
	resp, err := do(req)
	if err != nil {
		return nil, r.explain(err)
	}
	refused := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	if refused && resp.Request.URL.Host == base.Host {
		return nil, r.wantsLogin(refusal(resp))
	}
	return resp, nil
}

// explain says what an error of a request means.
func (r repository) explain(err error) error {
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return r.wantsLogin(errors.New("the registry wants a login, and docker's configuration has none for it"))
	}
	var helper *helperError
	if errors.As(err, &helper) {
		return fetch.Permanent(helper)
	}
	var token *errcode.ErrorResponse
	if errors.As(err, &token) {
		err = fmt.Errorf("the registry's token service answers %d %s", token.StatusCode, http.StatusText(token.StatusCode))
		switch {
		case token.StatusCode == http.StatusUnauthorized, token.StatusCode == http.StatusForbidden:
			return r.wantsLogin(err)
		case token.StatusCode == http.StatusTooManyRequests:
			return &fetch.BusyError{Err: err}
		case token.StatusCode < http.StatusInternalServerError:
			return fetch.Permanent(err)
		}
		return err
	}
	return web.PlainError(err)
}

func (r repository) wantsLogin(err error) error {
	return fetch.Permanent(fmt.Errorf("%w; log in with: docker login %s", err, r.ref.Host))
}

// refusal says what an answer other than the wished one means, with the reason
// that the registry gives, and closes it.
func refusal(resp *http.Response) error {
	why := reason(resp.Body)
	err := web.Refusal(resp)
	var busy *fetch.BusyError
	switch {
	case why == "":
		return err
	case errors.As(err, &busy):
		return &fetch.BusyError{After: busy.After, Err: fmt.Errorf("%w: %s", busy.Err, why)}
	}
	return fmt.Errorf("%w: %s", err, why)
}

// reason reads the first error of a registry's answer.
func reason(body io.Reader) string {
	data, err := io.ReadAll(io.LimitReader(body, 8<<10))
	if err != nil {
		return ""
	}
	var said struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &said) != nil || len(said.Errors) == 0 {
		return ""
	}
	first := said.Errors[0]
	text := strings.Trim(first.Code+": "+first.Message, ": ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text[:min(len(text), 300)])
}
