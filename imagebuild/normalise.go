package imagebuild

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Applied is one thing that a rule did.
type Applied struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	Path   string `json:"path"`
	// Action is "removed", "emptied", "rewritten" or "time set".
	Action string `json:"action"`
}

// maxRewritten bounds the files that rules rewrite.
const maxRewritten = 64 << 20

// timeRule is the one rule about every inode.
var timeRule = distro.Rule{
	Name:   "times",
	Reason: "what is newer than the epoch was made while building, at a time that differs from build to build",
}

// rootRule is about the root directory itself.
var rootRule = distro.Rule{
	Name:   "root-directory",
	Reason: "the root directory has the owner and the mode that whoever unpacks expects, not those of a directory of the builder's",
}

// normalise applies the rules to a tree, in their order, and tells what they
// did, in the order of the paths.
func normalise(ctx context.Context, t *tree.Tree, rules []distro.Rule, epoch time.Time) (*tree.Tree, []Applied, error) {
	var applied []Applied
	note := func(r distro.Rule, n tree.Node, action string) {
		applied = append(applied, Applied{r.Name, r.Reason, n.Path(), action})
	}
	t = tree.Filter(t, func(n tree.Node) bool {
		for _, r := range rules {
			if matchAny(r.Remove, n.Path()) && !matchAny(r.Keep, n.Path()) {
				note(r, n, "removed")
				return false
			}
		}
		return true
	})
	out, err := tree.Map(ctx, t, func(n tree.Node, in tree.Inode) (tree.Inode, error) {
		for _, r := range rules {
			changed, action, err := content(r, n, in, epoch)
			if err != nil {
				return in, fmt.Errorf("rule %s: %s: %w", r.Name, tree.Display(n.Path()), err)
			}
			if action != "" {
				in = changed
				note(r, n, action)
			}
		}
		if n.Path() == "" && (in.Mode.Bits() != 0o755 || in.UID != 0 || in.GID != 0) {
			in.Mode, in.UID, in.GID = tree.Directory|0o755, 0, 0
			note(rootRule, n, "rewritten")
		}
		if at := tree.TimeOf(epoch); in.ModTime.Compare(at) > 0 {
			in.ModTime = at
			note(timeRule, n, "time set")
		}
		return in, nil
	})
	return out, applied, err
}

// content applies what a rule says of a file's content. The action is empty
// where nothing changed.
func content(r distro.Rule, n tree.Node, in tree.Inode, epoch time.Time) (tree.Inode, string, error) {
	if !in.Mode.IsRegular() {
		return in, "", nil
	}
	if in.Size > 0 && matchAny(r.Empty, n.Path()) {
		in.Size, in.Content, in.Digest = 0, nil, tree.Digest{}
		return in, "emptied", nil
	}
	if r.Rewrite == nil || !matchAny(r.Edit, n.Path()) {
		return in, "", nil
	}
	if in.Size > maxRewritten {
		return in, "", fmt.Errorf("it has more than %d bytes", maxRewritten)
	}
	var old []byte
	if in.Content != nil { // as an empty file may have none
		f, err := in.Content.Open()
		if err != nil {
			return in, "", err
		}
		defer f.Close()
		if old, err = io.ReadAll(io.LimitReader(f, maxRewritten+1)); err != nil {
			return in, "", err
		}
	}
	data, err := r.Rewrite(n.Path(), old, epoch)
	if err != nil || bytes.Equal(data, old) {
		return in, "", err
	}
	in.Size, in.Content, in.Digest = int64(len(data)), tree.Bytes(data), tree.Digest{}
	return in, "rewritten", nil
}

// matchAny reports whether a path fits one of the patterns.
func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if Match(p, name) {
			return true
		}
	}
	return false
}

// Match reports whether a pattern fits a path without a leading slash. It is
// one of path.Match, where "**/" at the beginning stands for any directory and
// "/**" at the end for all that is below.
func Match(pattern, name string) bool {
	// Most patterns fit nothing of most trees, which how they begin tells.
	if plain := strings.IndexAny(pattern, "*?[\\"); plain < 0 {
		return pattern == name
	} else if !strings.HasPrefix(name, pattern[:plain]) {
		return false
	}
	if rest, ok := strings.CutPrefix(pattern, "**/"); ok {
		for {
			if Match(rest, name) {
				return true
			}
			_, after, more := strings.Cut(name, "/")
			if !more {
				return false
			}
			name = after
		}
	}
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			if ok, err := path.Match(dir, at); err == nil && ok {
				return true
			}
		}
		return false
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// specRule is what the spec wants removed.
func specRule(patterns []string) distro.Rule {
	r := distro.Rule{Name: "spec", Reason: "the spec says so"}
	for _, p := range patterns {
		r.Remove = append(r.Remove, strings.TrimPrefix(p, "/"))
	}
	return r
}
