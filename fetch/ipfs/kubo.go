package ipfs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// maxReply bounds an answer of the API that is not a file, in bytes.
const maxReply = 64 << 10

// kubo is a kubo node, asked by its RPC API.
type kubo struct {
	http *http.Client
	at   *address
}

func newKubo(client *web.Client, a *address) *kubo {
	return &kubo{
		http: &http.Client{
			Transport:     client.Transport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		at: a,
	}
}

// Name is the node's address, without a login.
func (n *kubo) Name() string { return n.at.name() }

// Serves reports true; see source.
func (n *kubo) Serves(lockfile.Entry) bool { return true }

// Limits are the planner's, for each host.
func (n *kubo) Limits() fetch.Limits { return fetch.Limits{Host: n.at.url.Host} }

// Open asks for the file at the CID. A CID stands for the same bytes for ever,
// and so is its own validator.
func (n *kubo) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	if req.Validator != "" && req.Validator != req.CID {
		req.Offset = 0
	}
	body, err := n.cat(ctx, req.CID, req.Offset)
	if err != nil || req.Offset == 0 || body.Size != req.Offset {
		return body, err
	}
	// Nothing is left of the file, or there never was so much of it: kubo
	// answers both in the same way.
	body.Close()
	if body, err = n.cat(ctx, req.CID, 0); err != nil || body.Size != req.Offset {
		return body, err
	}
	body.Close()
	return &fetch.Body{ReadCloser: http.NoBody, Offset: req.Offset, Size: req.Offset, Validator: req.CID}, nil
}

func (n *kubo) cat(ctx context.Context, cid string, offset int64) (*fetch.Body, error) {
	query := url.Values{"arg": {cid}}
	if offset > 0 {
		query.Set("offset", strconv.FormatInt(offset, 10))
	}
	resp, err := n.call(ctx, "cat", query, nil)
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if rest, err := strconv.ParseUint(resp.Header.Get("X-Content-Length"), 10, 62); err == nil {
		size = offset + int64(rest)
	}
	return &fetch.Body{ReadCloser: resp.Body, Offset: offset, Size: size, Validator: cid}, nil
}

// An upload is a body to send.
type upload struct {
	io.Reader
	size int64
	kind string // its Content-Type
}

// call sends a command, and a body where one is given. The answer is one with
// status 200.
func (n *kubo) call(ctx context.Context, command string, query url.Values, body *upload) (*http.Response, error) {
	u := *n.at.url
	u.Path = "/api/v0/" + command
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(body), body.size
		req.Header.Set("Content-Type", body.kind)
	}
	if n.at.login != nil {
		password, _ := n.at.login.Password()
		req.SetBasicAuth(n.at.login.Username(), password)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return nil, web.PlainError(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, replyError(resp)
	}
	return resp, nil
}

// reply is what kubo says in JSON: the fields of all commands that are used.
type reply struct {
	Hash    string
	Message string
}

// replyError says what an answer with another status than 200 means, and closes
// it.
func replyError(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code >= 300 && code < 400:
		resp.Body.Close()
		return fetch.Permanent(fmt.Errorf("the server answers %s, so this is not the RPC API of a kubo node; "+
			"for a gateway write ipfs+gateway://HOST", resp.Status))
	case code != http.StatusInternalServerError:
		return web.Refusal(resp)
	}
	defer resp.Body.Close()
	var r reply
	err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&r)
	switch {
	case err != nil || r.Message == "":
		return fmt.Errorf("the node answers %s", resp.Status)
	case isNotFound(r.Message):
		return fmt.Errorf("the node answers: %s: %w", r.Message, fs.ErrNotExist)
	case isNoFile(r.Message):
		return fetch.Permanent(fmt.Errorf("the node answers: %s", r.Message))
	}
	return fmt.Errorf("the node answers: %s", r.Message)
}

// Kubo has no codes for what went wrong; these are its words.

// isNotFound recognises how kubo says that it does not have a block.
func isNotFound(message string) bool {
	return strings.Contains(message, "ipld: could not find") || strings.Contains(message, "merkledag: not found")
}

// isNoFile recognises how kubo says that a CID does not stand for a file.
func isNoFile(message string) bool {
	return strings.Contains(message, "is a directory") || strings.Contains(message, "invalid path")
}

// isNotPinned recognises how kubo says that a CID is none of its pins.
func isNotPinned(message string) bool { return strings.Contains(message, "is not pinned") }
