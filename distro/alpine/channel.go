package alpine

import (
	"encoding/hex"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// A channel is one repository of the root together with its index.
//
// What it is called in locks follows from who signs it and where it lies. An
// index that one of Alpine's release keys signs, of a repository whose URL
// ends as on all of Alpine's mirrors, in branch and repository
// ("v3.19/main"), is part of the archive "Alpine", and the path of a package
// is branch/repository/architecture/file. Any other repository is an archive
// of its own, named by host and path, whose URL the lock carries; the path of
// a package there is architecture/file. That goes for local repositories too,
// such as the one on Alpine's ISO, whose URL begins with "file:".
type channel struct {
	repo    apk.Repository
	index   *apk.Index
	archive lockfile.Archive
	// prefix is what the paths of the channel begin with in the archive.
	prefix string
	date   time.Time // newest build time that the index tells
}

// branchURL is the URL of a repository of Alpine's own on any mirror: what
// comes before, the branch, and the repository.
var branchURL = regexp.MustCompile(`^([a-z][a-z0-9+]*://.+)/(edge|v[0-9]+\.[0-9]+|latest-stable)/([a-z][a-z0-9_-]*)$`)

// signedBranch is what the index of a branch says of itself: "v3.19.1-643-g…".
var signedBranch = regexp.MustCompile(`^(v[0-9]+\.[0-9]+)\.[0-9]+-`)

// place splits the URL of a repository of Alpine's own. ok is false where the
// URL has another form.
func place(base string) (mirror, branch, name string, ok bool) {
	m := branchURL.FindStringSubmatch(base)
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}

// newChannel names the archive of a repository by its index.
func newChannel(repo apk.Repository, index *apk.Index, keys *keyring) *channel {
	c := &channel{repo: repo, index: index}
	for i := range index.Records {
		if t := index.Records[i].BuildTime; t.After(c.date) {
			c.date = t
		}
	}
	base := repositoryURL(repo)
	_, branch, name, ok := place(base)
	if ok && keys.isAlpine(index.Signer) {
		// "latest-stable" is another branch every half year.
		if m := signedBranch.FindStringSubmatch(index.Description); branch == "latest-stable" && m != nil {
			branch = m[1]
		}
		c.prefix = branch + "/" + name
		c.archive = lockfile.Archive{Name: knownArchive}
		return c
	}
	c.archive = lockfile.Archive{Name: ownName(base), URL: withoutLogin(base)}
	return c
}

// repositoryURL returns the URL of a repository, without a slash at its end.
// One that is a path in the root is a "file:" URL.
func repositoryURL(repo apk.Repository) string {
	base := strings.TrimRight(repo.Base, "/")
	if strings.HasPrefix(base, "/") || base == "" {
		return (&url.URL{Scheme: "file", Path: path.Clean("/" + base)}).String()
	}
	return base
}

// localDir returns the directory below the root of a repository that lies in
// it.
func localDir(base string) (dir string, ok bool) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return strings.TrimPrefix(path.Clean("/"+u.Path), "/"), true
}

func withoutLogin(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.User == nil {
		return base
	}
	u.User = nil
	return u.String()
}

// ownName names an archive that is not generally known by host and path.
func ownName(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return lockfile.ArchiveName(base, "")
	}
	var words []string
	for _, w := range append([]string{strings.ToLower(u.Host)}, strings.Split(u.Path, "/")...) {
		if w != "" {
			words = append(words, lockfile.ArchiveName(w, ""))
		}
	}
	if len(words) < 2 {
		words = append(words, "repository") // never the name of the known one
	}
	return strings.Join(words, "/")
}

// describe names the channel's repository for a person.
func describe(repo apk.Repository) string {
	name := withoutLogin(repositoryURL(repo))
	if dir, ok := localDir(name); ok {
		name = "/" + dir
	}
	if repo.Tag != "" {
		name = "@" + strings.TrimPrefix(repo.Tag, "@") + " " + name
	}
	return name
}

// short names the channel for a person who knows where it lies.
func (c *channel) short() string {
	if c.prefix != "" {
		return c.prefix
	}
	return c.archive.Name
}

// path returns where the record's file lies below the archive's root.
func (c *channel) path(r apk.Record, arch string) string {
	return path.Join(c.prefix, c.packagePath(r, arch))
}

// url returns where the record's file is.
func (c *channel) url(r apk.Record, arch string) string {
	return joinURL(repositoryURL(c.repo), c.packagePath(r, arch))
}

// joinURL appends a path to a URL, escaping what a URL could not have.
func joinURL(base, name string) string {
	u := url.URL{Path: "/" + name}
	return strings.TrimRight(base, "/") + u.EscapedPath()
}

// packagePath returns where a package lies below its repository: with those of
// its own architecture, unless the index says otherwise.
func (c *channel) packagePath(r apk.Record, arch string) string {
	if c.index.PackagePath != "" {
		if name := expand(c.index.PackagePath, r); lockfile.CheckPath(name) == nil {
			return name
		}
	}
	if c.repo.Direct {
		return fileName(r)
	}
	if r.Arch != "" && lockfile.CheckPath(r.Arch) == nil {
		arch = r.Arch
	}
	return arch + "/" + fileName(r)
}

func fileName(r apk.Record) string { return r.Name + "-" + r.Version + suffix }

// field is a field of a record in the form of a package's path, with the most
// characters that it may have.
var field = regexp.MustCompile(`\$\{(name|version|arch|hash)(?::([0-9]{1,3}))?\}`)

// expand makes the path of a package of the form that its index has.
func expand(form string, r apk.Record) string {
	return field.ReplaceAllStringFunc(form, func(f string) string {
		m := field.FindStringSubmatch(f)
		value := map[string]string{"name": r.Name, "version": r.Version, "arch": r.Arch, "hash": hex.EncodeToString(r.Identity)}[m[1]]
		if m[2] != "" {
			n := 0
			for _, d := range m[2] {
				n = n*10 + int(d-'0')
			}
			value = value[:min(n, len(value))]
		}
		return value
	})
}

// Access tells what the list of repositories says of the network.
func (s *System) Access() distro.Access {
	var access distro.Access
	seen := map[distro.Mirror]bool{}
	for _, repo := range s.Repositories {
		base := repositoryURL(repo)
		if dir, ok := localDir(base); ok {
			base = (&url.URL{Scheme: "file", Path: "/" + dir}).String()
		}
		m := distro.Mirror{URL: base}
		if mirror, _, _, ok := place(base); ok {
			m = distro.Mirror{Archive: knownArchive, URL: mirror}
		}
		if !seen[m] && strings.Contains(m.URL, ":") {
			seen[m] = true
			access.Mirrors = append(access.Mirrors, m)
		}
	}
	return access
}
