package main

import (
	"net"
	"slices"

	"github.com/samebits/samebits/cache/mirror"
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
	for _, u := range r.plan.mirror.Upstreams {
		if client := clientOf(u.Format); !isKnownPrefix(u.Prefix) {
			r.session.say("  %-9s %s in place of %s", client, base+"/"+u.Prefix, withoutLogin(u.URLs[0]))
		}
	}
	if r.plan.mirror.AdminToken == "" {
		r.session.detail("no admin token is set: \"mirror snapshot\", warm and pin are refused; tokens: in the configuration sets one")
	}
}

// clientOf names the program that reads the archives of a format.
func clientOf(f mirror.Format) string {
	switch f.(type) {
	case *mirror.Alpine:
		return "apk"
	case *mirror.Arch:
		return "pacman"
	case *mirror.RPM:
		return "dnf"
	}
	return "apt"
}

func isKnownPrefix(prefix string) bool {
	return slices.ContainsFunc(knownArchives, func(k knownArchive) bool { return k.prefix == prefix })
}
