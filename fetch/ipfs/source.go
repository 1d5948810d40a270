package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// How long an answer may take to begin. IPFS has no way to say that nobody has
// a file: who asks for one waits until it gives up. Files of which the lock
// knows the address were put somewhere, so those are worth more of a wait.
const (
	patienceKnown = 15 * time.Second
	patienceGuess = 5 * time.Second
)

// maxVain is how many more guesses may lead nowhere than lead to a file before
// nothing is guessed any more.
const maxVain = 3

// source asks for files by the address that the lock has for them, else by the
// one that a file of a single block has.
type source struct {
	// at asks for a file. Request.CID is set.
	at           fetch.Source
	known, guess time.Duration
	vain         atomic.Int64 // guesses that led nowhere, less those that led to a file
}

// NewSource returns what is at an address as a source: a kubo node's RPC API
// (ipfs://HOST:PORT, ipfs+https://HOST), a gateway (ipfs+gateway://HOST) or a
// gateway's URL template with {{.CID}} in it (https://HOST/ipfs/{{.CID}}).
func NewSource(client *web.Client, rawAddress string) (fetch.Source, error) {
	s := &source{known: patienceKnown, guess: patienceGuess}
	if strings.Contains(rawAddress, "{{") {
		g, err := newGateway(client, rawAddress)
		s.at = g
		return s, err
	}
	a, err := parseAddress(rawAddress)
	if err == nil && a.cid != "" {
		err = fmt.Errorf("%s is the address of a single file, not of a place that has many; %s", a.cid, forms)
	}
	if err != nil {
		return nil, err
	}
	s.at, err = open(client, a)
	return s, err
}

// open returns what is at an address.
func open(client *web.Client, a *address) (fetch.Source, error) {
	if !a.gateway {
		return newKubo(client, a), nil
	}
	u := *a.url
	if u.Hostname() == "localhost" {
		// Kubo sends who asks localhost on to a host below it, which not every
		// resolver finds.
		u.Host = defaultHost
		if p := a.url.Port(); p != "" {
			u.Host += ":" + p
		}
	}
	login := ""
	if a.login != nil {
		login = a.login.String() + "@"
	}
	return newGateway(client, u.Scheme+"://"+login+u.Host+"/ipfs/{{.CID}}")
}

// Name is the node's address or the gateway's template, without a login.
func (s *source) Name() string { return s.at.Name() }

// Serves reports true: the hash of each entry gives an address to ask for.
func (s *source) Serves(lockfile.Entry) bool { return true }

// Limits are shared by all that is on one host.
func (s *source) Limits() fetch.Limits { return s.at.(fetch.Limiter).Limits() }

// Open asks for the file. Where the lock has no address, the one that follows
// from the hash is tried: it is right for files of one block. An answer that
// is long in coming counts as none, and is not waited for again.
func (s *source) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	if req.CID != "" {
		return within(ctx, s.known, s.at, req)
	}
	if s.vain.Load() >= maxVain {
		return nil, fmt.Errorf("the lock has no IPFS address for the file, and those that follow from hashes led nowhere: %w", fs.ErrNotExist)
	}
	req.CID = RawCID(req.Entry.Digest)
	body, err := within(ctx, s.guess, s.at, req)
	switch {
	case err == nil:
		s.vain.Add(-1)
	case errors.As(err, new(*lateError)):
		s.vain.Add(1)
	}
	return body, err
}

// lateError says that nobody was found to have a file.
type lateError struct{ why string }

func (e *lateError) Error() string {
	return e.why + "; the file may be on no IPFS node that is online"
}

// within opens a file from a source that is given so long for the answer to
// begin.
func within(ctx context.Context, limit time.Duration, at fetch.Source, req fetch.Request) (*fetch.Body, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := &lateError{fmt.Sprintf("no answer within %s", limit)}
	timer := time.AfterFunc(limit, func() { cancel(late) })
	body, err := at.Open(ctx, req)
	timer.Stop()
	if cause := context.Cause(ctx); err == nil && cause != nil {
		body.Close()
		err = cause
	}
	if err != nil {
		if context.Cause(ctx) == error(late) {
			err = fetch.Permanent(late)
		}
		cancel(nil)
		return nil, err
	}
	out := *body
	out.ReadCloser = &bounded{ReadCloser: body.ReadCloser, ctx: ctx, cancel: cancel}
	return &out, nil
}

// bounded is a body with a context of its own.
type bounded struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

func (b *bounded) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}
