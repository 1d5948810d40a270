package mirror

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

const (
	pinsSeen = "pins.json"
	pinsDue  = "due" // a file for each pin that is yet to be uploaded
)

// pinned notes that a pin was made (with a lock) or removed (nil) here, and
// has uploaded what it names.
func (s *sharing) pinned(name string, lock *lockfile.Lock) error {
	if s == nil || strings.HasPrefix(name, "mirror-") {
		return nil
	}
	var text []byte // nothing says that there is none any more
	if lock != nil {
		text = lock.Format()
		var blobs []lockfile.Digest
		for _, e := range lock.Entries {
			if s.m.store.has(e.Digest) {
				blobs = append(blobs, e.Digest)
			}
		}
		s.arrived(blobs...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.m.state.replace(s.file(pinsDue)+"/"+objectName(name), text); err != nil {
		return err
	}
	poke(s.kick)
	return nil
}

// dueText is a pin as it is yet to be uploaded.
func (s *sharing) dueText(file string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return os.ReadFile(s.path(pinsDue + "/" + file))
}

func (s *sharing) openPins() error {
	if s.pinTags != nil {
		return nil
	}
	tags := map[string]string{}
	if err := s.m.state.readJSON(s.file(pinsSeen), &tags); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.pinTags = tags
	return nil
}

// sendPins uploads the pins that were changed here: the last writer's holds.
func (s *sharing) sendPins(ctx context.Context) (sent bool, err error) {
	if err := s.openPins(); err != nil {
		return false, err
	}
	due, err := os.ReadDir(s.path(pinsDue))
	if err != nil {
		return false, err
	}
	for _, e := range due {
		if strings.HasPrefix(e.Name(), ".new-") {
			continue
		}
		text, err := s.dueText(e.Name())
		if err != nil {
			return sent, err
		}
		key := "pins/" + e.Name()
		_, was, err := s.store.Get(ctx, key)
		if s.note(err) != nil && !missing(err) && !errors.Is(err, share.ErrTooLarge) {
			return sent, err
		}
		tag, err := s.store.Put(ctx, key, share.Seal("pin", text), was)
		if s.note(err); errors.Is(err, share.ErrConflict) {
			continue // the next round does it
		}
		if err == nil {
			err = s.tookPin(key, tag)
		}
		if err != nil {
			return sent, err
		}
		sent = true
		s.mu.Lock()
		if now, err := os.ReadFile(s.path(pinsDue + "/" + e.Name())); err == nil && bytes.Equal(now, text) {
			_ = os.Remove(s.path(pinsDue + "/" + e.Name()))
		}
		s.mu.Unlock()
	}
	return sent, nil
}

// takePins takes over the pins that others made or removed.
func (s *sharing) takePins(ctx context.Context) error {
	if err := s.openPins(); err != nil {
		return err
	}
	list, err := s.list(ctx, "pins/")
	if err != nil {
		return err
	}
	for _, o := range list {
		file := strings.TrimPrefix(o.Key, "pins/")
		name, err := url.PathUnescape(file)
		if err != nil || objectName(name) != file || s.pinTags[o.Key] == o.Tag || strings.HasPrefix(name, "mirror-") {
			continue
		}
		if _, err := s.dueText(file); err == nil {
			continue // the one that was made here is later
		}
		if err := s.takePin(ctx, o, name); err != nil {
			return err
		}
	}
	return nil
}

// takePin takes over a pin. What cannot be read leaves the one that is here.
func (s *sharing) takePin(ctx context.Context, o share.Object, name string) error {
	text, tag, err := s.get(ctx, "pin", o.Key)
	switch {
	case missing(err):
		return nil
	case errors.Is(err, share.ErrDamaged):
		s.tellBad(o.Key, err)
		return nil
	case err != nil:
		return err
	}
	c, release := s.m.store.acquire()
	defer release()
	if len(text) == 0 {
		err = c.Unpin(ctx, name)
	} else {
		var lock *lockfile.Lock
		if lock, err = lockfile.Parse(name, bytes.NewReader(text)); err == nil {
			err = c.Pin(ctx, name, lock)
		}
	}
	if err != nil && !missing(err) {
		s.tellBad(o.Key, err)
	}
	return s.tookPin(o.Key, tag)
}

func (s *sharing) tookPin(key, tag string) error {
	s.pinTags[key] = tag
	return s.m.state.writeJSON(s.file(pinsSeen), s.pinTags)
}
