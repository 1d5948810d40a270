package ipfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func serve(t *testing.T, h http.HandlerFunc) (host string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// wait answers nothing until the client goes away.
func wait(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// answer is a handler for a status, a type and a text.
func answer(code int, kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

const page = "\n<!doctype html><html><title>504</title></html>"

func TestMoods(t *testing.T) {
	missing := `{"Message":"block was not found locally (offline): ipld: could not find bafk","Code":0,"Type":"error"}`
	late := func(err error) bool { return errors.As(err, new(*lateError)) && fetch.IsPermanent(err) }
	absent := func(err error) bool { return errors.Is(err, fs.ErrNotExist) }
	hopeless := func(err error) bool { return fetch.IsPermanent(err) && !absent(err) && !late(err) }
	passing := func(err error) bool { return err != nil && !fetch.IsPermanent(err) }
	busy := func(err error) bool {
		var b *fetch.BusyError
		return errors.As(err, &b) && b.After == 7*time.Second
	}
	slowDown := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "", http.StatusTooManyRequests)
	}
	for _, c := range []struct {
		name, scheme string
		mood         http.HandlerFunc
		want         func(error) bool
	}{
		{"page", "ipfs+gateway", answer(200, "text/html", page), hopeless},
		{"page of another type", "ipfs+gateway", answer(200, "application/octet-stream", page), hopeless},
		{"404", "ipfs+gateway", answer(404, "text/html", page), absent},
		{"410", "ipfs+gateway", answer(410, "text/html", page), absent},
		{"451", "ipfs+gateway", answer(451, "text/html", page), hopeless},
		{"500", "ipfs+gateway", answer(500, "text/html", page), passing},
		{"502", "ipfs+gateway", answer(502, "text/html", page), passing},
		{"504", "ipfs+gateway", answer(504, "text/html", page), late},
		{"429", "ipfs+gateway", slowDown, busy},
		{"silent", "ipfs+gateway", wait, late},
		{"reset", "ipfs+gateway", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, passing},
		{"login", "ipfs+gateway", answer(401, "text/plain", ""), hopeless},

		{"missing", "ipfs", answer(500, "application/json", missing), absent},
		{"directory", "ipfs", answer(500, "application/json", `{"Message":"this dag node is a directory","Type":"error"}`), hopeless},
		{"trouble", "ipfs", answer(500, "application/json", `{"Message":"disk full","Type":"error"}`), passing},
		{"no JSON", "ipfs", answer(500, "text/html", page), passing},
		{"endless", "ipfs", answer(500, "application/json", `{"Message":"`+strings.Repeat("x", 2*maxReply)), passing},
		{"no API", "ipfs", answer(404, "text/plain", "404 page not found"), hopeless},
		{"method", "ipfs", answer(405, "text/plain", ""), hopeless},
		{"redirect", "ipfs", http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, hopeless},
		{"forbidden", "ipfs", answer(403, "text/plain", "403 - Forbidden"), hopeless},
		{"busy", "ipfs", slowDown, busy},
		{"silent", "ipfs", wait, late},
	} {
		t.Run(c.scheme+"/"+c.name, func(t *testing.T) {
			for _, cid := range []string{"", someCID} {
				s := newTestSource(t, c.scheme+"://"+serve(t, c.mood)).(*source)
				if strings.HasPrefix(c.name, "silent") {
					s.guess, s.known = 100*time.Millisecond, 200*time.Millisecond
				}
				body, err := s.Open(context.Background(), fetch.Request{CID: cid})
				if err == nil {
					body.Close()
				}
				if !c.want(err) {
					t.Errorf("error %v, permanent: %v", err, fetch.IsPermanent(err))
				}
			}
		})
	}
}

// A page that has the very CID that was asked for is the file.
func TestLockedPage(t *testing.T) {
	s := newTestSource(t, "ipfs+gateway://"+serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+someCID+`"`)
		_, _ = io.WriteString(w, page)
	}))
	body, err := s.Open(context.Background(), fetch.Request{CID: someCID})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != page || err != nil {
		t.Errorf("%q, error %v", got, err)
	}
}

// slow answers after a while with a body that takes hours.
type slow struct{ start time.Duration }

func (s slow) Name() string               { return "slow" }
func (s slow) Serves(lockfile.Entry) bool { return true }
func (s slow) Open(ctx context.Context, _ fetch.Request) (*fetch.Body, error) {
	select {
	case <-time.After(s.start):
		return &fetch.Body{ReadCloser: &slowBody{}, Size: 1}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type slowBody struct{ over bool }

func (s *slowBody) Read(p []byte) (int, error) {
	time.Sleep(time.Hour)
	if s.over {
		return 0, io.EOF
	}
	s.over = true
	return copy(p, "x"), nil
}

func (s *slowBody) Close() error { return nil }

// An answer may be long, and may not be long in coming: less so where the
// address is guessed.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		cid   string
		start time.Duration
		ok    bool
	}{
		{someCID, 14 * time.Second, true},
		{someCID, 16 * time.Second, false},
		{"", 4 * time.Second, true},
		{"", 6 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &source{at: slow{c.start}, known: patienceKnown, guess: patienceGuess}
			body, err := s.Open(t.Context(), fetch.Request{CID: c.cid})
			if (err == nil) != c.ok || (err != nil && (!errors.As(err, new(*lateError)) || !fetch.IsPermanent(err))) {
				t.Errorf("CID %q after %s: error %v", c.cid, c.start, err)
			}
			if err != nil {
				return
			}
			if got, err := io.ReadAll(body); string(got) != "x" || err != nil {
				t.Errorf("CID %q: %q, error %v", c.cid, got, err)
			}
			body.Close()
		})
	}
}

// Guesses end where they lead nowhere, and addresses of the lock are asked for
// still.
func TestVainGuesses(t *testing.T) {
	var asked atomic.Int64
	s := newTestSource(t, "ipfs+gateway://"+serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !strings.HasSuffix(r.URL.Path, someCID) {
			http.Error(w, "", http.StatusGatewayTimeout)
		}
	})).(*source)
	open := func(n int, cid string) error {
		body, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Digest: lockfile.DigestOf([]byte{byte(n)})}, CID: cid})
		if err == nil {
			body.Close()
		}
		return err
	}
	for i := range 10 {
		if err := open(i, ""); err == nil || errors.Is(err, fs.ErrNotExist) != (i >= maxVain) {
			t.Errorf("guess %d: %v", i, err)
		}
	}
	if err := open(0, someCID); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != maxVain+1 {
		t.Errorf("asked %d times", n)
	}
}

// Gateways send each CID to a host of its own. The login stays behind.
func TestSubdomains(t *testing.T) {
	data := map[string][]byte{}
	for _, content := range fetchtest.Files() {
		data[RawCID(lockfile.DigestOf(content))] = content
	}
	var leaked atomic.Bool
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cid, sub := strings.CutSuffix(r.URL.Host, ".ipfs.gw.example")
		leaked.CompareAndSwap(false, sub && r.Header.Get("Authorization") != "")
		switch {
		case !sub:
			http.Redirect(w, r, "http://"+strings.TrimPrefix(r.URL.Path, "/ipfs/")+".ipfs.gw.example/", http.StatusMovedPermanently)
		default:
			fetchtest.Good(w, r, data[cid])
		}
	})
	client := web.NewClient(web.Config{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://" + proxy) }})
	fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
		s, err := NewSource(client, "http://u:s3cret@gw.example/ipfs/{{.CID}}")
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	if leaked.Load() {
		t.Error("the login is sent to another host")
	}
}

// Through moods of every kind the planner gets each file, from the one gateway
// that is honest.
func TestBadGateways(t *testing.T) {
	files := fetchtest.Packages(30, "amd64")
	byCID := map[string][]byte{}
	for _, data := range files {
		byCID["ipfs/"+RawCID(lockfile.DigestOf(data))] = data
	}
	store := &fetchtest.Store{}
	p := &fetch.Planner{Store: store, Backoff: time.Millisecond}
	for _, mood := range []fetchtest.Mood{fetchtest.Lie, fetchtest.Page, fetchtest.NoRange, fetchtest.Truncate(0.5), fetchtest.Status(504), fetchtest.Status(500), fetchtest.Busy(429, 300), fetchtest.Good} {
		server := fetchtest.NewServer(byCID)
		t.Cleanup(server.Close)
		server.Mood(mood)
		p.Sources = append(p.Sources, newTestSource(t, server.URL+"/ipfs/{{.CID}}"))
	}
	if r := p.Fetch(context.Background(), fetchtest.Requests(files, "")); !r.Complete() {
		t.Errorf("%v, %v", r.Err, r.Failed)
	}
}

// A node that stops in the middle of an upload, or answers with nonsense, is
// an error.
func TestBadNodes(t *testing.T) {
	notPinned := answer(500, "application/json", `{"Message":"path 'x' is not pinned","Code":0,"Type":"error"}`)
	for name, mood := range map[string]http.HandlerFunc{
		"error: no room": answer(200, "application/json", `{"Message":"error: no room","Type":"error"}`),
		"other address":  answer(200, "application/json", `{"Name":"x","Hash":"`+someCID+`"}`),
		"no address":     answer(200, "application/json", `{}`),
		"nothing":        answer(200, "application/json", ``),
		"late error":     answer(200, "application/json", `{"Hash":"`+RawCID(lockfile.DigestOf([]byte("data")))+`"}`+`{"Message":"disk full","Type":"error"}`),
		"no JSON":        answer(200, "text/html", page),
		"endless":        answer(200, "application/json", strings.Repeat(" ", 2*maxReply)),
		"without a body": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/pin/ls") {
					notPinned(w, r)
				} else {
					_, _ = io.Copy(io.Discard, r.Body)
					mood(w, r)
				}
			})
			if sent, err := newTestSink(t, "ipfs://"+host, UnixFS2025).Put(context.Background(), file("a.deb", []byte("data"))); err == nil ||
				strings.HasPrefix(name, "error") && !strings.Contains(err.Error(), name) {
				t.Errorf("sent %v, error %v", sent, err)
			}
		})
	}
}

// A node's login is sent, and told in no error.
func TestNodeLogin(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "s3cret" {
			http.Error(w, "", http.StatusForbidden)
		}
	})
	for login, want := range map[string]bool{"u:s3cret@": true, "u:s3cret2@": false, "": false} {
		body, err := newTestSource(t, "ipfs://"+login+host).Open(context.Background(), fetch.Request{CID: someCID})
		if err == nil {
			body.Close()
		}
		if (err == nil) != want || (err != nil && strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("login %q: error %v", login, err)
		}
	}
}

// A lock is believed only if its CID is right.
func TestPullLockForged(t *testing.T) {
	text := "# samebits lock v1\n#: distro debian 12 amd64\n" + strings.Repeat("# a comment\n", 200_000)
	for _, p := range Profiles {
		cid, err := CID(strings.NewReader(text), p)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			served string
			ok     bool
		}{
			"right":     {text, true},
			"changed":   {strings.Replace(text, "amd64", "arm64", 1), false},
			"truncated": {text[:len(text)-12], false},
			"too large": {strings.Repeat("#\n", maxLock/2+1), false},
		} {
			host := serve(t, answer(200, "text/plain", c.served))
			lock, _, err := PullLock(context.Background(), web.NewClient(web.Config{}), "ipfs+gateway://"+host+"/"+cid)
			if (err == nil) != c.ok || (c.ok && lock.System.Arch != "amd64") {
				t.Errorf("%s in %s: error %v", name, p.Name, err)
			}
		}
	}
}

func FuzzReplies(f *testing.F) {
	for _, s := range []string{`{"Name":"x","Hash":"` + someCID + `"}`, `{"Message":"x","Type":"error"}`, `{"Message":"invalid path"}`, "[]", "{}{", "<html>"} {
		f.Add(500, s)
		f.Add(404, s)
	}
	f.Fuzz(func(t *testing.T, code int, text string) {
		if cid, err := addedCID(strings.NewReader(text)); (err == nil) != (cid != "") {
			t.Errorf("%q gives the address %q and error %v", text, cid, err)
		}
		if code == http.StatusOK {
			return
		}
		resp := &http.Response{StatusCode: code, Status: "x", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
		err := replyError(resp)
		if err == nil || code == 404 && errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d %q gives error %v", code, text, err)
		}
	})
}
