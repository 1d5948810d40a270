package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

const (
	// upkeepEvery is how often one of the mirrors cleans the store.
	upkeepEvery = 24 * time.Hour
	// upkeepAge is how old a set must be to be deleted.
	upkeepAge  = 7 * 24 * time.Hour
	upkeepLook = time.Hour
	upkeepKey  = "upkeep"
)

// upkeepMark says when the store was last cleaned.
type upkeepMark struct {
	Began time.Time `json:"began"`
}

func parseUpkeep(data []byte) (mark upkeepMark, err error) {
	if err := json.Unmarshal(data, &mark); err != nil {
		return mark, fmt.Errorf("%w: %v", share.ErrDamaged, err)
	}
	return mark, nil
}

// upkeep deletes the metadata of sets that nobody needs any more, once a day
// and by one of all mirrors. Packages are never deleted: some lock may name
// them.
func (s *sharing) upkeep(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	now := time.Now()
	data, tag, err := s.get(ctx, "upkeep", upkeepKey)
	if err == nil {
		var mark upkeepMark
		if mark, err = parseUpkeep(data); err == nil && now.Sub(mark.Began) < upkeepEvery && now.After(mark.Began) {
			return nil
		}
	}
	if err != nil && !missing(err) && !errors.Is(err, share.ErrDamaged) {
		return err
	}
	if data, err = json.Marshal(upkeepMark{now.UTC()}); err != nil {
		return err
	}
	_, err = s.store.Put(ctx, upkeepKey, share.Seal("upkeep", data), tag)
	if s.note(err) == nil {
		err = s.clean(ctx, now)
	}
	if errors.Is(err, share.ErrConflict) {
		return nil // another mirror does it
	}
	if err != nil && ctx.Err() == nil {
		s.m.config.Log.Warn("the store could not be cleaned of old metadata", "store", s.store.Name(), "error", err)
	}
	return err
}

// clean deletes sets that are neither current nor frozen nor young, and the
// metadata that only they name. If anything of what stays cannot be read it
// deletes nothing.
func (s *sharing) clean(ctx context.Context, now time.Time) error {
	needed, err := s.neededSets(ctx)
	if err != nil {
		return err
	}
	list, err := s.list(ctx, "sets/")
	if err != nil {
		return err
	}
	keep := map[lockfile.Digest]bool{}
	var old []string
	for _, o := range list {
		id := strings.TrimSuffix(strings.TrimPrefix(o.Key, "sets/"), ".json")
		if !isSetID(id) {
			continue
		}
		if !needed[id] && now.Sub(o.Modified) > upkeepAge {
			old = append(old, id)
			continue
		}
		files, err := s.filesOf(ctx, id)
		if err != nil {
			return fmt.Errorf("the set %s, which stays: %w", id, err)
		}
		for _, d := range files {
			keep[d] = true
		}
	}
	if err := s.keepPinned(ctx, keep); err != nil {
		return err
	}
	sets, blobs := 0, 0
	for _, id := range old {
		n, err := s.deleteSet(ctx, id, keep)
		if err != nil {
			return err
		}
		sets, blobs = sets+1, blobs+n
	}
	if sets > 0 {
		s.m.config.Log.Info("old metadata was deleted from the store", "sets", sets, "files", blobs)
	}
	return nil
}

// neededSets are those that a root or a frozen state names.
func (s *sharing) neededSets(ctx context.Context) (map[string]bool, error) {
	needed := map[string]bool{}
	roots, err := s.list(ctx, "roots/")
	if err != nil {
		return nil, err
	}
	for _, o := range roots {
		data, _, err := s.get(ctx, "root", o.Key)
		var sr sharedRoot
		if err == nil {
			sr, err = parseRoot(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Key, err)
		}
		needed[sr.Current] = true
	}
	frozen, err := s.frozenThere(ctx)
	if err != nil {
		return nil, err
	}
	for name := range frozen {
		data, _, err := s.get(ctx, "snapshot", snapshotKey(name))
		var snap *Snapshot
		if err == nil {
			snap, err = parseSnapshot(name, data)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", snapshotKey(name), err)
		}
		for _, set := range snap.Sets {
			needed[set.ID] = true
		}
	}
	return needed, nil
}

// filesOf lists the metadata of a set.
func (s *sharing) filesOf(ctx context.Context, id string) ([]lockfile.Digest, error) {
	rec, err := s.record(ctx, id)
	if err != nil {
		return nil, err
	}
	up := s.m.byPrefix[rec.Prefix]
	if up == nil {
		return nil, fmt.Errorf("this mirror has no archive %q: give all mirrors of a store the same configuration", clean(rec.Prefix))
	}
	var out []lockfile.Digest
	set, err := up.Format.Read(rec.Root, func(path string) ([]byte, error) {
		for _, f := range rec.Files {
			if f.Path == path {
				out = append(out, f.Digest)
				return s.bytes(ctx, f)
			}
		}
		return nil, fs.ErrNotExist
	}, true)
	if err != nil {
		return nil, err
	}
	for _, f := range set.Files {
		out = append(out, f.Digest)
	}
	return out, nil
}

// bytes returns a file of a root, from here or from the store. It is not kept.
func (s *sharing) bytes(ctx context.Context, f rootFile) ([]byte, error) {
	data, err := s.m.store.read(ctx, f.Digest, s.m.config.MaxRoot)
	if !missing(err) {
		return data, err
	}
	data, _, err = s.store.Get(ctx, share.BlobKey(f.Digest))
	if s.note(err) == nil && lockfile.DigestOf(data) != f.Digest {
		err = share.ErrDamaged
	}
	return data, err
}

// keepPinned adds what pins name.
func (s *sharing) keepPinned(ctx context.Context, keep map[lockfile.Digest]bool) error {
	list, err := s.list(ctx, "pins/")
	if err != nil {
		return err
	}
	for _, o := range list {
		text, _, err := s.get(ctx, "pin", o.Key)
		if err == nil && len(text) > 0 {
			var lock *lockfile.Lock
			if lock, err = lockfile.Parse(o.Key, strings.NewReader(string(text))); err == nil {
				for _, e := range lock.Entries {
					keep[e.Digest] = true
				}
			}
		}
		if err != nil && !missing(err) {
			return fmt.Errorf("%s: %w", o.Key, err)
		}
	}
	return nil
}

// deleteSet deletes the metadata of a set that is not to be kept, and then the
// set. One whose metadata cannot be read goes alone.
func (s *sharing) deleteSet(ctx context.Context, id string, keep map[lockfile.Digest]bool) (n int, err error) {
	files, err := s.filesOf(ctx, id)
	if err != nil && !missing(err) && !errors.Is(err, share.ErrDamaged) {
		return 0, err
	}
	for _, d := range files {
		if _, aPackage := s.m.history.digest(d); aPackage || keep[d] {
			continue
		}
		keep[d] = true // deleted once
		if err := s.note(s.store.Delete(ctx, share.BlobKey(d))); err != nil {
			return n, err
		}
		n++
	}
	return n, s.note(s.store.Delete(ctx, setKey(id)))
}
