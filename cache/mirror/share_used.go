package mirror

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// usedForm is a time of use: two mirrors need not agree on more than the day.
const usedForm = "2006-01-02"

func oldestUse() string { return time.Now().Add(-keepUsed).UTC().Format(usedForm) }

// usedDays are the files of a root's sets that clients ask for.
func (r *root) usedDays() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]string, len(r.used))
	for path, at := range r.used {
		if day := at.UTC().Format(usedForm); day >= oldestUse() {
			out[path] = day
		}
	}
	return out
}

// takeUsed takes over the files that clients of other mirrors ask for.
func (r *root) takeUsed(days map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, day := range days {
		at, err := time.Parse(usedForm, day)
		if err == nil && at.Format(usedForm) > r.used[path].UTC().Format(usedForm) && (len(r.used) < maxUsed || !r.used[path].IsZero()) {
			r.used[path] = at
		}
	}
}

// sendRoots tells other mirrors of files that clients began to ask for here.
func (s *sharing) sendRoots(ctx context.Context) (sent bool, err error) {
	for _, up := range s.m.upstreams {
		for _, r := range up.known(nil) {
			g := s.gate(r)
			g.mu.Lock()
			fresh := false
			if len(g.used) < maxUsed {
				for path, day := range r.usedDays() {
					fresh = fresh || day > g.used[path]
				}
			}
			g.mu.Unlock()
			if !fresh {
				continue
			}
			if err := g.turn.take(ctx); err != nil {
				return sent, err
			}
			err := s.reconcile(ctx, r, true)
			g.turn.give()
			if err != nil {
				return sent, err
			}
			sent = true
		}
	}
	return sent, nil
}

// takeRoots takes over the roots that others have mirrored, and the files that
// clients of theirs use.
func (s *sharing) takeRoots(ctx context.Context) error {
	list, err := s.list(ctx, "roots/")
	if err != nil {
		return err
	}
	for _, o := range list {
		prefix, path, ok := parseRootKey(o.Key)
		up := s.m.byPrefix[prefix]
		if !ok || up == nil || s.rootTags[o.Key] == o.Tag {
			continue
		}
		if roots, begins := up.Format.Roots(path); !begins || roots[0] != path {
			continue
		}
		r, err := up.root(path)
		if err != nil {
			return err
		}
		s.look(ctx, r)
		l := r.peek()
		if l == nil {
			continue
		}
		s.rootTags[o.Key] = o.Tag
		s.takeFiles(ctx, r, l)
	}
	return nil
}

// takeFiles gets the files of a set that are in use and not here yet.
func (s *sharing) takeFiles(ctx context.Context, r *root, l *loaded) {
	used := r.usedDays()
	for i := range l.set.Files {
		f := &l.set.Files[i]
		if !f.Eager && used[f.Path] == "" || s.m.store.has(f.Digest) {
			continue
		}
		if err := s.m.ensureFile(ctx, r.up, l, f); err == nil {
			s.m.repin(r.up, l, f.Digest)
		} else if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
			s.m.config.Log.Warn("cannot get a file that clients of another mirror use", "prefix", r.up.Prefix, "path", f.Path, "error", err)
		}
	}
}
