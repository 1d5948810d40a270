package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/samebits/samebits/distro"
	debfile "github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

// maxControl is within how many bytes of a package its control data end.
const maxControl = 16 << 20

// inOwnCache looks for what nobody has any more among the files that earlier
// runs fetched, such as that of the lock by which the package was installed. No
// signature stands behind what such a file is called, so what is found is
// marked unsigned.
func (l *locating) inOwnCache(ctx context.Context, id distro.Identifier) error {
	sources := map[distro.Package]string{}
	if statuses, err := l.s.Statuses(ctx); err == nil {
		for _, s := range statuses {
			sources[s.ID()], _ = s.SourceName()
		}
	}
	var failed error // of the cache, which then fails for all
	l.take(func(p distro.Package) (located, bool) {
		guess := l.guess(p, lockfile.Digest{})
		names := []string{guess.Path}
		if source := sources[p]; source != "" {
			names = append(names, path.Join("pool/main", poolPrefix(source), source, path.Base(guess.Path)))
		}
		for _, name := range names {
			if failed != nil {
				break
			}
			d, err := id.Identify(ctx, distro.Unhashed{Identity: name, Size: -1, Check: func(r io.Reader) error { return holds(r, p) }})
			if err == nil {
				guess.Digest, guess.Path = d, name
				return located{entry: guess}, true
			}
			if !errors.Is(err, fs.ErrNotExist) {
				failed = err
			}
		}
		return located{}, false
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed != nil {
		l.s.events.Warning(fmt.Sprintf("the files that were fetched before are not used: %v", failed))
	}
	return nil
}

// holds reads a file to its end, and reports why it is not a package.
func holds(r io.Reader, want distro.Package) error {
	head, err := io.ReadAll(io.LimitReader(r, maxControl))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	c, err := debfile.Read(bytes.NewReader(head), int64(len(head)))
	if err != nil {
		return err
	}
	if got := (distro.Package{Name: c.Package, Version: c.Version, Arch: c.Architecture}); got != want {
		return fmt.Errorf("it is %s, not %s", got, want)
	}
	return nil
}
