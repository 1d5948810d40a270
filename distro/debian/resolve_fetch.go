package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/decompress"
)

// stock fetches the suites and those that belong to them.
func (r *resolving) stock(ctx context.Context, s *shop) error {
	todo := slices.Clone(r.Suites)
	named := len(todo)
	seen := map[string]bool{}
	for i := 0; i < len(todo); i++ {
		name := todo[i]
		if seen[name] {
			continue
		}
		seen[name] = true
		repo, rel, err := r.find(ctx, s, name)
		if i >= named && errors.Is(err, fs.ErrNotExist) {
			r.Events.Warning(fmt.Sprintf("%s is not to be had, so nothing of it is in the lock: %v", name, err))
			continue
		}
		if err != nil {
			return err
		}
		s.suites = append(s.suites, name)
		if s.sys.id.Version == "-" {
			s.sys.id.Version = r.version(rel)
		}
		s.sys.Config.Repositories = append(s.sys.Config.Repositories, *repo)
		if r.known != nil && !r.OnlySuites && i < named && strings.EqualFold(rel.Origin, r.known.id) {
			todo = append(todo, r.known.companions(rel.Codename)...)
		}
	}
	return r.checkComponents(s)
}

// version is what a system of the suite calls its version: VERSION_ID of its
// os-release, or the code name of what is not released yet.
func (r *resolving) version(rel *archive.Release) string {
	v := rel.Version
	if r.Distro == "debian" {
		v, _, _ = strings.Cut(v, ".") // 13.1 is 13
	}
	for _, name := range []string{word(v), word(rel.Codename), word(rel.Suite)} {
		if name != "" {
			return name
		}
	}
	return "-"
}

func (r *resolving) checkComponents(s *shop) error {
	for _, c := range r.components {
		if !slices.ContainsFunc(s.indexes, func(x *index) bool { return x.component == c }) {
			return distro.BadRequest("%s for %s has no component %s; leave it out of --components", strings.Join(s.suites, ", "), s.arch, c)
		}
	}
	return nil
}

// find fetches a suite from the first place that has it. A place that cannot
// be reached, or whose suite another key signed, is passed by, which is told
// where another place serves; that it does not have the suite counts for all
// places of the same archive.
func (r *resolving) find(ctx context.Context, s *shop, suite string) (*apt.Repository, *archive.Release, error) {
	places := r.mirrors
	if len(places) == 0 {
		places = r.known.mirrors(suite, s.arch, r.Near, !r.Snapshot.IsZero())
		for i, p := range places {
			places[i] = strings.ReplaceAll(p, "{{.Timestamp}}", r.Snapshot.UTC().Format(distro.Stamp))
		}
	}
	var failed error
	for _, base := range places {
		repo, rel, err := r.fetchSuite(ctx, s, base, suite)
		if err == nil {
			if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
				r.Events.Warning(fmt.Sprintf("%v; it is taken from %s", failed, baseURL(repo)))
			}
			return repo, rel, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		// What was there and is wrong says more than what was not there.
		if failed == nil || errors.Is(failed, fs.ErrNotExist) {
			failed = err
		}
		if errors.Is(err, fs.ErrNotExist) && len(r.mirrors) == 0 {
			break
		}
	}
	return nil, nil, failed
}

func (r *resolving) fetchSuite(ctx context.Context, s *shop, base, suite string) (*apt.Repository, *archive.Release, error) {
	repo := &apt.Repository{URI: strings.TrimRight(base, "/") + "/", Suite: suite, Components: r.components, Architectures: []string{s.arch}}
	repo.Mirrors = []string{repo.URI}
	dir := archive.Dir(repo.URI, suite)
	r.Events.Stepping("fetching the Release file of " + describe(repo))
	keep := &recorder{Fetcher: r.Fetcher, got: map[string][]byte{}}
	rel, err := archive.FetchRelease(ctx, keep, dir, r.keys, r.at())
	switch {
	case archive.IsSignature(err):
		return nil, nil, fmt.Errorf("the suite %s at %s is not used: %w; %s", suite, baseURL(repo), err, r.remedy(err))
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, &absentError{fmt.Sprintf("%s has no suite %s%s", baseURL(repo), suite, r.examples())}
	case err != nil && strings.Contains(err.Error(), dir):
		return nil, nil, fmt.Errorf("the suite %s: %w", suite, err)
	case err != nil:
		return nil, nil, fmt.Errorf("the suite %s at %s: %w", suite, baseURL(repo), err)
	}
	if err := r.checkRelease(rel); err != nil {
		return nil, nil, fmt.Errorf("the suite %s at %s is not used: %w", suite, baseURL(repo), err)
	}
	if !slices.Contains(rel.Architectures, s.arch) {
		others := slices.DeleteFunc(slices.Clone(rel.Architectures), func(a string) bool { return a == "all" })
		return nil, nil, &absentError{fmt.Sprintf("%s %s has no packages for %s, but for %s", baseURL(repo), suite, s.arch, strings.Join(others, ", "))}
	}
	for url, data := range keep.got {
		if err := os.WriteFile(s.list(url), data, 0o644); err != nil {
			return nil, nil, err
		}
	}
	return repo, rel, r.fetchIndexes(ctx, s, repo, rel)
}

// An absentError says that a mirror does not have what was asked for.
type absentError struct{ text string }

// Error says what is not there.
func (e *absentError) Error() string { return e.text }

// Is makes it an fs.ErrNotExist.
func (*absentError) Is(target error) bool { return target == fs.ErrNotExist }

// examples names suites that there are, for who mistook one.
func (r *resolving) examples() string {
	switch {
	case !r.Snapshot.IsZero():
		return " of that time"
	case r.known != nil && len(r.known.suites) > 0:
		return fmt.Sprintf("; those of %s are such as %s", r.known.id, strings.Join(r.known.suites, ", "))
	}
	return ""
}

// list is the file in which apt keeps what it got from a URL.
func (s *shop) list(url string) string {
	return filepath.Join(s.root, s.sys.Config.ListsDir, apt.ListsName(url))
}

// checkRelease refuses a state that is too old, or not that of the snapshot.
func (r *resolving) checkRelease(rel *archive.Release) error {
	if r.Snapshot.IsZero() {
		if !rel.ValidUntil.IsZero() && r.Now.After(rel.ValidUntil) {
			return fmt.Errorf("it was valid until %s only; try another mirror, or --snapshot for an old state", stamp(rel.ValidUntil))
		}
		return nil
	}
	if rel.Date.After(r.Snapshot) {
		return fmt.Errorf("it is of %s, after the time of the snapshot", stamp(rel.Date))
	}
	return nil
}

// remedy says what a person can do about a signature.
func (r *resolving) remedy(err error) string {
	switch {
	case errors.Is(err, archive.ErrUnknownKey) && len(r.Keyrings) > 0:
		return "name the archive's keyring with --keyring"
	case errors.Is(err, archive.ErrUnknownKey):
		return "its key is not among those built in; name the archive's keyring with --keyring"
	case errors.Is(err, archive.ErrKeyExpired):
		return "name a newer keyring with --keyring, or the time to resolve for with --snapshot"
	}
	return "try another mirror with --mirror"
}

func (r *resolving) fetchIndexes(ctx context.Context, s *shop, repo *apt.Repository, rel *archive.Release) error {
	for _, component := range repo.Components {
		for _, arch := range architectures(repo, rel) {
			name := archive.PackagesPath(component, arch)
			if _, listed := rel.Files[name]; !listed {
				continue // a suite need not have each component
			}
			r.Events.Stepping(fmt.Sprintf("fetching the index %s of %s", name, describe(repo)))
			records, err := r.fetchIndex(ctx, s, repo, rel, name)
			if err != nil {
				return fmt.Errorf("the index %s of %s: %w", name, describe(repo), err)
			}
			s.indexes = append(s.indexes, &index{repo: repo, release: rel, archive: archiveOf(repo, rel), component: component, arch: arch, records: records})
		}
	}
	return nil
}

// slowIndex is how large an uncompressed index is, in bytes, that takes long to
// read. That of Debian's main has 50 MB.
const slowIndex = 8 << 20

// fetchIndex gets an index, verifies it, and leaves it where apt looks for it,
// uncompressed: apt would unpack it from the begin for each record.
func (r *resolving) fetchIndex(ctx context.Context, s *shop, repo *apt.Repository, rel *archive.Release, name string) (records []archive.Record, err error) {
	dir := archive.Dir(repo.URI, repo.Suite)
	missing := error(fs.ErrNotExist)
	for _, ending := range []string{".xz", ".zst", ".bz2", ".gz", ""} {
		file, listed := rel.Files[name+ending]
		if !listed {
			continue
		}
		urls := []string{dir + name + ending}
		if rel.ByHash {
			urls = append([]string{dir + path.Dir(name) + "/by-hash/SHA256/" + file.Digest.String()}, urls...)
		}
		body, err := r.Fetcher.Blob(ctx, file.Digest, file.Size, urls...)
		if errors.Is(err, fs.ErrNotExist) && ending != "" {
			missing = err
			continue // Release files list forms that are not kept
		}
		if err != nil {
			return nil, err
		}
		defer body.Close()
		if rel.Files[name].Size >= slowIndex {
			r.Events.Stepping(fmt.Sprintf("reading the index %s of %s", name, describe(repo)))
		}
		plain, err := decompress.Open(ending, body)
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		list, err := os.Create(s.list(dir + name))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, list.Close()) }()
		return archive.ReadPackages(io.TeeReader(plain, list), rel.Files[name], func([]byte) bool { return true })
	}
	return nil, missing
}

// A recorder keeps what passes through a fetcher's Get.
type recorder struct {
	distro.Fetcher
	got map[string][]byte // by URL
}

// Get implements [distro.Fetcher].
func (r *recorder) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	body, err := r.Fetcher.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, archive.MaxRelease+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	r.got[url] = data
	return io.NopCloser(bytes.NewReader(data)), nil
}
