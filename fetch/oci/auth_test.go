package oci_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// open opens a blob and returns the error.
func open(s fetch.Source, data []byte) error {
	body, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "a", Digest: lockfile.DigestOf(data)}})
	if err == nil {
		err = body.Close()
	}
	return err
}

// A registry with passwords lets in who has the right one, by whatever way
// docker's configuration has it, and the others are told what to do.
func TestPassword(t *testing.T) {
	host := realRegistry(t, "s3cret")
	files := fetchtest.Packages(3, "amd64")
	s := set("amd64", files)
	data := files[s.Lock.Entries[0].Path]
	ref := "oci://" + host + "/team/packages:v1"
	withHelper := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, withHelper, fmt.Sprintf(`{"credHelpers": {%q: "samebitstest"}}`, host))
	helper(t, fmt.Sprintf(`{"ServerURL": %q, "Username": "user", "Secret": "s3cret"}`, host))

	for name, config := range map[string]string{
		"config file": logins(t, "s3cret", host),
		"helper":      withHelper,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, config)
			push(t, newSink(t, c, ref), s)
			if err := open(newSource(t, c, ref), data); err != nil {
				t.Error(err)
			}
			if pulled, err := c.Pull(context.Background(), ref); err != nil || len(pulled) != 1 {
				t.Errorf("%d locks, error %v", len(pulled), err)
			}
		})
	}
	for name, config := range map[string]string{
		"no login":        "",
		"no such file":    filepath.Join(t.TempDir(), "none.json"),
		"wrong password":  logins(t, "wr0ng", host),
		"login elsewhere": logins(t, "s3cret", "registry.example"),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, config)
			_, err1 := newSink(t, c, ref).Put(context.Background(), s.Files[0])
			_, err2 := c.Pull(context.Background(), ref)
			for _, err := range []error{open(newSource(t, c, ref), data), err1, err2} {
				if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "docker login "+host) || strings.Contains(err.Error(), "wr0ng") {
					t.Errorf("error %v, want a permanent one that says how to log in", err)
				}
			}
		})
	}
}

// helper puts a credential helper that gives an answer into the PATH.
func helper(t *testing.T, answer string) {
	t.Helper()
	bin := t.TempDir()
	writeFile(t, filepath.Join(bin, "docker-credential-samebitstest"), "#!/bin/sh\ncat > /dev/null\ncat << 'END'\n"+answer+"\nEND\n")
	if err := os.Chmod(filepath.Join(bin, "docker-credential-samebitstest"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// A helper that is not there is no matter of the network, and the message says
// where it is named. It plays no part where no login is wanted.
func TestHelperMissing(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, config, `{"credsStore": "samebitsmissing"}`)
	c := newClient(t, config)
	err := open(newSource(t, c, "oci://"+realRegistry(t, "s3cret")+"/team/packages"), []byte("a"))
	if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "docker-credential-samebitsmissing") || !strings.Contains(err.Error(), config) || strings.Contains(err.Error(), "/v2/") {
		t.Errorf("error %v, want a permanent one that names the helper and the file", err)
	}
	if err := open(newSource(t, c, "oci://"+inProcess(t)+"/team/packages"), []byte("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestBrokenDockerConfig(t *testing.T) {
	name := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, name, `{"auths": 1`)
	_, err := oci.NewClient(oci.Config{Web: web.NewClient(web.Config{}), DockerConfig: name})
	if err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v, want one that names the file", err)
	}
}

// A tokens is a token service, and the guard of a registry that wants its
// tokens.
type tokens struct {
	t     *testing.T
	url   string
	mu    sync.Mutex
	asked []string // scopes
	ok    bool     // whether tokens are still good
}

func newTokens(t *testing.T) *tokens {
	s := &tokens{t: t, ok: true}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// ServeHTTP gives a token that says what it is good for.
func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != "user" || password != "s3cret" || r.URL.Query().Get("service") != "test" {
		http.Error(w, `{"errors": [{"code": "DENIED"}]}`, http.StatusUnauthorized)
		return
	}
	scopes := strings.Join(r.URL.Query()["scope"], " ")
	s.mu.Lock()
	s.asked = append(s.asked, scopes)
	s.ok = true
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]string{"token": strings.ReplaceAll(scopes, " ", ";")})
}

// guard answers requests that have no token, or not the right one.
func (s *tokens) guard(w http.ResponseWriter, r *http.Request) bool {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	need := "pull"
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		need = "push"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ok && strings.Contains(token, "repository:team/packages:") && strings.Contains(token, need) {
		return false
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="test",scope="repository:team/packages:%s"`, s.url, need))
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// One token serves a whole push, and one a whole pull; one that has run out
// is renewed.
func TestTokens(t *testing.T) {
	service := newTokens(t)
	f := newFront(t, inProcess(t), service.guard)
	c := newClient(t, logins(t, "s3cret", f.host))
	files := fetchtest.Packages(20, "amd64")
	s := set("amd64", files)
	ref := "oci://" + f.host + "/team/packages:v1"
	push(t, newSink(t, c, ref), s)
	if want := []string{"repository:team/packages:pull,push"}; fmt.Sprint(service.asked) != fmt.Sprint(want) {
		t.Errorf("tokens for %v were asked for, want %v", service.asked, want)
	}
	service.asked = nil
	source := newSource(t, c, ref)
	for _, data := range files {
		if err := open(source, data); err != nil {
			t.Fatal(err)
		}
	}
	if len(service.asked) != 1 || !strings.Contains(service.asked[0], "pull") {
		t.Errorf("tokens for %v were asked for, want one to pull", service.asked)
	}
	service.ok, service.asked = false, nil
	files["new"] = fetchtest.Data(5, 3_000_000)
	if r := push(t, newSink(t, c, ref), set("amd64", files)); r.Sent != 1 {
		t.Errorf("report %+v", r)
	}
	if len(service.asked) == 0 {
		t.Error("the token that had run out was not renewed")
	}
	err := open(newSource(t, newClient(t, logins(t, "wr0ng", f.host)), ref), files["new"])
	if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "docker login "+f.host) {
		t.Errorf("error %v, want a permanent one that says how to log in", err)
	}
}

// Where a registry keeps its blobs elsewhere, that place is told no login:
// neither in a redirect, nor when it asks for one, nor where uploads go there.
func TestNoLoginElsewhere(t *testing.T) {
	data := fetchtest.Data(1, 5000)
	var mu sync.Mutex
	var told []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		told = append(told, r.Method+r.Header.Get("Authorization")+r.Header.Get("Referer"))
		mu.Unlock()
		switch {
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		case strings.Contains(r.URL.Path, lockfile.DigestOf(data).String()):
			_, _ = w.Write(data)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer other.Close()
	f := newFront(t, inProcess(t), func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		switch r.Method {
		case http.MethodGet:
			http.Redirect(w, r, other.URL+r.URL.Path+"?sig=s1gned", http.StatusTemporaryRedirect)
		case http.MethodPost:
			w.Header().Set("Location", other.URL+"/upload?state=1")
			w.WriteHeader(http.StatusAccepted)
		default:
			http.NotFound(w, r)
		}
		return true
	})
	c := newClient(t, logins(t, "s3cret", f.host, strings.TrimPrefix(other.URL, "http://")))
	ref := "oci://" + f.host + "/a"
	if err := open(newSource(t, c, ref), data); err != nil {
		t.Error(err)
	}
	err := open(newSource(t, c, ref), []byte("else"))
	if !fetch.IsPermanent(err) || strings.Contains(err.Error(), "s1gned") {
		t.Errorf("error %v", err)
	}
	one := set("amd64", map[string][]byte{"a": data})
	if sent, err := newSink(t, c, ref).Put(context.Background(), one.Files[0]); err != nil || !sent {
		t.Errorf("sent %t, error %v", sent, err)
	}
	if got := strings.Join(told, " "); got != "GET GET PUT" {
		t.Errorf("the other host was told %q", got)
	}
}
