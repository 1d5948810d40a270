package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/samebits/samebits/cache/mirror/share"
)

func setKey(id string) string { return "sets/" + id + ".json" }

func isSetID(id string) bool {
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(id) == 32
}

// get returns a small object that has been sealed as of a kind. The error
// wraps share.ErrDamaged where it is another one.
func (s *sharing) get(ctx context.Context, kind, key string) (data []byte, tag string, err error) {
	data, tag, err = s.store.Get(ctx, key)
	if s.note(err); errors.Is(err, share.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", share.ErrDamaged, err)
	}
	if err != nil {
		return nil, tag, err
	}
	data, err = share.Unseal(kind, data)
	return data, tag, err
}

func (s *sharing) list(ctx context.Context, prefix string) ([]share.Object, error) {
	list, err := s.store.List(ctx, prefix)
	return list, s.note(err)
}

// tellBad says once that an object is bad.
func (s *sharing) tellBad(key string, err error) {
	s.mu.Lock()
	told := s.badTags[key] == err.Error()
	s.badTags[key] = err.Error()
	s.mu.Unlock()
	if !told {
		s.badCount.Add(1)
		s.m.config.Log.Warn("an object of the store cannot be used", "store", s.store.Name(), "key", clean(key), "error", err)
	}
}

// record gets a set from the store.
func (s *sharing) record(ctx context.Context, id string) (*record, error) {
	if !isSetID(id) {
		return nil, fmt.Errorf("%w: %q is not the name of a set", share.ErrDamaged, id)
	}
	data, _, err := s.get(ctx, "set", setKey(id))
	if err != nil {
		return nil, err
	}
	return parseRecord(id, data)
}

// parseRecord reads a set as the store has it, and holds it to its name.
func parseRecord(id string, data []byte) (*record, error) {
	rec := &record{}
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("%w: the set %s: %v", share.ErrDamaged, id, err)
	}
	if rec.id() != id {
		return nil, fmt.Errorf("%w: the set %s has been changed", share.ErrDamaged, id)
	}
	return rec, nil
}

// putSet uploads a set with its metadata at hand: blobs first, so that whoever
// sees the set finds them. A damaged record is replaced.
func (s *sharing) putSet(ctx context.Context, l *loaded) error {
	up := s.m.byPrefix[l.rec.Prefix]
	for _, e := range s.m.metadataAtHand(up, l) {
		if err := s.upload(ctx, e.Digest); err != nil {
			return err
		}
	}
	data, err := json.Marshal(l.rec)
	if err != nil {
		return err
	}
	return s.putOnce(ctx, "set", setKey(l.rec.id()), data)
}

// putOnce writes an object that never changes. One that is there stays, unless
// it is damaged. The error wraps share.ErrConflict where it is another one.
func (s *sharing) putOnce(ctx context.Context, kind, key string, data []byte) error {
	_, err := s.store.Put(ctx, key, share.Seal(kind, data), "")
	if s.note(err); !errors.Is(err, share.ErrConflict) {
		return err
	}
	there, tag, getErr := s.get(ctx, kind, key)
	switch {
	case errors.Is(getErr, share.ErrDamaged) && tag != "":
		_, err = s.store.Put(ctx, key, share.Seal(kind, data), tag)
		return s.note(err)
	case getErr != nil:
		return getErr
	case bytes.Equal(there, data):
		return nil
	}
	return err
}

// fetchSet gets a set of another mirror with all that clients of this one
// need. Signatures are checked again: the store is believed nothing.
func (s *sharing) fetchSet(ctx context.Context, r *root, id string, rec *record) (*loaded, error) {
	set, err := s.verify(ctx, r.up, id, rec)
	if err != nil {
		return nil, err
	}
	next := newLoaded(s.m, id, rec, set)
	return next, r.complete(ctx, next, true)
}

// verify reads a set of the store as if it came from upstream.
func (s *sharing) verify(ctx context.Context, up *upstream, id string, rec *record) (*Set, error) {
	set, err := up.Format.Read(rec.Root, func(path string) ([]byte, error) {
		for _, f := range rec.Files {
			if f.Path == path {
				if err := s.need(ctx, up, f); err != nil {
					return nil, err
				}
				return s.m.store.read(ctx, f.Digest, s.m.config.MaxRoot)
			}
		}
		return nil, fs.ErrNotExist
	}, false)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the set %s of %s: %w", id, s.store.Name(), err)
	case !set.Date.Equal(rec.Date):
		return nil, fmt.Errorf("the set %s of %s has another date than it says", id, s.store.Name())
	case set.Signed != rec.Signed:
		return nil, fmt.Errorf("whether the set %s of %s is signed depends on the mirror: give all of them the same keys", id, s.store.Name())
	}
	return set, nil
}

// ensureSet gets a set of a frozen state that another mirror froze.
func (s *sharing) ensureSet(ctx context.Context, up *upstream, id string) error {
	if s == nil || !isSetID(id) {
		return nil
	}
	s.m.loadMu.Lock()
	_, known := s.m.loadedSets[id]
	s.m.loadMu.Unlock()
	if known {
		return nil
	}
	rec, err := s.m.state.loadRecord(id)
	if errors.Is(err, fs.ErrNotExist) {
		if rec, err = s.record(ctx, id); err != nil {
			return err
		}
		if rec.Prefix != up.Prefix {
			return fmt.Errorf("%w: the set %s is of %s", share.ErrDamaged, id, clean(rec.Prefix))
		}
		if _, err = s.verify(ctx, up, id, rec); err == nil {
			_, err = s.m.state.saveRecord(rec)
		}
	}
	if err != nil {
		return err
	}
	for _, f := range rec.Files {
		if err := s.need(ctx, up, f); err != nil {
			return err
		}
	}
	return nil
}
