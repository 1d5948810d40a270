package alpine

import (
	"context"
	"errors"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// gone finds an installed package that no index has any more, or has rebuilt:
// in the caches and directories at hand, then at archives that keep old
// packages.
func (l *locating) gone(ctx context.Context, p distro.Package, have apk.Record) (located, bool) {
	e := l.guess(p, have)
	urls := slices.Concat(l.shelf.named(have), l.shelf.of(have))
	if l.req.Snapshots && l.req.Fetcher != nil {
		urls = append(urls, l.keepers(e)...)
	}
	// Without places to look at, the identifier may know of the file still.
	want := distro.Unhashed{Identity: identityOf(have), Size: -1, URLs: unique(urls)}
	want.Check = func(r reader) error { return checkSigned(r, have, l.catalog.keys.Keys) }
	digest, err := l.identifier.Identify(ctx, want)
	var sig *apk.SignatureError
	if errors.As(err, &sig) && !errors.Is(err, apk.ErrBadSignature) {
		// It is what was installed, but nothing that is trusted says so.
		e.Unsigned = true
		want.Check = func(r reader) error { return apk.CheckPackage(r, have, nil) }
		digest, err = l.identifier.Identify(ctx, want)
	}
	if err != nil {
		return located{}, false
	}
	e.Digest = digest
	return located{e, have.BuildTime}, true
}

// checkSigned reads a whole package, which must have the identity that the
// record tells and be signed by one of keys.
func checkSigned(r reader, want apk.Record, keys *apk.Keys) error {
	pr, pw := io.Pipe()
	identity := make(chan error, 1)
	go func() {
		err := apk.CheckPackage(pr, want, nil)
		_, drained := io.Copy(io.Discard, pr) // else the writer would wait for ever
		identity <- errors.Join(err, drained)
	}()
	signed := want
	signed.Identity = nil
	tee := io.TeeReader(r, pw)
	err := apk.CheckPackage(tee, signed, keys)
	if _, rest := io.Copy(io.Discard, tee); rest != nil {
		err = errors.Join(err, rest)
	}
	pw.Close()
	if other := <-identity; other != nil {
		return other // what has another identity is not the file, signed or not
	}
	return err
}

// keepers returns where archives that keep old packages may have the file.
func (l *locating) keepers(e lockfile.Entry) []string {
	list := l.req.Keepers
	if len(list) == 0 {
		for _, m := range (Distro{}).Traits().Mirrors {
			if m.Keeper {
				list = append(list, m)
			}
		}
	}
	var urls []string
	for _, m := range list {
		if m.Archive != "" && m.Archive != e.Archive.Name {
			continue
		}
		if !strings.Contains(m.URL, "{{") {
			urls = append(urls, joinURL(m.URL, e.Path))
			continue
		}
		escaped := func(s string) string { return (&url.URL{Path: "/" + s}).EscapedPath()[1:] }
		u := strings.NewReplacer("{{.Path}}", escaped(e.Path), "{{.Basename}}", escaped(path.Base(e.Path))).Replace(m.URL)
		if !strings.Contains(u, "{{") {
			urls = append(urls, u)
		}
	}
	return urls
}

// branchOf finds the branch in the version of an Alpine system.
var branchOf = regexp.MustCompile(`^([0-9]+\.[0-9]+)(\.|$)`)

// guess makes the entry of a package that no index has. Where an index has it
// at another version, or another package of the same origin, it is taken to
// have been there; else in the first of the repositories. A wrong guess does
// no harm: the digest says which file is meant.
func (l *locating) guess(p distro.Package, have apk.Record) lockfile.Entry {
	arch := l.s.id.Arch
	if all := l.sightings[p.Name]; len(all) > 0 {
		c := all[0].channel
		return lockfile.Entry{Path: c.path(have, arch), Archive: c.archive}
	}
	var best *sighting
	for _, c := range l.catalog.channels {
		for _, r := range c.index.Records {
			if have.Origin != "" && r.Origin == have.Origin {
				if a := (sighting{c, r}); best == nil || l.compare(a, *best) < 0 {
					best = &a
				}
			}
		}
	}
	if best != nil {
		return lockfile.Entry{Path: best.channel.path(have, arch), Archive: best.channel.archive}
	}
	branch := "edge"
	if m := branchOf.FindStringSubmatch(l.s.id.Version); m != nil {
		branch = "v" + m[1]
	}
	for i, repo := range l.s.Repositories {
		base := repositoryURL(repo)
		_, b, _, ok := place(base)
		if ok && b != "latest-stable" {
			branch = b
			break
		}
		if !ok && i == len(l.s.Repositories)-1 {
			return lockfile.Entry{Path: arch + "/" + fileName(have), Archive: lockfile.Archive{Name: ownName(base), URL: withoutLogin(base)}}
		}
	}
	return lockfile.Entry{Path: path.Join(branch, "main", arch, fileName(have)), Archive: lockfile.Archive{Name: knownArchive}}
}
