package main

import (
	"context"
	"sync"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/snapshot"
	"github.com/samebits/samebits/fetch"
)

// maxAsked is how often in a run a snapshot archive is asked when it had a
// file. Each file that was dropped before the lock's date takes two questions.
const maxAsked = 2000

// A keeper is a source that keeps what archives have dropped, for everyone. A
// person is told when it is asked, since it is slow.
type keeper struct {
	fetch.Source
	session *session
	// service and client find out when the archive had a file; nil where the
	// place cannot tell.
	service *snapshot.Service
	client  *snapshot.Client
	told    sync.Once
}

func (s *session) newKeeper(p place, src fetch.Source, f *fetcher) fetch.Source {
	k := &keeper{Source: src, session: s}
	service, ok := snapshot.NewService(distro.Mirror{URL: p.url, Keeper: true})
	if ok && service.API() != "" {
		k.service, k.client = service, snapshot.NewClient(f, maxAsked)
	}
	return k
}

// Open asks for the file at the date of the lock and, where the archive has
// dropped it before that, at the time when it was first seen.
func (k *keeper) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	k.told.Do(func() {
		k.session.say("asking %s, which keeps old versions for everyone and is slow; a directory of kept packages or a mirror of one's own, given with --source, spares it", k.Name())
	})
	body, err := k.Source.Open(ctx, req)
	if !isNotExist(err) || k.service == nil {
		return body, err
	}
	seen, seenErr := k.client.SeenAt(ctx, k.service, req.Entry.Path)
	if isNotExist(seenErr) {
		return nil, err
	}
	if seenErr != nil {
		return nil, seenErr
	}
	req.Time = seen
	return k.Source.Open(ctx, req)
}

// Limits are those of the place.
func (k *keeper) Limits() fetch.Limits { return fetch.LimitsOf(k.Source) }
