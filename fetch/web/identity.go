package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// outside says what asks and that it wants bytes as they are stored, and knows
// whom to trust.
type outside struct {
	next      http.RoundTripper
	userAgent string
}

func (o *outside) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		trustFallback()
	}
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", o.userAgent)
	if req.Header.Get("Accept-Encoding") == "" {
		// Without this any coding would be welcome (RFC 9110, section 12.5.3).
		req.Header.Set("Accept-Encoding", "identity")
	}
	return o.next.RoundTrip(req)
}

// identity says who asks. It stands below the following of redirects, so each
// hop gets the login that is for it and no other.
type identity struct {
	next  http.RoundTripper
	login func(*url.URL) (Login, bool)
}

// placeLogin is a login that stood in a URL. It is a context key, and its own
// value.
type placeLogin struct {
	Login
	scheme, host string
}

func (i *identity) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	if login, ok := i.find(req); ok {
		req.SetBasicAuth(login.User, login.Password)
	}
	return i.next.RoundTrip(req)
}

func (i *identity) find(req *http.Request) (Login, bool) {
	u := req.URL
	if p, ok := req.Context().Value(placeLogin{}).(*placeLogin); ok && p.scheme == u.Scheme && p.host == u.Host {
		return p.Login, true
	}
	if i.login == nil {
		return Login{}, false
	}
	return i.login(u)
}

// parseURL reads an absolute HTTP URL and takes the login out of it.
func parseURL(raw string) (*url.URL, *placeLogin, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse repeats the URL, and with it the password.
		return nil, nil, errors.New("not a URL such as http://mirror.example/debian")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, nil, fmt.Errorf("%s is not an http or https URL", shown(u))
	}
	login := takeLogin(u)
	u.Fragment, u.RawFragment = "", ""
	return u, login, nil
}

func takeLogin(u *url.URL) *placeLogin {
	if u.User == nil {
		return nil
	}
	password, _ := u.User.Password()
	login := &placeLogin{Login{u.User.Username(), password}, u.Scheme, u.Host}
	u.User = nil
	return login
}

// shown is a URL for people: without a login, and without the values of a
// query, which may be a secret too.
func shown(u *url.URL) string {
	base := *u
	base.User, base.RawQuery, base.ForceQuery = nil, "", false
	return base.String() + shownQuery(u.RawQuery)
}

// shownQuery keeps the keys of a query and those values that are fields of a
// template.
func shownQuery(query string) string {
	if query == "" {
		return ""
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		if key, value, has := strings.Cut(p, "="); has && !strings.HasPrefix(value, "{{") {
			pairs[i] = key + "=…"
		}
	}
	return "?" + strings.Join(pairs, "&")
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110,
// section 10.2.3). A date counts from the server's own, if it tells one: its
// clock may be another than ours. It returns 0 where there is none or it cannot
// be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(v, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		now = t
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
