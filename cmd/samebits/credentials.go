package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/fetch/s3"
)

// dockerConfig is the file with docker's logins, where DOCKER_CONFIG or the
// home directory says; nothing where there is neither.
func (p *program) dockerConfig() string {
	if dir := p.getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	if home := p.getenv("HOME"); home != "" {
		return filepath.Join(home, ".docker", "config.json")
	}
	return ""
}

// bucket reads the URL of a bucket, with what the AWS_ variables and the
// shared credentials say of it.
func (p *program) bucket(rawURL string) (s3.Config, error) {
	c, err := s3.ParseURL(rawURL)
	if err != nil {
		return c, err
	}
	if c.Region == "" {
		c.Region = p.firstOf("AWS_REGION", "AWS_DEFAULT_REGION")
	}
	if named := p.firstOf("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"); named != "" && c.Endpoint == "" {
		u, err := url.Parse(named)
		if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
			return c, errors.New("AWS_ENDPOINT_URL is not of the form https://HOST")
		}
		c.Endpoint, c.PlainHTTP = u.Host, u.Scheme == "http"
	}
	c.Login, err = p.bucketLogin()
	return c, err
}

// bucketLogin finds the keys for object stores; nil where there are none, so
// that the store is asked as anyone may ask it.
func (p *program) bucketLogin() (*s3.Login, error) {
	l := s3.Login{
		AccessKey:    p.getenv("AWS_ACCESS_KEY_ID"),
		SecretKey:    p.getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: p.getenv("AWS_SESSION_TOKEN"),
	}
	switch {
	case l.AccessKey != "" && l.SecretKey != "":
		return &l, nil
	case l.AccessKey != "" || l.SecretKey != "":
		return nil, errors.New("of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set")
	}
	profile := p.getenv("AWS_PROFILE")
	name := p.getenv("AWS_SHARED_CREDENTIALS_FILE")
	if home := p.getenv("HOME"); name == "" && home != "" {
		name = filepath.Join(home, ".aws", "credentials")
	}
	var found *s3.Login
	if data, err := readSmall(name); err == nil {
		found = sharedLogin(string(data), profile)
	} else if !isNotExist(err) {
		return nil, err
	}
	if found == nil && profile != "" {
		return nil, fmt.Errorf("there are no keys for the profile %s, which AWS_PROFILE names, in %q", profile, name)
	}
	return found, nil
}

// sharedLogin reads the keys of a profile from the text of a shared
// credentials file; "" is the profile "default".
func sharedLogin(text, profile string) *s3.Login {
	if profile == "" {
		profile = "default"
	}
	var l s3.Login
	section := ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != profile || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		switch value = strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(key)) {
		case "aws_access_key_id":
			l.AccessKey = value
		case "aws_secret_access_key":
			l.SecretKey = value
		case "aws_session_token":
			l.SessionToken = value
		}
	}
	if l.AccessKey == "" || l.SecretKey == "" {
		return nil
	}
	return &l
}

// readSmall reads a regular file of at most the size of a configuration.
func readSmall(name string) ([]byte, error) {
	if name == "" {
		return nil, os.ErrNotExist
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfig {
		return nil, fmt.Errorf("%s is no regular file of a sane size", name)
	}
	return os.ReadFile(name)
}

// firstOf is the first of the environment's variables that is set.
func (p *program) firstOf(names ...string) string {
	for _, name := range names {
		if value := p.getenv(name); value != "" {
			return value
		}
	}
	return ""
}
