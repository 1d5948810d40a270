package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
)

// upstream is an Upstream at work.
type upstream struct {
	Upstream
	m       *Mirror
	sources []fetch.Source
	bases   []*url.URL // as URLs; may hold logins
	matches []*url.URL // by which proxy clients ask
	slots   chan struct{}

	mu    sync.Mutex
	roots map[string]*root
}

func newUpstream(m *Mirror, conf Upstream) (*upstream, error) {
	up := &upstream{Upstream: conf, m: m, slots: make(chan struct{}, m.config.Parallel), roots: map[string]*root{}}
	for _, raw := range conf.URLs {
		s, err := web.New(m.config.Client, web.Place{URL: raw})
		if err != nil {
			return nil, err
		}
		base, err := parseBase(raw)
		if err != nil {
			return nil, err
		}
		up.sources, up.bases = append(up.sources, s), append(up.bases, base)
		up.matches = append(up.matches, base)
	}
	for _, raw := range conf.Aliases {
		alias, err := parseBase(raw)
		if err != nil {
			return nil, err
		}
		up.matches = append(up.matches, alias)
	}
	return up, nil
}

// slot waits for the right to send a request.
func (up *upstream) slot(ctx context.Context) (release func(), err error) {
	select {
	case up.slots <- struct{}{}:
		return func() { <-up.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// places are where a file may be had, by its paths in turn at each source.
func (up *upstream) places(paths ...string) []place {
	var out []place
	for _, s := range up.sources {
		for _, p := range paths {
			out = append(out, place{s, p})
		}
	}
	return out
}

// errUnchanged says that upstream has what was told to it.
var errUnchanged = errors.New("not changed")

// answer is a small file of upstream's, and what to ask with next time.
type answer struct {
	data []byte
	rootFile
}

// ask gets a file of a root. known is the file as it was had from the same
// place; errUnchanged says that it still is that.
func (up *upstream) ask(ctx context.Context, i int, path string, known *rootFile) (*answer, error) {
	release, err := up.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	up.m.count.upstreamGets.Add(1)
	a, err := up.askOnce(ctx, i, path, known)
	if err != nil && !missing(err) && !errors.Is(err, errUnchanged) {
		up.m.count.upstreamFails.Add(1)
	}
	if err != nil && !errors.Is(err, errUnchanged) {
		return nil, fmt.Errorf("%s: %w", up.sources[i].Name(), err)
	}
	return a, err
}

func (up *upstream) askOnce(ctx context.Context, i int, path string, known *rootFile) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	base := *up.bases[i]
	user := base.User
	base.User = nil
	u := base.JoinPath(strings.Split(path, "/")...)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("its URL cannot be asked for")
	}
	if password, ok := user.Password(); ok || user != nil {
		req.SetBasicAuth(user.Username(), password)
	} else if up.m.config.Login != nil {
		if l, ok := up.m.config.Login(u); ok {
			req.SetBasicAuth(l.User, l.Password)
		}
	}
	// A proxy on the way must not answer with what it has kept.
	req.Header.Set("Cache-Control", "max-age=0")
	if known != nil && known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known != nil && known.Modified != "" {
		req.Header.Set("If-Modified-Since", known.Modified)
	}
	resp, err := up.m.rootClient.Do(req)
	if err != nil {
		return nil, web.PlainError(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		resp.Body.Close()
		if known == nil {
			return nil, errors.New("the server answers 304 to a question without a condition")
		}
		return nil, errUnchanged
	default:
		return nil, web.Refusal(resp)
	}
	body := fetch.Watch(ctx, cancel, cmp.Or(up.m.config.Stall, fetch.DefaultStall), resp.Body)
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, up.m.config.MaxRoot+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > up.m.config.MaxRoot:
		return nil, fmt.Errorf("it is longer than %d bytes", up.m.config.MaxRoot)
	case resp.ContentLength >= 0 && int64(len(data)) != resp.ContentLength:
		return nil, io.ErrUnexpectedEOF
	}
	up.m.count.bytesFetched.Add(int64(len(data)))
	return &answer{data, rootFile{Path: path, Size: int64(len(data)), From: up.sources[i].Name(),
		ETag: resp.Header.Get("ETag"), Modified: modified(resp.Header)}}, nil
}

// modified returns a Last-Modified that can be relied on: with one of the same
// second as the answer, the file may have changed since within it.
func modified(h http.Header) string {
	changed, err1 := http.ParseTime(h.Get("Last-Modified"))
	date, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil || date.Sub(changed) < 2*time.Second {
		return ""
	}
	return h.Get("Last-Modified")
}

// errOffline says that upstream is not asked.
var errOffline = fmt.Errorf("the mirror is offline and does not have it: %w", fs.ErrNotExist)
