package mirror

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// soon fails the test where something that must not wait does.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal(what)
	}
}

// halting is a Debian whose indexes of some paths are read only up to the
// first package, until the test goes on.
type halting struct {
	*Debian
	at     string // the end of the paths of such indexes
	halted chan struct{}
	goOn   chan struct{}
}

func (h *halting) Packages(f File, r io.Reader, yield func(Package) error) error {
	return h.Debian.Packages(f, r, func(p Package) error {
		err := yield(p)
		if strings.HasSuffix(f.Path, h.at) {
			select {
			case h.halted <- struct{}{}:
			case <-h.goOn:
			}
			<-h.goOn
		}
		return err
	})
}

// halted is simple with indexes that are halted.
func halted(t *testing.T, at string) (*repo, *origin, *rig, *halting) {
	t.Helper()
	repo := newRepo(t)
	repo.build("small", "1.0-1", 100)
	repo.build("large", "1:2.0+b1~x", 1<<20)
	o := newOrigin(t, repo.publish())
	h := &halting{&Debian{Keys: repo.keys(), Architectures: []string{"amd64"}}, at, make(chan struct{}), make(chan struct{})}
	r := newRig(t, Upstream{Prefix: "debian", URLs: []string{o.URL + "/debian"}, Format: h}, nil)
	t.Cleanup(func() { // before the mirror is closed
		select {
		case <-h.goOn:
		default:
			close(h.goOn)
		}
	})
	return repo, o, r, h
}

// A package is served as soon as its index has been read so far, and those
// that come later in it when they do.
func TestPackagesOfAnIndexThatIsBeingRead(t *testing.T) {
	repo, o, r, h := halted(t, "/Packages.xz")
	updated(r)
	soon(t, "the index is not read at once", func() { <-h.halted })
	soon(t, "a client waits for the rest of an index", func() { r.want(largePath, 200, repo.debs[largeDeb]) })
	later := make(chan struct{})
	go func() {
		defer close(later)
		r.want(smallPath, 200, repo.debs[smallDeb])
	}()
	close(h.goOn)
	soon(t, "the end of an index wakes nobody", func() { <-later })
	if m := r.Metrics(); m.Passed != 0 || o.count(smallDeb) != 1 {
		t.Errorf("something was passed on unchecked: %+v", m)
	}
}

// An index that takes long does not keep back what another one names.
func TestNoIndexWaitsForAnother(t *testing.T) {
	repo, _, r, h := halted(t, "/Packages")
	r.want(inReleasePath, 200, nil)
	r.want(strings.TrimSuffix(packagesPath, ".xz"), 200, nil)
	soon(t, "the index is not read at once", func() { <-h.halted })
	r.want(packagesPath, 200, nil)
	soon(t, "a client waits for an index that it does not need", func() { r.want(smallPath, 200, repo.debs[smallDeb]) })
}

// Who leaves while an index is being read is not waited with.
func TestWhoLeavesWhileAnIndexIsRead(t *testing.T) {
	repo, _, r, h := halted(t, "/Packages.xz")
	updated(r)
	soon(t, "the index is not read at once", func() { <-h.halted })
	ctx, leave := context.WithCancel(t.Context())
	soon(t, "the search goes on", func() {
		time.AfterFunc(20*time.Millisecond, leave)
		if _, err := r.resolve(ctx, "192.0.2.1:1", r.upstreams[0], smallDeb); !errors.Is(err, errUnnamed) {
			t.Error(err)
		}
	})
	close(h.goOn)
	r.want(smallPath, 200, repo.debs[smallDeb])
}

// A package is served while the history has not been told of it, and a mirror
// that ends before it was tells it when it runs again.
func TestPackagesComeBeforeTheHistory(t *testing.T) {
	repo, _, r := simple(t, nil)
	r.feedSlot <- struct{}{} // the history is told nothing
	updated(r)
	soon(t, "a client waits for the history", func() { r.want(smallPath, 200, repo.debs[smallDeb]) })
	if got := r.History("small", "", ""); len(got) != 0 {
		t.Fatalf("the test shows nothing: %v", got)
	}
	r.restart()
	soon(t, "the history is never told of it", func() {
		for len(r.History("small", "", "")) != 1 {
			time.Sleep(10 * time.Millisecond)
		}
	})
	r.waitIndexed()
	left, err := os.ReadDir(r.state.path(indexDir))
	if err != nil || len(left) != 1 || strings.HasSuffix(left[0].Name(), unfed) {
		t.Errorf("%v, %v", left, err)
	}
}

// What a set before the current one named is told to the history too, if the
// mirror ended before it could be.
func TestHistoryOfASetThatWasReplaced(t *testing.T) {
	repo, o, r := simple(t, always)
	r.feedSlot <- struct{}{}
	updated(r)
	soon(t, "the index is not made", func() { r.want(smallPath, 200, repo.debs[smallDeb]) })
	repo.drop()
	repo.build("other", "1", 10)
	o.set(repo.publish())
	updated(r)
	r.restart()
	soon(t, "the history is never told of it", func() {
		for len(r.History("small", "", "")) != 1 || len(r.History("other", "", "")) != 1 {
			time.Sleep(10 * time.Millisecond)
		}
	})
}
