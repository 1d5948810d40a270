package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/decompress"
)

// Dir returns the URL of the directory that has the Release file of a suite,
// with a slash at its end, as apt forms it. base is the archive's root; a suite
// that ends in a slash names a directory below base, that of a flat
// repository.
func Dir(base, suite string) string {
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	switch {
	case suite == "/":
		return base
	case strings.HasSuffix(suite, "/"):
		return base + strings.TrimPrefix(suite, "/")
	}
	return base + "dists/" + suite + "/"
}

// PackagesPath returns the path of an uncompressed Packages file below the
// directory of its Release. component is empty for a flat repository.
func PackagesPath(component, arch string) string {
	if component == "" {
		return "Packages"
	}
	return component + "/binary-" + arch + "/Packages"
}

// FetchRelease gets the Release file of the directory dir (see [Dir]): the
// InRelease, or where there is none Release with Release.gpg. It is verified
// as [Verify] does.
func FetchRelease(ctx context.Context, f distro.Fetcher, dir string, keys *Keys, at time.Time) (*Release, error) {
	text, err := fetchSigned(ctx, f, dir, keys, at)
	if err != nil {
		return nil, err
	}
	return ParseRelease(text)
}

func fetchSigned(ctx context.Context, f distro.Fetcher, dir string, keys *Keys, at time.Time) ([]byte, error) {
	data, err := get(ctx, f, dir+"InRelease")
	if err == nil {
		return Verify(data, keys, at)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if data, err = get(ctx, f, dir+"Release"); err != nil {
		return nil, err
	}
	sig, err := get(ctx, f, dir+"Release.gpg")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SignatureError{Err: ErrNoSignature}
	}
	if err != nil {
		return nil, err
	}
	return data, VerifyDetached(data, sig, keys, at)
}

// FetchUnsigned gets the Release file without a look at its signature, for
// repositories that a person has declared trusted.
func FetchUnsigned(ctx context.Context, f distro.Fetcher, dir string) (*Release, error) {
	data, err := get(ctx, f, dir+"Release")
	if errors.Is(err, fs.ErrNotExist) {
		if data, err = get(ctx, f, dir+"InRelease"); err == nil {
			data, err = Unsigned(data)
		}
	}
	if err != nil {
		return nil, err
	}
	return ParseRelease(data)
}

// Unsigned returns the text of an InRelease file without a look at its
// signature.
func Unsigned(inRelease []byte) ([]byte, error) {
	c, err := splitClearsigned(inRelease)
	if err != nil {
		return nil, err
	}
	return c.text, nil
}

// get reads a whole file of at most MaxRelease bytes.
func get(ctx context.Context, f distro.Fetcher, url string) ([]byte, error) {
	r, err := f.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, MaxRelease+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if len(data) > MaxRelease {
		return nil, fmt.Errorf("%s is longer than %d bytes", url, MaxRelease)
	}
	return data, nil
}

// fetchOrder is the order in which to choose among the forms of an index:
// the smaller first.
var fetchOrder = []string{".xz", ".zst", ".bz2", ".gz", ".lz4", ""}

// ErrNotListed says that a Release file does not list an index.
var ErrNotListed = errors.New("the Release file does not list it")

// FetchPackages gets the index at path (see [PackagesPath]) below dir in the
// best form that rel lists, by its digest where byHash is set, and returns the
// wanted records.
func FetchPackages(ctx context.Context, f distro.Fetcher, dir string, rel *Release, path string, byHash bool, want Wanted) ([]Record, error) {
	plain, ok := rel.Files[path]
	if !ok {
		return nil, ErrNotListed
	}
	for _, ending := range fetchOrder {
		file, ok := rel.Files[path+ending]
		if !ok {
			continue
		}
		urls := []string{dir + path + ending}
		if byHash {
			parent := path[:strings.LastIndexByte(path, '/')+1]
			urls = append([]string{dir + parent + "by-hash/SHA256/" + file.Digest.String()}, urls...)
		}
		body, err := f.Blob(ctx, file.Digest, file.Size, urls...)
		if errors.Is(err, fs.ErrNotExist) && ending != "" {
			continue // Release files list forms that are not kept
		}
		if err != nil {
			return nil, err
		}
		defer body.Close()
		r, err := decompress.Open(ending, body)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return ReadPackages(r, plain, want)
	}
	return nil, fs.ErrNotExist
}

// FetchUnlisted gets the index at path below dir of a repository that has no
// Release at all and that a person has declared trusted.
func FetchUnlisted(ctx context.Context, f distro.Fetcher, dir, path string, want Wanted) ([]Record, error) {
	for _, ending := range fetchOrder {
		body, err := f.Get(ctx, dir+path+ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer body.Close()
		r, err := decompress.Open(ending, body)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return ReadUnlisted(r, want)
	}
	return nil, fs.ErrNotExist
}
