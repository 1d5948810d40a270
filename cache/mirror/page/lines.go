package page

import (
	"slices"
	"strings"
)

// A ClientLine is what to write on one kind of client.
type ClientLine struct {
	Client string // such as "apt"
	Where  string // the file that it belongs into
	Line   string
}

// ClientLines are those for a mirror at a URL without a slash at its end, with
// the archives of these prefixes.
func ClientLines(base string, prefixes []string) []ClientLine {
	var lines []ClientLine
	add := func(prefix, client, where, line string) {
		if prefix == "" || slices.Contains(prefixes, prefix) {
			lines = append(lines, ClientLine{client, where, line})
		}
	}
	if strings.HasPrefix(base, "http://") {
		add("", "apt", "/etc/apt/apt.conf.d/30mirror", `Acquire::http::Proxy "`+base+`";`)
	}
	add("debian", "apt", "/etc/apt/sources.list", "deb "+base+"/debian stable main")
	add("alpine", "apk", "/etc/apk/repositories", base+"/alpine/latest-stable/main")
	add("archlinux", "pacman", "/etc/pacman.d/mirrorlist", "Server = "+base+"/archlinux/$repo/os/$arch")
	add("fedora", "dnf", "/etc/yum.repos.d/fedora.repo", "baseurl="+base+"/fedora/releases/$releasever/Everything/$basearch/os/")
	add("", "samebits", "/etc/samebits/config.yaml", "mirror: "+base)
	return lines
}
