package main

import (
	"net"

	"github.com/samebits/samebits/cache/mirror/page"
)

// tellClients says where the mirror is, and what to write on each kind of
// client.
func (r *runner) tellClients(listeners []net.Listener) {
	scheme := "http"
	if r.plan.tls != nil {
		scheme = "https"
	}
	base := ""
	for _, l := range listeners {
		where := scheme + "://" + l.Addr().String()
		if l.Addr().Network() == "unix" {
			where = "unix:" + l.Addr().String()
		} else if base == "" {
			base = where
		}
		r.session.say("the mirror listens on %s", where)
	}
	var prefixes []string
	for _, u := range r.plan.mirror.Upstreams {
		prefixes = append(prefixes, u.Prefix)
	}
	if base == "" {
		return
	}
	for _, l := range page.ClientLines(base, prefixes) {
		r.session.say("  %-9s %s", l.Client, l.Line)
	}
	if r.plan.mirror.AdminToken == "" {
		r.session.detail("no admin token is set: \"mirror snapshot\", warm and pin are refused; tokens: in the configuration sets one")
	}
}
