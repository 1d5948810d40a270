package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
)

// A login is one "machine" of apt_auth.conf(5).
type login struct {
	scheme         string // "" for https only
	machine        string // host, host:port, with a path perhaps
	user, password string
	hasPassword    bool
}

// loadLogins reads auth.conf and auth.conf.d. A file that its owner keeps from
// us is passed over with a warning, as apt does.
func (l *loader) loadLogins() error {
	var names []string
	if name := l.Options.File("Dir::Etc::netrc"); name != "" {
		names = append(names, name)
	}
	if dir := l.Options.File("Dir::Etc::netrcparts"); dir != "" {
		more, err := parts(l.root, dir, "conf", "")
		if errors.Is(err, fs.ErrPermission) {
			l.events.Warning(fmt.Sprintf("the logins of %s are not used: %v", l.root.Join(dir), err))
		} else if err != nil {
			return err
		}
		names = append(names, more...)
	}
	for _, name := range names {
		data, err := l.root.ReadFile(name, maxFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			l.events.Warning(fmt.Sprintf("the logins of %s are not used: %v", l.root.Join(name), err))
			continue
		case err != nil:
			return fmt.Errorf("read apt's logins: %w", err)
		}
		l.logins = append(l.logins, parseLogins(string(data))...)
	}
	return nil
}

// parseLogins reads words: "machine" and its name, then "login" and
// "password", each with a word after it, until the next "machine". As with
// apt there are no comments, and words that mean nothing are passed over.
func parseLogins(text string) []login {
	var out []login
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i++ {
		var cur *login
		if len(out) > 0 {
			cur = &out[len(out)-1]
		}
		switch value := words[i+1]; {
		case words[i] == "machine":
			l := login{machine: value}
			if scheme, rest, ok := strings.Cut(value, "://"); ok {
				l.scheme, l.machine = scheme, rest
			}
			out = append(out, l)
		case words[i] == "login" && cur != nil:
			cur.user = value
		case words[i] == "password" && cur != nil:
			cur.password, cur.hasPassword = value, true
		default:
			continue
		}
		i++
	}
	return out
}

// Login returns the user and password that auth.conf has for a request. What
// names no scheme is for https alone. The first that fits counts.
func (c *Config) Login(u *url.URL) (login *url.Userinfo, ok bool) {
	for _, l := range c.logins {
		if !l.matches(u) {
			continue
		}
		if l.hasPassword {
			return url.UserPassword(l.user, l.password), true
		}
		return url.User(l.user), true
	}
	return nil, false
}

func (l *login) matches(u *url.URL) bool {
	scheme := l.scheme
	if scheme == "" {
		scheme = "https"
	}
	if u.Scheme != scheme {
		return false
	}
	if !strings.Contains(l.machine, "/") {
		return l.machine == u.Host || l.machine == u.Hostname()
	}
	return strings.HasPrefix(u.Host+u.EscapedPath(), l.machine) || strings.HasPrefix(u.Host+u.Path, l.machine)
}
