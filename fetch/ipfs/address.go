package ipfs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ipfs/go-cid"
)

// Where a kubo node answers by default.
const (
	defaultHost = "127.0.0.1"
	defaultPort = "5001"
)

const forms = "use ipfs://[HOST[:PORT]] for a kubo node, ipfs+https://HOST for one behind TLS, " +
	"or ipfs+gateway://HOST for a gateway"

// An address is where to ask for files, and perhaps which one.
type address struct {
	url     *url.URL // scheme http or https, and host; no path, no login
	login   *url.Userinfo
	gateway bool
	cid     string // empty where no file is named
}

// parseAddress reads the forms that are listed in docs/ipfs.md.
func parseAddress(raw string) (*address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not an IPFS address; " + forms) // the error of url.Parse repeats a password
	}
	bad := func(why string) error { return fmt.Errorf("%s: %s; %s", u.Redacted(), why, forms) }
	if u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, bad("an IPFS address has no query or fragment")
	}
	a := &address{url: &url.URL{Scheme: "http", Host: u.Host}, login: u.User, cid: strings.Trim(u.Path, "/")}
	if u.Scheme == "ipfs" && a.cid == "" && isCID(u.Host) {
		a.cid, a.url.Host = u.Host, "" // the usual URI of a file: any node will do
	}
	switch u.Scheme {
	case "ipfs":
		a.url.Host = withDefaults(a.url)
	case "ipfs+https":
		a.url.Scheme = "https"
	case "ipfs+gateway":
		a.gateway = true
		if !isLoopback(u.Hostname()) {
			a.url.Scheme = "https"
		}
	default:
		return nil, bad("not an IPFS address")
	}
	switch {
	case a.url.Hostname() == "":
		return nil, bad("no host is named")
	case a.cid != "" && !isCID(a.cid):
		return nil, bad(fmt.Sprintf("%q is not a CID", a.cid))
	}
	return a, nil
}

func withDefaults(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = defaultHost
	}
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(host, port)
}

func isCID(s string) bool {
	_, err := cid.Decode(s)
	return err == nil
}

// isLoopback reports whether a host is this machine, where TLS is not needed.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// name is the address for people: without a login, and without the file.
func (a *address) name() string {
	if a.url.Scheme == "https" {
		return "ipfs+https://" + a.url.Host
	}
	return "ipfs://" + a.url.Host
}
