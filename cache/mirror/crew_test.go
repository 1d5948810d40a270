package mirror

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// A mirror may be closed while requests begin things: it waits for what began
// before, and what begins then ends by itself.
func TestCrewIsDismissedWhileSomeJoin(t *testing.T) {
	for range 200 {
		var c crew
		var begun, ended, late atomic.Int64
		var joiners sync.WaitGroup
		for range 4 {
			joiners.Go(func() {
				for range 20 {
					begun.Add(1)
					c.Go(func() { ended.Add(1) })
				}
			})
		}
		c.Go(func() { late.Add(1) })
		c.Wait()
		if late.Load() != 1 {
			t.Fatal("what had begun was not waited for")
		}
		joiners.Wait()
		done := make(chan bool)
		c.Go(func() { close(done) })
		<-done
	}
}

// A closed mirror fetches nothing for requests that outlive it.
func TestClosedMirrorFetchesNothing(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	r.waitIndexed()
	m := r.Mirror
	target, err := m.resolve(t.Context(), "192.0.2.1:1", m.upstreams[0], smallDeb)
	if err != nil {
		t.Fatal(err)
	}
	r.stopAll()
	_, err = m.fly(target.up, target.want, target.path, target.where()).wait(t.Context())
	if !errors.Is(err, context.Canceled) || o.count(smallDeb) != 0 {
		t.Errorf("%v; upstream was asked %d times for %d bytes", err, o.count(smallDeb), len(repo.debs[smallDeb]))
	}
	if _, _, err := m.upstreams[0].roots["dists/one/InRelease"].fresh(t.Context()); err != nil {
		t.Errorf("what is there is not served to the last: %v", err)
	}
}
