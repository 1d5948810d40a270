package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
)

// attentive hears what the S3 client does not pass on: how long a store wants
// to be left alone.
type attentive struct{ next http.RoundTripper }

// note is where it is written down. It is a context key, and its own value.
type note struct{ after time.Duration }

func listen(ctx context.Context) (context.Context, *note) {
	n := &note{}
	return context.WithValue(ctx, note{}, n), n
}

func (a *attentive) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= 400 {
		seconds, perr := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 32)
		if n, ok := req.Context().Value(note{}).(*note); ok && perr == nil {
			n.after = time.Duration(seconds) * time.Second
		}
	}
	return resp, err
}

// refusal is an answer of the store that has no object in it.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// status returns the HTTP status of an answer, or 0.
func status(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// explain says what an error of the S3 client means, in the terms of
// [fetch.Source].
func (b *Bucket) explain(err error, n *note) error {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return plainError(err)
	}
	r := &refusal{answer.StatusCode, "the store answers " + answer.Code}
	if answer.Message != "" && answer.Message != answer.Code {
		r.text += ": " + strings.TrimSuffix(answer.Message, ".")
	}
	switch code := answer.StatusCode; {
	case answer.Code == minio.NoSuchBucket:
		return fmt.Errorf("there is no bucket %s at %s: %w", b.config.Bucket, b.config.endpoint(), fs.ErrNotExist)
	case code == http.StatusNotFound && !isUnknownUser(answer.Code):
		return fmt.Errorf("%w: %w", r, fs.ErrNotExist)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && (isSlowDown(answer.Code) || n.after > 0):
		return &fetch.BusyError{After: n.after, Err: r}
	case code == http.StatusForbidden, code == http.StatusUnauthorized, isUnknownUser(answer.Code), isBadToken(answer.Code):
		return fetch.Permanent(fmt.Errorf("%w; %s", r, b.remedy(answer.Code)))
	case code >= 300 && code < 400, answer.Region != "" && code == http.StatusBadRequest:
		return fetch.Permanent(fmt.Errorf("%w; name the bucket's own endpoint and region in its URL%s", r, regionHint(answer.Region)))
	case code == http.StatusRequestTimeout, code >= 500, code == 0, code < 300:
		return r
	}
	return fetch.Permanent(r)
}

// isSlowDown recognises how stores ask for less.
func isSlowDown(code string) bool {
	return strings.HasPrefix(code, "SlowDown") || strings.Contains(code, "Throttl") || code == "RequestLimitExceeded"
}

// isUnknownUser recognises that a key is nobody's, which some stores answer
// with status 404.
func isUnknownUser(code string) bool { return strings.Contains(code, "User") }

// isBadToken recognises that temporary keys are used up, or their token is not
// theirs, which Amazon answers with status 400.
func isBadToken(code string) bool {
	return code == "ExpiredToken" || code == "InvalidToken" || code == "TokenRefreshRequired"
}

func regionHint(region string) string {
	if region == "" {
		return ""
	}
	return fmt.Sprintf(" (region=%s)", region)
}

// remedy says what may help who is not let in.
func (b *Bucket) remedy(code string) string {
	switch {
	case code == "RequestTimeTooSkewed":
		return "set this machine's clock"
	case b.config.Login == nil:
		return "it may want keys; without the right to list the bucket, it also answers so for what is not there"
	case isBadToken(code):
		return "get new temporary keys"
	}
	return "check the keys and what they may do; without the right to list the bucket, it also answers so for what is not there"
}

// plainError is an error of the network.
func plainError(err error) error {
	err = web.PlainError(err)
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return fetch.Permanent(fmt.Errorf("%w; for a store without TLS write s3+http://", err))
	}
	return err
}
