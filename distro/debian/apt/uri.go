package apt

import (
	"fmt"
	"strings"
)

// ListsName returns the name of the file in [Config.ListsDir] that apt keeps
// what it got from uri in: the URI without scheme, user and password, with
// "/" as "_" and what is special as "%" and two lower-case digits.
func ListsName(uri string) string {
	_, rest := cutScheme(uri)
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host, path := after, ""
		if i := strings.IndexByte(after, '/'); i >= 0 {
			host, path = after[:i], after[i:]
		}
		host = host[strings.LastIndexByte(host, '@')+1:]
		if strings.HasPrefix(host, "[") { // an IPv6 address
			host = strings.Replace(host[1:], "]", "", 1)
		}
		rest = host + path
	}
	var b strings.Builder
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '/':
			b.WriteByte('_')
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\\|{}[]<>\"^~_=!@#$%&*", c) >= 0:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// cutScheme cuts a URI at its first colon.
func cutScheme(uri string) (scheme, rest string) {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return "", uri
	}
	return scheme, rest
}

// normaliseURI does what apt does to the URIs of its sources: the native
// architecture for $(ARCH), one form for local paths, a slash at the end.
func normaliseURI(uri, native string) (string, error) {
	uri = strings.ReplaceAll(uri, "$(ARCH)", native)
	scheme, rest := cutScheme(uri)
	if scheme == "" || rest == "" {
		return "", fmt.Errorf("%q is not a URI", uri)
	}
	for _, c := range []byte(uri) {
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("control character in the URI %q", uri)
		}
	}
	if local := strings.TrimPrefix(rest, "//"); strings.HasPrefix(local, "/") {
		rest = local // "file:///srv" is "file:/srv"
	}
	uri = scheme + ":" + rest
	if !strings.HasSuffix(uri, "/") {
		uri += "/"
	}
	return uri, nil
}

// redact hides the password of a URI, for messages.
func redact(uri string) string {
	scheme, rest := cutScheme(uri)
	host, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return uri
	}
	authority, path, _ := strings.Cut(host, "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return uri
	}
	return scheme + "://" + authority[at+1:] + "/" + path
}
