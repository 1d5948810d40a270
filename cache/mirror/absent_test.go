package mirror

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// twoPlaces is a mirror of an archive that is to be had at two places; the
// second one is a copy that the test has in hand.
func twoPlaces(t *testing.T) (repo *repo, first, second *origin, r *rig) {
	t.Helper()
	repo = newRepo(t)
	repo.build("small", "1.0-1", 100)
	repo.build("large", "1:2.0+b1~x", 1<<20)
	files := repo.publish()
	first, second = newOrigin(t, files), newOrigin(t, files)
	up := debianAt(first, repo.keys())
	up.URLs = append(up.URLs, second.URL+"/debian")
	return repo, first, second, newRig(t, up, nil)
}

func answering(code int, suffix string) func(http.ResponseWriter, *http.Request, string, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, path string, _ []byte) bool {
		if strings.HasSuffix(path, suffix) {
			http.Error(w, "no", code)
		}
		return strings.HasSuffix(path, suffix)
	}
}

// A file is nowhere only if all places say so: one that fails may have it, and
// a client that is told 404 does not ask again.
func TestAPlaceThatFailsMayHaveTheFile(t *testing.T) {
	for name, path := range map[string]string{"checked": smallDeb, "named by nobody": "pool/main/stray_1_amd64.deb"} {
		for order, codes := range map[string][2]int{"fails first": {503, 404}, "fails second": {404, 500}, "refuses": {403, 404}} {
			t.Run(name+", "+order, func(t *testing.T) {
				_, first, second, r := twoPlaces(t)
				updated(r)
				first.setMood(answering(codes[0], path))
				second.setMood(answering(codes[1], path))
				if resp, body := r.mustGet("/debian/" + path); resp.StatusCode != http.StatusBadGateway {
					t.Errorf("%s %s", resp.Status, body)
				}
				first.setMood(answering(404, path))
				second.setMood(answering(404, path))
				r.want("/debian/"+path, http.StatusNotFound, nil)
			})
		}
	}
}

// What one place has in another form, the other is asked for.
func TestTheOtherPlaceIsAsked(t *testing.T) {
	for name, mood := range map[string]func(http.ResponseWriter, *http.Request, string, []byte) bool{
		"gone":  answering(404, ".deb"),
		"fails": answering(500, ".deb"),
		"wrong hash": func(w http.ResponseWriter, _ *http.Request, path string, b []byte) bool {
			if strings.HasSuffix(path, ".deb") {
				bad := append([]byte{}, b...)
				bad[len(bad)-1] ^= 1
				_, _ = w.Write(bad)
			}
			return strings.HasSuffix(path, ".deb")
		},
		"too short": func(w http.ResponseWriter, _ *http.Request, path string, b []byte) bool {
			if strings.HasSuffix(path, ".deb") {
				_, _ = w.Write(b[:len(b)-1])
			}
			return strings.HasSuffix(path, ".deb")
		},
		"dies at once": func(_ http.ResponseWriter, _ *http.Request, path string, _ []byte) bool {
			if strings.HasSuffix(path, ".deb") {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			repo, first, second, r := twoPlaces(t)
			updated(r)
			first.setMood(mood)
			r.want(smallPath, 200, repo.debs[smallDeb])
			if second.count(smallDeb) != 1 {
				t.Errorf("the second place was asked %d times", second.count(smallDeb))
			}
		})
	}
}

// What is passed on unchecked breaks off where upstream does: it never ends as
// if it were whole.
func TestWhatIsPassedOnBreaksOffToo(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	for name, length := range map[string]bool{"with its length": true, "in chunks": false} {
		t.Run(name, func(t *testing.T) {
			o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, _ []byte) bool {
				if path != "stray" {
					return false
				}
				if length {
					w.Header().Set("Content-Length", "200000")
				}
				_, _ = w.Write(make([]byte, 100_000))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			before := r.Metrics().Aborted
			if resp, body, err := r.get("/debian/stray"); err == nil {
				t.Errorf("%s with %d bytes and no error", resp.Status, len(body))
			}
			if r.Metrics().Aborted != before+1 {
				t.Error("it is not counted")
			}
		})
	}
}

// A client that leaves in the middle, and one that leaves before anything came,
// cost the other nothing; upstream is asked once, and the file is kept.
func TestWhoHangsUpHarmsNobody(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	data, early, late := repo.debs[largeDeb], make(gate), make(gate)
	o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, b []byte) bool {
		if path != largeDeb {
			return false
		}
		w.Header().Set("Content-Length", itoa(len(b)))
		<-early
		_, _ = w.Write(b[:300_000])
		_ = http.NewResponseController(w).Flush()
		<-late
		_, _ = w.Write(b[300_000:])
		return true
	})
	impatient, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(impatient, "GET "+largePath+" HTTP/1.1\r\nHost: a\r\n\r\n")
	soon(t, "upstream is not asked", func() {
		for o.count(largeDeb) == 0 {
			time.Sleep(time.Millisecond)
		}
	})
	impatient.Close()
	stays := make(chan []byte)
	go func() {
		resp, err := http.Get(r.url + largePath)
		if err != nil {
			t.Error(err)
			close(stays)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		stays <- body
	}()
	close(early)
	r.hangUp("GET "+largePath+" HTTP/1.1\r\nHost: a\r\n\r\n", 100_000)
	close(late)
	if body := <-stays; string(body) != string(data) {
		t.Errorf("the one that stays has %d bytes", len(body))
	}
	r.want(largePath, 200, data)
	if n := o.count(largeDeb); n != 1 {
		t.Errorf("%d requests upstream", n)
	}
}
