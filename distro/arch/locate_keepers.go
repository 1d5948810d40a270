package arch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// keepers are the archives to ask for what the repositories have dropped.
func keepers(req distro.LocateRequest) []distro.Mirror {
	if len(req.Keepers) > 0 {
		return req.Keepers
	}
	var out []distro.Mirror
	for _, m := range (Distro{}).Traits().Mirrors {
		if m.Keeper {
			out = append(out, m)
		}
	}
	return out
}

// keeperURLs returns where a keeper has the file of a package: by its template
// or, below a base, by the layout of Arch's archive.
func keeperURLs(m distro.Mirror, name, file string) []string {
	folder := "packages/" + name[:1] + "/" + name + "/"
	return expandMirror(m, folder+file)
}

// expandMirror returns the URL of a path on a mirror; none where its template
// has fields that only a lock can fill.
func expandMirror(m distro.Mirror, file string) []string {
	elements := strings.Split(file, "/")
	for i := range elements {
		elements[i] = escape(elements[i])
	}
	if !strings.Contains(m.URL, "{{") {
		return []string{strings.TrimRight(m.URL, "/") + "/" + strings.Join(elements, "/")}
	}
	u := strings.NewReplacer("{{.Path}}", strings.Join(elements, "/"), "{{.Basename}}", elements[len(elements)-1]).Replace(m.URL)
	if strings.Contains(u, "{{") {
		return nil
	}
	return []string{u}
}

// sinceZst is when Arch Linux began to compress packages with zstd; before,
// it was xz.
var sinceZst = time.Date(2019, 12, 27, 0, 0, 0, 0, time.UTC)

// files lists what the file of a package may be called, the likeliest first.
func (l *locating) filesOf(p distro.Package) []string {
	endings := []string{".zst", ".xz", ".gz"}
	if b := l.built[p]; !b.IsZero() && b.Before(sinceZst) {
		endings = []string{".xz", ".zst", ".gz"}
	}
	for i, e := range endings {
		endings[i] = p.Name + "-" + p.Version + "-" + p.Arch + ".pkg.tar" + e
	}
	return endings
}

// inKeepers asks archives that keep everything for what is left: first for
// the signature, then for the file, which counts if the signature is one over
// it by a trusted key.
func (l *locating) inKeepers(ctx context.Context) error {
	if l.catalog.keys == nil {
		return nil // nothing there could be judged
	}
	all := keepers(l.req)
	results := make([]*located, len(l.left))
	reasons := make([]distro.Reason, len(l.left))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	if len(l.left) > 0 {
		l.s.events.Stepping(fmt.Sprintf("asking archives of old packages for %d that the repositories have dropped", len(l.left)))
	}
	for i, p := range l.left {
		group.Go(func() error {
			var err error
			results[i], err = l.kept(ctx, all, p)
			switch {
			case err == nil:
			case errors.Is(err, fs.ErrNotExist):
				reasons[i].Kind = "the archives of old packages do not have it"
			default:
				reasons[i] = distro.Reason{Kind: "the archives of old packages could not give it", Detail: err.Error()}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	found := map[distro.Package]located{}
	for i, p := range l.left {
		if results[i] != nil {
			found[p] = *results[i]
			continue
		}
		r := l.reason(p)
		r.Kind += "; " + reasons[i].Kind
		if reasons[i].Detail != "" {
			r.Detail = strings.TrimPrefix(r.Detail+"; "+reasons[i].Detail, "; ")
		}
		l.reasons[p] = r
	}
	l.take(found)
	return nil
}

// kept asks the keepers for one package. The error wraps fs.ErrNotExist where
// all of them answered that they do not have it.
func (l *locating) kept(ctx context.Context, all []distro.Mirror, p distro.Package) (*located, error) {
	var failed error
	for _, m := range all {
		for _, file := range l.filesOf(p) {
			for _, u := range keeperURLs(m, p.Name, file) {
				signature, err := l.s.get(ctx, l.req.Fetcher, u+".sig", maxSignature)
				if err == nil {
					var f *located
					if f, err = l.keptFile(ctx, p, file, u, signature); err == nil {
						return f, nil
					}
				}
				if !errors.Is(err, fs.ErrNotExist) {
					failed = err
				}
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, fs.ErrNotExist
}

// keptFile finds out the digest of a keeper's file.
func (l *locating) keptFile(ctx context.Context, p distro.Package, file, url string, signature []byte) (*located, error) {
	if _, err := l.catalog.keys.Inspect(signature); err != nil {
		return nil, fmt.Errorf("its signature is refused: %w", err)
	}
	c := &claim{keys: l.catalog.keys, signature: signature, want: p, built: l.built[p]}
	d, err := l.req.Identifier.Identify(ctx, distro.Unhashed{
		Identity: "arch/" + file + "/" + lockfile.DigestOf(signature).String(), Size: -1, URLs: []string{url}, Check: c.check,
	})
	if err != nil {
		return nil, err
	}
	h := l.likelyHome(p, true)
	found := &located{entry: lockfile.Entry{Digest: d, Path: h.path(file), Archive: h.archive}, built: l.built[p]}
	if c.found != nil {
		found.built = c.found.BuildDate
	}
	return found, nil
}

// offered says what the databases have in place of a package.
func (l *locating) offered(p distro.Package) distro.Reason {
	var offers []string
	for _, d := range l.catalog.databases {
		for _, q := range d.packages {
			if q.Name == p.Name && (q.Arch == p.Arch || q.Arch == "any" || p.Arch == "any") {
				offers = append(offers, fmt.Sprintf("%s offers %s", d.repo.Name, q.Version))
			}
		}
	}
	switch {
	case len(offers) > 0:
		return distro.Reason{Kind: "the repositories offer other versions now", Detail: strings.Join(offers, ", ")}
	case len(l.catalog.databases) == 0:
		return distro.Reason{Kind: "no database of a repository could be read"}
	case len(l.catalog.unused) > 0:
		return distro.Reason{Kind: "no database that could be read has this name"}
	}
	return distro.Reason{Kind: "no configured repository has this name; it may have been built by hand or come from the AUR"}
}

// reason says why a package could not be located.
func (l *locating) reason(p distro.Package) distro.Reason {
	if r, ok := l.reasons[p]; ok {
		return r
	}
	return l.offered(p)
}

// hints says what would help to find what is left.
func (l *locating) hints() []string {
	var out []string
	switch {
	case l.catalog.absent && l.req.Fetcher == nil:
		out = append(out, "some databases of repositories are absent: run without --offline to have them fetched, or pacman -Sy first")
	case l.catalog.absent, len(l.catalog.unused) > 0:
		out = append(out, "some databases could not be used: run pacman -Sy, or with --update to have them fetched")
	}
	switch {
	case l.req.Fetcher == nil:
		out = append(out, "versions that repositories have dropped are in the Arch Linux Archive: run without --offline")
	case !l.req.Snapshots:
		out = append(out, "versions that repositories have dropped are in the Arch Linux Archive: run without --no-snapshot")
	case l.catalog.keys == nil:
		out = append(out, "what the Arch Linux Archive has is judged by its signature, and the root has no keys: install archlinux-keyring")
	}
	if len(l.s.Config.CacheDirs) > 0 {
		dir := strings.Trim(l.s.Config.CacheDirs[0], "/")
		out = append(out, fmt.Sprintf("a package file of the installed version, with its .sig, is found in /%s, and in a directory that --packages names", dir))
	}
	return out
}
