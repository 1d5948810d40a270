package mirror

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// mayRead reports whether a request may read: where there are read tokens, it
// has one of them, or the admin token.
func (m *Mirror) mayRead(r *http.Request) bool {
	if len(m.config.ReadTokens) == 0 {
		return true
	}
	return hasToken(r, m.config.ReadTokens)|hasToken(r, []string{m.config.AdminToken}) == 1
}

func (m *Mirror) isAdmin(r *http.Request) bool {
	return m.config.AdminToken != "" && hasToken(r, []string{m.config.AdminToken}) == 1
}

// hasToken returns 1 where the request bears one of the tokens, else 0, in a
// time that does not tell how much of one was right. A token comes as a bearer
// token or as the password of basic authentication, which is what apt can do,
// in the field for servers or in that for proxies.
func hasToken(r *http.Request, tokens []string) int {
	given := sha256.Sum256([]byte(tokenOf(r)))
	found := 0
	for _, t := range tokens {
		want := sha256.Sum256([]byte(t))
		if t != "" {
			found |= subtle.ConstantTimeCompare(given[:], want[:])
		}
	}
	return found
}

func tokenOf(r *http.Request) string {
	if proxy := r.Header.Get("Proxy-Authorization"); proxy != "" {
		r = &http.Request{Header: http.Header{"Authorization": {proxy}}}
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

func (m *Mirror) unauthorized(w http.ResponseWriter, r *http.Request) {
	if r.URL.IsAbs() {
		w.Header().Set("Proxy-Authenticate", `Basic realm="samebits mirror"`)
		m.refuse(w, http.StatusProxyAuthRequired, "the mirror wants a token, as the password of its proxy URL\n")
		return
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="samebits mirror"`)
	m.refuse(w, http.StatusUnauthorized, "the mirror wants a token, as a password in apt's auth.conf\n")
}
