package mirror

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// Clients of every kind at once, while upstream changes, states are frozen and
// warmed, locks pinned, blobs evicted, and what is at hand dropped: each answer
// is right, and the race detector has nothing to tell.
func TestEverythingAtOnce(t *testing.T) {
	requests := 150
	if testing.Short() {
		requests = 40
	}
	repo := newRepo(t)
	for i := range 8 {
		repo.build("p"+itoa(i), "1", 1000+i*60_000)
	}
	o := newOrigin(t, repo.publish())
	r := newRig(t, debianAt(o, repo.keys()), func(c *Config) {
		c.Fresh, c.Budget, c.AdminToken = 5*time.Millisecond, 200_000, "admin-token-0123456789"
	})
	updated(r)
	debs := map[string][]byte{}
	for path, data := range repo.debs {
		debs[path] = data
	}
	stop := make(chan struct{})
	var clients, others sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range requests {
				askSomething(t, r, c, random, debs)
			}
		})
	}
	for _, job := range []func(ctx context.Context, n int){
		func(ctx context.Context, n int) {
			if n < 10 { // takes its time
				repo.build("churn", itoa(n), 10)
				o.set(repo.publish())
			}
		},
		func(ctx context.Context, n int) {
			if r.Metrics().Evicted == 0 && n < 500 {
				return // what is frozen cannot be evicted
			}
			if snap, err := r.Freeze(ctx); err != nil {
				t.Error(err)
			} else if _, err := r.Warm(ctx, snap.Time.Format(timestampForm), Choice{}); err != nil && n == 0 {
				t.Error(err)
			}
		},
		func(ctx context.Context, n int) {
			if _, err := r.Evict(ctx); err != nil {
				t.Error(err)
			}
			r.hot.tidy(time.Now().Add(time.Minute))
			r.tidy(ctx, time.Now())
		},
		func(ctx context.Context, n int) {
			for path, data := range debs {
				lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: path, Digest: lockfile.DigestOf(data)}}}
				if err := r.Pin(ctx, "lock", lock); err != nil {
					t.Error(err)
				}
				if err := r.Unpin(ctx, "lock"); err != nil {
					t.Error(err)
				}
				break
			}
			_ = r.Status()
			_ = r.History("p1", "", "")
			_ = r.Refresh(ctx)
		},
	} {
		others.Go(func() {
			for n := 0; ; n++ {
				job(t.Context(), n)
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	others.Wait()
	m := r.Metrics()
	t.Logf("%+v", m)
	if m.Hits == 0 || m.Misses == 0 || m.SetsAdopted < 2 || m.Evicted == 0 {
		t.Errorf("that was no load: %+v", m)
	}
}

// askSomething sends a request of a random kind and checks the answer.
func askSomething(t *testing.T, r *rig, c *http.Client, random *rand.Rand, debs map[string][]byte) {
	i := random.IntN(8)
	path := "pool/main/p" + itoa(i) + "_1_amd64.deb"
	data, url, header, method, code := debs[path], r.url+"/debian/"+path, "", http.MethodGet, 200
	switch random.IntN(8) {
	case 0:
		header, code, data = "bytes=100-599", 206, data[100:600]
	case 1:
		method = http.MethodHead
	case 2:
		url = r.url + "/blob/sha256/" + lockfile.DigestOf(data).String()
	case 3:
		url, data = r.url+inReleasePath, nil
	case 4:
		url, data = r.url+"/api/status", nil
	}
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	if header != "" {
		req.Header.Set("Range", header)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil, resp.StatusCode != code:
		t.Errorf("%s %s: %s, %v %.200s", method, strings.TrimPrefix(url, r.url), resp.Status, err, body)
	case method == http.MethodGet && data != nil && !bytes.Equal(body, data):
		t.Errorf("%s: %d bytes that are not it", url, len(body))
	}
}
