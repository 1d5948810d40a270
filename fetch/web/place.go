package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// KeeperPause is the least time between two requests to a keeper.
const KeeperPause = 200 * time.Millisecond

// A Place is where files can be had.
type Place struct {
	// URL is a base URL below which files lie at their locked paths, or a
	// template that has fields: {{.Path}}, {{.Basename}}, {{.SHA256}},
	// {{.CID}}, {{.Timestamp}}; {{.Name}} is another word for {{.Path}}. It
	// may hold a login.
	URL string
	// Keeper marks a place that keeps everything for everyone, and is asked
	// for one file at a time.
	Keeper bool
}

type source struct {
	client   *Client
	place    Place
	template *template
	login    *placeLogin
}

// New returns the place as a source. It fails where the URL cannot be used.
func New(client *Client, place Place) (fetch.Source, error) {
	t, login, err := parseTemplate(place.URL)
	if err != nil {
		return nil, err
	}
	return &source{client: client, place: place, template: t, login: login}, nil
}

// Name is the URL or template, without a login and without query values.
func (s *source) Name() string { return s.template.name }

// Serves is true: any file may lie there.
func (s *source) Serves(lockfile.Entry) bool { return true }

// Limits are shared by all places on one host.
func (s *source) Limits() fetch.Limits {
	l := fetch.Limits{Host: s.template.base.Host}
	if s.place.Keeper {
		l.Parallel, l.Every = 1, KeeperPause
	}
	return l
}

// Open asks for the file, or for its rest.
func (s *source) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	u, err := s.template.expand(req)
	if err != nil {
		return nil, err
	}
	return Ask(req, func(header http.Header) (*http.Response, error) {
		return send(ctx, s.client.once, u, s.login, header)
	})
}

// Ask asks for a file, or for its rest with Range and If-Range (RFC 9110,
// section 14), and judges the answer. A server whose answer to a range is not
// what was asked for is asked for the whole file. send sends a GET request with
// the given header fields; the error that it returns is returned as it is.
func Ask(req fetch.Request, send func(http.Header) (*http.Response, error)) (*fetch.Body, error) {
	header := http.Header{}
	if req.Offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", req.Offset))
		if req.Validator != "" {
			header.Set("If-Range", req.Validator)
		}
	}
	resp, err := send(header)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return whole(resp, req)
	case resp.StatusCode == http.StatusPartialContent:
		body, err := partial(resp, req.Offset)
		if err == nil {
			return body, nil
		}
		if req.Offset == 0 {
			return nil, fetch.Permanent(err)
		}
		// What it cannot cut rightly it may have whole.
		return fromStart(req, send)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && req.Offset > 0:
		return beyond(resp, req, send)
	}
	return nil, Refusal(resp)
}

// fromStart asks for the whole file in the place of its rest.
func fromStart(req fetch.Request, send func(http.Header) (*http.Response, error)) (*fetch.Body, error) {
	req.Offset, req.Validator = 0, ""
	return Ask(req, send)
}

// partial checks that an answer is the rest that was asked for, and closes it if
// it is not. Some servers send the whole file in this way, without being asked.
func partial(resp *http.Response, offset int64) (*fetch.Body, error) {
	r, err := parseContentRange(resp.Header.Get("Content-Range"))
	if err == nil && r.first != offset {
		err = fmt.Errorf("answers from byte %d when asked from byte %d", r.first, offset)
	}
	if err == nil && resp.ContentLength >= 0 && resp.ContentLength != r.last-r.first+1 {
		err = fmt.Errorf("sends %d bytes as the range %s", resp.ContentLength, resp.Header.Get("Content-Range"))
	}
	if err == nil && r.size >= 0 && r.last != r.size-1 {
		err = fmt.Errorf("sends only %s when asked for the rest", resp.Header.Get("Content-Range"))
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	size := r.size
	if size < 0 {
		size = r.last + 1
	}
	return &fetch.Body{ReadCloser: resp.Body, Offset: offset, Size: size, Validator: validator(resp.Header)}, nil
}

// beyond deals with an answer that there is nothing at the offset: the file is
// there in full, or the bytes that we have are of another one.
func beyond(resp *http.Response, req fetch.Request, send func(http.Header) (*http.Response, error)) (*fetch.Body, error) {
	size, err := strconv.ParseInt(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes */"), 10, 64)
	resp.Body.Close()
	if err == nil && size == req.Offset {
		return &fetch.Body{ReadCloser: http.NoBody, Offset: size, Size: size}, nil
	}
	return fromStart(req, send)
}

// validator returns what If-Range may be sent with: a strong ETag, or the
// date of the last change where the server's clock says that it cannot have
// changed within the same second (RFC 9110, sections 8.8.2.2 and 13.1.5).
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	modified, err1 := http.ParseTime(h.Get("Last-Modified"))
	date, err2 := http.ParseTime(h.Get("Date"))
	if err1 == nil && err2 == nil && date.Sub(modified) >= time.Second {
		return h.Get("Last-Modified")
	}
	return ""
}
