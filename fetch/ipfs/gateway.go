package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
)

// sniffed is how many bytes it takes to tell a web page from a file.
const sniffed = 512

// gateway asks a gateway for files as a browser would. Redirects, as to a host
// for each CID, are followed.
type gateway struct{ fetch.Source }

func newGateway(client *web.Client, template string) (fetch.Source, error) {
	if !strings.Contains(strings.ReplaceAll(template, " ", ""), "{{.CID}}") {
		return nil, errors.New("the template of an IPFS gateway has no {{.CID}}; one is https://HOST/ipfs/{{.CID}}")
	}
	at, err := web.New(client, web.Place{URL: template})
	if err != nil {
		return nil, err
	}
	return &gateway{at}, nil
}

// Limits are shared by all that is on one host.
func (g *gateway) Limits() fetch.Limits { return g.Source.(fetch.Limiter).Limits() }

// Open asks for the file. A web page is no file: gateways show one for what
// they do not find or forbid, and for directories, with status 200. What has
// its CID for an ETag is the file, whatever it looks like.
func (g *gateway) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	body, err := g.Source.Open(ctx, req)
	if status := (*web.StatusError)(nil); errors.As(err, &status) && status.Code == http.StatusGatewayTimeout {
		return nil, fetch.Permanent(&lateError{status.Error()})
	}
	if err != nil || body.Offset > 0 || body.Validator == `"`+req.CID+`"` {
		return body, err
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(body, head)
	head = head[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		body.Close()
		return nil, err
	}
	if kind := http.DetectContentType(head); strings.HasPrefix(kind, "text/html") {
		body.Close()
		return nil, fetch.Permanent(fmt.Errorf("the gateway answers with a web page in place of the file %s", req.CID))
	}
	out := *body
	out.ReadCloser = &pushedBack{io.MultiReader(bytes.NewReader(head), body), body}
	return &out, nil
}

// pushedBack is a body of which the first bytes were looked at.
type pushedBack struct {
	io.Reader
	io.Closer
}
