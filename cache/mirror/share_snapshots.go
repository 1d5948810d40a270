package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
)

// maxFrozen bounds the sets of a frozen state that another mirror froze.
const maxFrozen = 10_000

func snapshotKey(name string) string { return "snapshots/" + name + ".json" }

// parseSnapshot reads a frozen state as the store has it.
func parseSnapshot(name string, data []byte) (*Snapshot, error) {
	snap := &Snapshot{}
	if err := json.Unmarshal(data, snap); err != nil {
		return nil, fmt.Errorf("%w: %v", share.ErrDamaged, err)
	}
	if snap.Time.UTC().Format(timestampForm) != name || len(snap.Sets) > maxFrozen {
		return nil, fmt.Errorf("%w: it is of another time, or too large", share.ErrDamaged)
	}
	for _, set := range snap.Sets {
		if !isSetID(set.ID) {
			return nil, fmt.Errorf("%w: it names no set", share.ErrDamaged)
		}
	}
	snap.Time = snap.Time.UTC()
	return snap, nil
}

// frozenThere are the names of the states in the store.
func (s *sharing) frozenThere(ctx context.Context) (map[string]bool, error) {
	list, err := s.list(ctx, "snapshots/")
	there := map[string]bool{}
	for _, o := range list {
		name := strings.TrimSuffix(strings.TrimPrefix(o.Key, "snapshots/"), ".json")
		if _, err := parseTimestamp(name); err == nil && snapshotKey(name) == o.Key {
			there[name] = true
		}
	}
	return there, err
}

// sendSnapshots uploads the states that were frozen here while the store was
// away.
func (s *sharing) sendSnapshots(ctx context.Context) (sent bool, err error) {
	own := s.m.snapshots.list()
	if len(own) == s.sentSnapshots {
		return false, nil
	}
	there, err := s.frozenThere(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range own {
		if there[name] {
			continue
		}
		snap, err := s.m.snapshots.at(name)
		if err == nil {
			err = s.putSnapshot(ctx, snap)
		}
		if err != nil && !errors.Is(err, share.ErrConflict) {
			return sent, fmt.Errorf("upload the state %s: %w", name, err)
		}
		sent = true
	}
	s.sentSnapshots = len(own)
	return sent, nil
}

// putSnapshot uploads a frozen state after all that it names.
func (s *sharing) putSnapshot(ctx context.Context, snap *Snapshot) error {
	for _, set := range snap.Sets {
		up := s.m.byPrefix[set.Prefix]
		if up == nil {
			continue // of an archive that this mirror has no more
		}
		l, err := s.m.load(ctx, up, set.ID)
		if err == nil {
			err = s.putSet(ctx, l)
		}
		if err != nil {
			return err
		}
	}
	data, err := json.Marshal(snap)
	if err != nil {
		return err
	}
	return s.putOnce(ctx, "snapshot", snapshotKey(snap.Time.Format(timestampForm)), data)
}

// claim puts a frozen state into the store under a time that no other mirror
// has taken. If the store is away it is uploaded later.
func (s *sharing) claim(ctx context.Context, snap *Snapshot) {
	if s == nil || s.down() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shareTime)
	defer cancel()
	for range publishTries {
		for slices.Contains(s.m.snapshots.list(), snap.Time.Format(timestampForm)) {
			snap.Time = snap.Time.Add(time.Second)
		}
		err := s.putSnapshot(ctx, snap)
		if err == nil {
			poke(s.kick)
		}
		if !errors.Is(err, share.ErrConflict) {
			return
		}
		snap.Time = snap.Time.Add(time.Second)
	}
}

// takeSnapshots takes over the states that others froze.
func (s *sharing) takeSnapshots(ctx context.Context) error {
	there, err := s.frozenThere(ctx)
	if err != nil {
		return err
	}
	for _, name := range s.m.snapshots.list() {
		delete(there, name)
	}
	var errs []error
	for name := range there {
		err := s.takeSnapshot(ctx, name)
		if errors.Is(err, share.ErrDamaged) {
			s.tellBad(snapshotKey(name), err)
		} else if err != nil {
			errs = append(errs, fmt.Errorf("take over the state %s: %w", name, err))
		}
		if s.down() {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *sharing) takeSnapshot(ctx context.Context, name string) error {
	data, _, err := s.get(ctx, "snapshot", snapshotKey(name))
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	snap, err := parseSnapshot(name, data)
	if err != nil {
		return err
	}
	for _, set := range snap.Sets {
		up := s.m.byPrefix[set.Prefix]
		if up == nil {
			continue // of an archive that this mirror does not have
		}
		l, err := s.m.load(ctx, up, set.ID)
		if err != nil {
			return err
		}
		if r, err := up.root(set.Root); err == nil {
			s.takeFiles(ctx, r, l)
		}
		if err := s.m.pinFrozen(ctx, up, l); err != nil {
			return err
		}
	}
	return s.m.snapshots.add(snap)
}
