package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/fetch/web"
)

// maxNetrc bounds how much of a netrc file is read, in bytes.
const maxNetrc = 1 << 20

// netrcLogins are the logins of a netrc file by host; "" is the default.
type netrcLogins map[string]web.Login

func (n netrcLogins) find(host string) (web.Login, bool) {
	if l, ok := n[strings.ToLower(host)]; ok {
		return l, true
	}
	l, ok := n[""]
	return l, ok
}

// netrc reads the user's netrc: NETRC, else .netrc in the home directory. None
// is as good as an empty one; one that cannot be read is a warning.
func (s *session) netrc() netrcLogins {
	name := s.getenv("NETRC")
	if name == "" {
		home := s.getenv("HOME")
		if home == "" {
			return nil
		}
		name = filepath.Join(home, ".netrc")
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil
	}
	if !info.Mode().IsRegular() || info.Size() > maxNetrc {
		s.warn("%s is not used: it is no regular file of a sane size", name)
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		s.warn("%s is not used: %v", name, err)
		return nil
	}
	return parseNetrc(string(data))
}

// parseNetrc reads the words of a netrc file as ftp(1) describes it: they may
// be spread over lines. The first login for a host holds; macros end at an
// empty line and are passed over.
func parseNetrc(text string) netrcLogins {
	logins := netrcLogins{}
	var host string
	var login web.Login
	open := false
	keep := func() {
		if _, known := logins[host]; open && !known {
			logins[host] = login
		}
		open, host, login = false, "", web.Login{}
	}
	inMacro := false
	wants := "" // the word whose value comes next, perhaps on another line
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if inMacro || len(words) == 0 || wants == "" && strings.HasPrefix(words[0], "#") {
			inMacro = inMacro && len(words) > 0
			continue
		}
		for _, word := range words {
			switch wants {
			case "machine":
				open, host = true, strings.ToLower(word)
			case "login":
				login.User = word
			case "password":
				login.Password = word
			}
			if wants != "" {
				wants = ""
				continue
			}
			switch word {
			case "machine", "macdef", "default":
				keep()
			}
			switch word {
			case "default":
				open = true
			case "machine", "login", "password", "account":
				wants = word
			case "macdef":
				inMacro = true
			}
			if inMacro {
				break // its name ends the line
			}
		}
	}
	keep()
	return logins
}
