package pacman

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
)

// Limits on a configuration.
const (
	maxNesting = 10      // of includes, as pacman has it
	maxFiles   = 1000    // in all
	maxConfig  = 4 << 20 // bytes of one file
)

// ParseConfig reads the configuration file of the given name and what it
// includes. read returns a file's bytes and glob the sorted paths that match a
// pattern; both are given paths as the configuration has them. Options that
// are not known are passed over, and so are patterns that match nothing; what
// is wrong is an error with file and line.
func ParseConfig(read func(path string) ([]byte, error), glob func(pattern string) ([]string, error), name string) (*Config, error) {
	p := configParser{read: read, glob: glob}
	if err := p.file(name, 0); err != nil {
		return nil, err
	}
	return p.finish()
}

// A configParser holds what was read so far.
type configParser struct {
	config  Config
	read    func(string) ([]byte, error)
	glob    func(string) ([]string, error)
	section string // "" before the first
	files   int
	// The words of SigLevel lines are applied at the end: those of a
	// repository change what [options] has, wherever that stands.
	global, local, remote words
	repo                  []words // as config.Repositories
}

// words are those of the SigLevel lines of one section.
type words struct {
	list  []string
	where string // of the last line
}

// An atError is an error that names its file and line.
type atError struct {
	where string
	err   error
}

func (e *atError) Error() string { return e.where + ": " + e.err.Error() }
func (e *atError) Unwrap() error { return e.err }

func (p *configParser) file(name string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("files include each other more than %d deep", maxNesting)
	}
	if p.files++; p.files > maxFiles {
		return fmt.Errorf("more than %d files are included", maxFiles)
	}
	data, err := p.read(name)
	if err != nil {
		return err
	}
	if len(data) > maxConfig {
		return fmt.Errorf("%s is longer than %d bytes", name, maxConfig)
	}
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s:%d", name, n)
		err := p.line(line, where, depth)
		if inner := (*atError)(nil); errors.As(err, &inner) {
			return err
		}
		if err != nil {
			return &atError{where, err}
		}
	}
	return nil
}

// line takes a line that is neither blank nor a comment. A comment after a
// value is a part of the value, as it is for pacman.
func (p *configParser) line(line, where string, depth int) error {
	if line[0] == '[' && line[len(line)-1] == ']' {
		return p.open(line[1 : len(line)-1])
	}
	if p.section == "" {
		return errors.New("it stands before the first section: put it below [options] or a repository")
	}
	key, value, _ := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if key == "Include" {
		return p.include(value, depth)
	}
	if p.section == "options" {
		p.option(key, value, where)
		return nil
	}
	return p.directive(key, value, where)
}

// open begins a section. A repository that is there twice goes on.
func (p *configParser) open(name string) error {
	if name == "" {
		return errors.New("a section has no name")
	}
	p.section = name
	if name == "options" || p.index(name) >= 0 {
		return nil
	}
	if !plain(name) || name[0] == '.' {
		return fmt.Errorf("%q is no name for a repository", name)
	}
	p.config.Repositories = append(p.config.Repositories, Repository{Name: name})
	p.repo = append(p.repo, words{})
	return nil
}

func (p *configParser) index(name string) int {
	for i, r := range p.config.Repositories {
		if r.Name == name {
			return i
		}
	}
	return -1
}

func (p *configParser) include(pattern string, depth int) error {
	if pattern == "" {
		return errors.New("no path follows Include")
	}
	names := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		var err error
		if names, err = p.glob(pattern); err != nil {
			return fmt.Errorf("%s: %w", pattern, err)
		}
	}
	for _, name := range names {
		if err := p.file(name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// option takes a line of [options].
func (p *configParser) option(key, value, where string) {
	c := &p.config
	fields := strings.Fields(value)
	switch key {
	case "Architecture":
		c.Architectures = append(c.Architectures, fields...)
	case "RootDir":
		c.RootDir = cmp.Or(c.RootDir, value)
	case "DBPath":
		c.DBPath = cmp.Or(c.DBPath, value)
	case "GPGDir":
		c.GPGDir = cmp.Or(c.GPGDir, value)
	case "CacheDir":
		c.CacheDirs = append(c.CacheDirs, fields...)
	case "IgnorePkg":
		c.IgnorePkg = append(c.IgnorePkg, fields...)
	case "IgnoreGroup":
		c.IgnoreGroup = append(c.IgnoreGroup, fields...)
	case "HoldPkg":
		c.HoldPkg = append(c.HoldPkg, fields...)
	case "SigLevel":
		p.global.add(fields, where)
	case "LocalFileSigLevel":
		p.local.add(fields, where)
	case "RemoteFileSigLevel":
		p.remote.add(fields, where)
	}
}

func (w *words) add(fields []string, where string) {
	w.list = append(w.list, fields...)
	w.where = where
}

// directive takes a line of a repository.
func (p *configParser) directive(key, value, where string) error {
	i := p.index(p.section)
	r := &p.config.Repositories[i]
	switch key {
	case "Server", "CacheServer":
		if value == "" {
			return fmt.Errorf("%s needs a URL", key)
		}
		if key == "Server" {
			r.Servers = append(r.Servers, value)
		} else {
			r.CacheServers = append(r.CacheServers, value)
		}
	case "SigLevel":
		p.repo[i].add(strings.Fields(value), where)
	case "Usage":
		for _, w := range strings.Fields(value) {
			u, ok := usages[w]
			if !ok {
				return fmt.Errorf("%q is not known to Usage", w)
			}
			r.Usage |= u
		}
	}
	return nil
}

var usages = map[string]Usage{
	"Sync": UsageSync, "Search": UsageSearch, "Install": UsageInstall, "Upgrade": UsageUpgrade, "All": UsageAll,
}

// finish gives what was not configured its default.
func (p *configParser) finish() (*Config, error) {
	c := &p.config
	c.DBPath = cmp.Or(c.DBPath, path.Join("/", c.RootDir, "var/lib/pacman")+"/")
	c.RootDir = cmp.Or(c.RootDir, "/")
	c.GPGDir = cmp.Or(c.GPGDir, "/etc/pacman.d/gnupg/")
	if len(c.CacheDirs) == 0 {
		c.CacheDirs = []string{"/var/cache/pacman/pkg/"}
	}
	var err error
	if c.SigLevel, err = p.global.over(DefaultSigLevel); err != nil {
		return nil, err
	}
	if c.LocalFileSigLevel, err = p.local.over(c.SigLevel); err != nil {
		return nil, err
	}
	if c.RemoteFileSigLevel, err = p.remote.over(c.SigLevel); err != nil {
		return nil, err
	}
	for i := range c.Repositories {
		r := &c.Repositories[i]
		if r.Usage == 0 {
			r.Usage = UsageAll
		}
		if r.SigLevel, err = p.repo[i].over(c.SigLevel); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (w *words) over(base SigLevel) (SigLevel, error) {
	l, err := base.with(w.list)
	if err != nil {
		return l, &atError{w.where, err}
	}
	return l, nil
}
