package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A mirrorURL is where a team mirror is, as a configuration file says it.
type mirrorURL struct {
	url  string
	line int
}

// UnmarshalYAML reads it and says where it is wrong.
func (m *mirrorURL) UnmarshalYAML(n ast.Node) error {
	m.line = n.GetToken().Position.Line
	return scalar(n, func(s string) error {
		m.url = s
		return checkMirrorURL(s)
	})
}

func checkMirrorURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "{{") {
		return errors.New("this is not the URL of a mirror, such as http://mirror.example:3142")
	}
	return nil
}

// teamMirror is the URL of the mirror that SAMEBITS_MIRROR or a configuration
// file names, with the token of that file, and where it is named. It is empty
// where there is none; "none" in the environment turns one off.
func (s *session) teamMirror() (where, why string) {
	if named := s.getenv("SAMEBITS_MIRROR"); named == "none" {
		return "", ""
	} else if named != "" {
		return strings.TrimSuffix(named, "/"), "SAMEBITS_MIRROR"
	}
	for _, c := range s.configs {
		if c.Mirror.url != "" {
			return s.withToken(strings.TrimSuffix(c.Mirror.url, "/"), c.TokenFile), fmt.Sprintf("%s:%d", c.file, c.Mirror.line)
		}
	}
	return "", ""
}

// withToken puts the token of a file into a URL that has no login.
func (s *session) withToken(where, file string) string {
	u, err := url.Parse(where)
	if file == "" || err != nil || u.User != nil {
		return where
	}
	token, err := readToken(file)
	if err != nil {
		s.warn("the team mirror is asked without a token: %v", err)
		return where
	}
	u.User = url.UserPassword("token", token)
	return u.String()
}

// mirrorPlace is the team mirror as the source that is asked before all
// others.
func (s *session) mirrorPlace() []place {
	where, why := s.teamMirror()
	if where == "" {
		return nil
	}
	if err := checkMirrorURL(where); err != nil {
		s.warn("%s is not used: %v", why, err)
		return nil
	}
	if token := s.getenv("SAMEBITS_MIRROR_TOKEN"); token != "" {
		if u, err := url.Parse(where); err == nil && u.User == nil {
			u.User = url.UserPassword("token", token)
			where = u.String()
		}
	}
	return []place{{url: where + "/blob/sha256/{{.SHA256}}", asked: true, why: why}}
}
