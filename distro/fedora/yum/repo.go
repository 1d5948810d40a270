package yum

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Repo is a repository as its file configures it, with all variables
// replaced.
type Repo struct {
	ID, Name string
	// BaseURLs, Metalink and MirrorList tell where it is; each may be empty.
	BaseURLs             []string
	Metalink, MirrorList string
	Enabled              bool
	// GPGCheck asks for signed packages, RepoGPGCheck for a signed repomd.xml.
	GPGCheck, RepoGPGCheck bool
	// GPGKeys are the URLs (mostly file:) of the keys that may sign.
	GPGKeys []string
	// Cost and Priority tell which of two repositories is asked first: the
	// lower. dnf's defaults are 1000 and 99.
	Cost, Priority int
	// Excludes and Includes are patterns of packages; with Includes, no others
	// are taken.
	Excludes, Includes []string
	// ModuleHotfixes lets packages replace those of modules.
	ModuleHotfixes bool
	// SkipIfUnavailable lets dnf go on without it.
	SkipIfUnavailable bool
	// File and Line tell where it is configured.
	File string
	Line int
}

// A Main is what the section [main] of dnf.conf or yum.conf sets for all
// repositories.
type Main struct {
	// GPGCheck and RepoGPGCheck hold for repositories that do not say.
	GPGCheck, RepoGPGCheck bool
	// SkipIfUnavailable holds for repositories that do not say.
	SkipIfUnavailable bool
	// Excludes are patterns of packages of any repository.
	Excludes []string
	// ReposDirs are where repository files lie; empty for the usual places.
	ReposDirs []string
	// VarsDirs are where files of variables lie; empty for the usual places.
	VarsDirs []string
	// CacheDir is where metadata and packages are kept; empty for the usual.
	CacheDir string
	// ModulePlatformID is such as "platform:f35"; mostly empty.
	ModulePlatformID string
	// Best is whether only the newest version of a package will do.
	Best bool
}

// ParseMain reads dnf.conf or yum.conf; name is for errors. What it does not
// set is as dnf has it where no file exists.
func ParseMain(name string, data []byte, vars Vars) (Main, error) {
	sections, err := parseINI(name, data)
	if err != nil {
		return Main{}, err
	}
	var m Main
	for _, s := range sections {
		if s.name != "main" {
			continue
		}
		r := reader{file: name, section: s, vars: vars}
		m = Main{
			GPGCheck: r.boolean(false, "gpgcheck", "pkg_gpgcheck"), RepoGPGCheck: r.boolean(false, "repo_gpgcheck"),
			SkipIfUnavailable: r.boolean(false, "skip_if_unavailable"),
			Excludes:          r.list("excludepkgs", "exclude"), ReposDirs: r.list("reposdir"), VarsDirs: r.list("varsdir"),
			CacheDir: r.text("cachedir"), ModulePlatformID: r.text("module_platform_id"), Best: r.boolean(false, "best"),
		}
		if r.err != nil {
			return Main{}, r.err
		}
	}
	return m, nil
}

// ParseRepos reads a repository file with the defaults of an empty dnf.conf.
// See [Main.ParseRepos].
func ParseRepos(name string, data []byte, vars Vars) ([]Repo, error) {
	return Main{}.ParseRepos(name, data, vars)
}

// ParseRepos reads a file such as those below etc/yum.repos.d: all its
// sections but [main], in their order. name is for errors, which begin with
// "file:line:", and for Repo.File. Keys that it does not know are passed over.
func (m Main) ParseRepos(name string, data []byte, vars Vars) ([]Repo, error) {
	sections, err := parseINI(name, data)
	if err != nil {
		return nil, err
	}
	var out []Repo
	for _, s := range sections {
		if s.name == "main" {
			continue
		}
		r := reader{file: name, section: s, vars: vars}
		repo := Repo{
			ID: vars.Expand(s.name), Name: r.text("name"),
			BaseURLs: r.list("baseurl"), Metalink: r.text("metalink"), MirrorList: r.text("mirrorlist"),
			Enabled:  r.boolean(true, "enabled"),
			GPGCheck: r.boolean(m.GPGCheck, "gpgcheck", "pkg_gpgcheck"), RepoGPGCheck: r.boolean(m.RepoGPGCheck, "repo_gpgcheck"),
			GPGKeys: r.list("gpgkey"), Cost: r.integer(1000, "cost"), Priority: r.integer(99, "priority"),
			Excludes: r.list("excludepkgs", "exclude"), Includes: r.list("includepkgs"),
			ModuleHotfixes:    r.boolean(false, "module_hotfixes"),
			SkipIfUnavailable: r.boolean(m.SkipIfUnavailable, "skip_if_unavailable"),
			File:              name, Line: s.line,
		}
		if err := checkID(repo.ID); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, s.line, err)
		}
		if r.err != nil {
			return nil, r.err
		}
		repo.Name = cmp.Or(repo.Name, repo.ID)
		out = append(out, repo)
	}
	return out, nil
}

// checkID holds a repository's name to what dnf takes.
func checkID(id string) error {
	if strings.Trim(id, nameBytes+"-.:") != "" || id == "" || id == "." || id == ".." {
		return fmt.Errorf("[%s] cannot be the name of a repository: letters, digits and -_.: can", clip(id))
	}
	return nil
}

// A reader takes the values of a section and remembers the first error.
type reader struct {
	file    string
	section section
	vars    Vars
	err     error
}

func (r *reader) get(keys ...string) (value, bool) {
	for _, k := range keys {
		if v, ok := r.section.values[k]; ok {
			return value{r.vars.Expand(unquote(v.text)), v.line}, true
		}
	}
	return value{}, false
}

// unquote takes off the quotes that a whole value may stand in.
func unquote(s string) string {
	if n := len(s); n > 1 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}

func (r *reader) text(keys ...string) string {
	v, _ := r.get(keys...)
	return v.text
}

// list splits at white space and commas, as dnf does. An empty list is nil.
func (r *reader) list(keys ...string) []string {
	text := r.text(keys...)
	if text == "" {
		return nil
	}
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t\n,", c) })
}

func (r *reader) boolean(otherwise bool, keys ...string) bool {
	v, ok := r.get(keys...)
	if !ok || v.text == "" {
		return otherwise
	}
	switch strings.ToLower(v.text) {
	case "1", "yes", "true", "on", "enabled":
		return true
	case "0", "no", "false", "off", "disabled":
		return false
	}
	r.fail(v, "%q is neither 1 nor 0 (nor yes, no, true, false, on, off)", clip(v.text))
	return otherwise
}

func (r *reader) integer(otherwise int, keys ...string) int {
	v, ok := r.get(keys...)
	if !ok || v.text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err != nil {
		r.fail(v, "%q is not a number", clip(v.text))
		return otherwise
	}
	return int(n)
}

func (r *reader) fail(v value, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s:%d: [%s] %s", r.file, v.line, r.section.name, fmt.Sprintf(format, args...))
	}
}

// Excluded reports whether the patterns of the repository keep a package out.
// Patterns are those of a shell, against the name or against
// name-version-release.arch, name.arch and name-version.
func (r Repo) Excluded(name, version, release, arch string) bool {
	matches := func(pattern string) bool {
		for _, s := range []string{name, name + "." + arch, name + "-" + version + "-" + release + "." + arch, name + "-" + version + "-" + release, name + "-" + version} {
			if ok, err := path.Match(pattern, s); ok && err == nil {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(r.Excludes, matches) || len(r.Includes) > 0 && !slices.ContainsFunc(r.Includes, matches)
}
