package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/s3"
)

func withEnv(env map[string]string) *program {
	return &program{getenv: func(name string) string { return env[name] }}
}

func TestDockerConfig(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h", "DOCKER_CONFIG": "/d"}, "/d/config.json"},
		{map[string]string{"HOME": "/h"}, "/h/.docker/config.json"},
		{nil, ""},
	} {
		if got := withEnv(c.env).dockerConfig(); got != c.want {
			t.Errorf("%v: %s", c.env, got)
		}
	}
}

func TestSharedLogin(t *testing.T) {
	const text = "; comment\n[default]\naws_access_key_id = A\naws_secret_access_key=B==\n# aws_session_token = no\n\n" +
		"[ team ]\nAWS_ACCESS_KEY_ID=C\naws_secret_access_key = D\naws_session_token = E\n" +
		"[half]\naws_access_key_id = F\n[default-not]\naws_access_key_id = X\naws_secret_access_key = Y\n"
	for profile, want := range map[string]*s3.Login{
		"":        {AccessKey: "A", SecretKey: "B=="},
		"default": {AccessKey: "A", SecretKey: "B=="},
		"team":    {AccessKey: "C", SecretKey: "D", SessionToken: "E"},
		"half":    nil,
		"nobody":  nil,
	} {
		got := sharedLogin(text, profile)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %+v, want %+v", profile, got, want)
		}
	}
}

func TestBucket(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(shared, []byte("[default]\naws_access_key_id = A\naws_secret_access_key = B\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := &s3.Login{AccessKey: "K", SecretKey: "S"}
	for _, c := range []struct {
		url  string
		env  map[string]string
		want s3.Config
	}{
		{"s3://b", nil, s3.Config{}},
		{"s3://b", map[string]string{"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S"}, s3.Config{Login: keys}},
		{"s3://b", map[string]string{"AWS_SHARED_CREDENTIALS_FILE": shared}, s3.Config{Login: &s3.Login{AccessKey: "A", SecretKey: "B"}}},
		{"s3://b", map[string]string{"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SHARED_CREDENTIALS_FILE": shared}, s3.Config{Login: keys}},
		{"s3://b", map[string]string{"AWS_REGION": "r1", "AWS_DEFAULT_REGION": "r2"}, s3.Config{Region: "r1"}},
		{"s3://b", map[string]string{"AWS_DEFAULT_REGION": "r2"}, s3.Config{Region: "r2"}},
		{"s3://b?region=r3", map[string]string{"AWS_REGION": "r1"}, s3.Config{Region: "r3"}},
		{"s3://b", map[string]string{"AWS_ENDPOINT_URL": "http://e:9"}, s3.Config{Endpoint: "e:9", PlainHTTP: true}},
		{"s3://b", map[string]string{"AWS_ENDPOINT_URL": "http://e:9", "AWS_ENDPOINT_URL_S3": "https://f"}, s3.Config{Endpoint: "f"}},
		{"s3://b?endpoint=g", map[string]string{"AWS_ENDPOINT_URL": "http://e:9"}, s3.Config{Endpoint: "g"}},
	} {
		c.want.Bucket = "bucket"
		got, err := withEnv(c.env).bucket(strings.Replace(c.url, "//b", "//bucket", 1))
		if err != nil {
			t.Errorf("%s %v: %v", c.url, c.env, err)
			continue
		}
		login, want := got.Login, c.want.Login
		got.Login, c.want.Login = nil, nil
		if got != c.want || (login == nil) != (want == nil) || login != nil && *login != *want {
			t.Errorf("%s %v: %+v %+v, want %+v %+v", c.url, c.env, got, login, c.want, want)
		}
	}
	for _, env := range []map[string]string{
		{"AWS_ACCESS_KEY_ID": "K"},
		{"AWS_SECRET_ACCESS_KEY": "S"},
		{"AWS_PROFILE": "nobody", "AWS_SHARED_CREDENTIALS_FILE": shared},
		{"AWS_PROFILE": "nobody"},
		{"AWS_ENDPOINT_URL": "e:9"},
		{"AWS_ENDPOINT_URL": "ftp://e"},
		{"AWS_SHARED_CREDENTIALS_FILE": filepath.Dir(shared)},
	} {
		if c, err := withEnv(env).bucket("s3://bucket"); err == nil {
			t.Errorf("%v: %+v", env, c)
		}
	}
}

func FuzzSharedLogin(f *testing.F) {
	f.Add("[default]\naws_access_key_id = A\naws_secret_access_key=B==\n", "")
	f.Add("[a\n[b]]\n=\naws_access_key_id\n#x=y\n", "b]")
	f.Fuzz(func(t *testing.T, text, profile string) {
		if l := sharedLogin(text, profile); l != nil && (l.AccessKey == "" || l.SecretKey == "") {
			t.Errorf("half a login: %+v", l)
		}
	})
}
