package fedora

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/yum"
)

// mirrorsToTry is how many mirrors of a list are asked for metadata.
const mirrorsToTry = 5

// netIndex fetches the metadata of a repository. What a metalink says of
// repomd.xml is held against it.
func (s *System) netIndex(ctx context.Context, f distro.Fetcher, r *repo, want wanted) (*index, error) {
	s.events.Stepping("fetching the metadata of " + r.ID)
	urls := slices.Clone(r.BaseURLs)
	var check func([]byte) error
	switch {
	case r.Metalink != "":
		data, err := get(ctx, f, r.Metalink)
		if err != nil {
			return nil, err
		}
		m, err := yum.ParseMetalink(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		check = func(repomd []byte) error {
			_, err := m.Check(repomd)
			return err
		}
		urls = append(urls, bases(m)...)
	case r.MirrorList != "":
		data, err := get(ctx, f, r.MirrorList)
		if err != nil {
			return nil, err
		}
		list, err := yum.ParseMirrorList(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		urls = append(urls, list...)
	}
	var errs []error
	for _, base := range urls[:min(len(urls), mirrorsToTry)] {
		x, err := fetchIndex(ctx, f, r, base, check, want)
		if err == nil {
			x.mirrors = urls
			return x, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, fmt.Errorf("%s: %w", withoutLogin(base), err))
	}
	if len(urls) == 0 {
		return nil, errors.New("its configuration names no place")
	}
	return nil, notAbsent(errors.Join(errs...))
}

// fetchIndex fetches the metadata from one mirror.
func fetchIndex(ctx context.Context, f distro.Fetcher, r *repo, base string, check func([]byte) error, want wanted) (*index, error) {
	repomd, err := get(ctx, f, join(base, "repodata/repomd.xml"))
	if err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(repomd); err != nil {
			return nil, err
		}
	}
	signature, err := get(ctx, f, join(base, "repodata/repomd.xml.asc"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return readIndex(r, metadata{repomd: repomd, signature: signature, at: time.Now(), open: func(d yum.DataFile) (io.ReadCloser, error) {
		from := base
		if d.Base != "" {
			from = d.Base
		}
		u := join(from, d.Location)
		if digest, ok := d.Checksum.Digest(); ok {
			return f.Blob(ctx, digest, d.Size, u)
		}
		return f.Get(ctx, u)
	}}, want)
}

// get reads a small file.
func get(ctx context.Context, f distro.Fetcher, url string) ([]byte, error) {
	body, err := f.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, yum.MaxRepomd+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if len(data) > yum.MaxRepomd {
		return nil, fmt.Errorf("%s is longer than %d bytes", withoutLogin(strings.TrimSpace(url)), yum.MaxRepomd)
	}
	return data, nil
}
