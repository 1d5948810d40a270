package arch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/arch/pacman"
)

// Limits on hooks, far above any real ones.
const (
	maxHook  = 1 << 20 // bytes
	maxHooks = 10_000
)

// A hook says what to run after which changes; see alpm-hooks(5).
type hook struct {
	name         string // without the ending
	triggers     []trigger
	when         string
	exec         []string
	depends      []string
	needsTargets bool
}

// A trigger sets off a hook.
type trigger struct {
	onInstall, known bool // of its operations
	kind             string
	targets          []string
}

// runHooks runs the hooks that what was installed sets off, in the order of
// their names.
func (as *assembling) runHooks(ctx context.Context) error {
	if as.Run == nil {
		return nil
	}
	hooks, err := as.readHooks()
	if err != nil {
		return err
	}
	for _, h := range hooks {
		fired, targets := as.fires(h)
		if h.when != "PostTransaction" || !fired {
			continue
		}
		what := "the hook " + h.name
		if d := as.lacking(h); d != "" {
			as.Events.Warning(fmt.Sprintf("%s does not run, as with pacman: it depends on %s", what, d))
			continue
		}
		if as.shell() == "" {
			as.Events.Warning(what + " does not run: there is no shell")
			continue
		}
		var stdin io.Reader
		if h.needsTargets {
			stdin = strings.NewReader(strings.Join(targets, "\n") + "\n")
		}
		as.Events.Stepping("running " + what)
		if err := as.guarded(ctx, what, stdin, h.exec...); err != nil {
			return err
		}
	}
	return nil
}

// readHooks reads all hooks, sorted by name. Of those of one name, that of the
// last directory counts; one that is empty hides others.
func (as *assembling) readHooks() ([]*hook, error) {
	found := map[string]*hook{}
	for _, dir := range slices.Backward(as.hookDirs) {
		names, err := as.Root.ReadDir(dir)
		if err != nil {
			continue // most roots have but one of them
		}
		for _, file := range names {
			name, ok := strings.CutSuffix(file, ".hook")
			if !ok || found[name] != nil {
				continue
			}
			text, err := as.readHook(path.Join(dir, file))
			if err != nil {
				return nil, err
			}
			h, err := parseHook(name, text)
			if err != nil {
				as.Events.Warning(fmt.Sprintf("the hook /%s/%s is left out, as with pacman: %v", dir, file, err))
				h = &hook{name: name}
			}
			if found[name] = h; len(found) > maxHooks {
				return nil, fmt.Errorf("there are more than %d hooks", maxHooks)
			}
		}
	}
	var out []*hook
	for _, h := range found {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *hook) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// readHook reads the file of a hook. A link to /dev/null, which is how one is
// switched off, is as good as empty.
func (as *assembling) readHook(name string) (string, error) {
	if f, err := as.Root.Stat(name); err == nil && f.Link == "/dev/null" {
		return "", nil
	}
	r, err := as.Root.Read(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxHook+1))
	if err == nil && len(data) > maxHook {
		err = fmt.Errorf("the hook /%s has more than %d bytes", name, maxHook)
	}
	return string(data), err
}

func parseHook(name, text string) (*hook, error) {
	h := &hook{name: name}
	section := ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			section = line[1 : len(line)-1]
			if section == "Trigger" {
				h.triggers = append(h.triggers, trigger{})
			}
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		ok := false
		switch section {
		case "Trigger":
			ok = h.triggers[len(h.triggers)-1].set(key, value)
		case "Action":
			ok = h.set(key, value)
		}
		if !ok {
			return nil, fmt.Errorf("line %d: %.80q is not known", number, line)
		}
	}
	return h, h.check()
}

func (t *trigger) set(key, value string) bool {
	switch key {
	case "Operation":
		t.known = true
		t.onInstall = t.onInstall || value == "Install"
		return value == "Install" || value == "Upgrade" || value == "Remove"
	case "Type":
		t.kind = value
		return value == "Package" || value == "File" || value == "Path"
	case "Target":
		t.targets = append(t.targets, value)
		return true
	}
	return false
}

func (h *hook) set(key, value string) bool {
	switch key {
	case "When":
		h.when = value
		return value == "PreTransaction" || value == "PostTransaction"
	case "Exec":
		var ok bool
		h.exec, ok = splitWords(value)
		return ok
	case "Depends":
		h.depends = append(h.depends, value)
	case "NeedsTargets":
		h.needsTargets = true
	case "Description", "AbortOnFail", "NetworkAccess":
	default:
		return false
	}
	return true
}

// check says what a hook lacks. One without triggers does nothing but hide
// others of its name.
func (h *hook) check() error {
	for _, t := range h.triggers {
		if len(t.targets) == 0 || t.kind == "" || !t.known {
			return errors.New("a trigger without targets, type or operation")
		}
	}
	if len(h.triggers) > 0 && (len(h.exec) == 0 || h.when == "") {
		return errors.New("it does not say what to run, or when")
	}
	return nil
}

// splitWords splits a command at blanks, but for quoted ones and those behind
// a backslash.
func splitWords(s string) (words []string, ok bool) {
	var word strings.Builder
	var quote byte
	inside := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(s) && (quote == 0 || s[i+1] == quote || s[i+1] == '\\'):
			i++
			word.WriteByte(s[i])
			inside = true
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, inside = c, true
		case c == ' ' || c == '\t':
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words, quote == 0 && len(words) > 0
}

// fires reports whether what was installed sets a hook off, and the sorted
// targets that do so.
func (as *assembling) fires(h *hook) (bool, []string) {
	var targets []string
	for _, t := range h.triggers {
		if !t.onInstall {
			continue
		}
		for _, p := range as.parcels {
			if t.kind == "Package" {
				if matches(t.targets, p.Name) {
					targets = append(targets, p.Name)
				}
				continue
			}
			for _, name := range p.files {
				if matches(t.targets, name) && !matches(as.noExtract, name) {
					targets = append(targets, name)
				}
			}
		}
	}
	slices.Sort(targets)
	return len(targets) > 0, slices.Compact(targets)
}

// lacking is the first dependency of a hook that no package satisfies.
func (as *assembling) lacking(h *hook) string {
	for _, d := range h.depends {
		if satisfier(as.parcels, pacman.ParseDependency(d)) == nil {
			return d
		}
	}
	return ""
}
