package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

// readLists reads what apt keeps of a repository. It wraps fs.ErrNotExist
// where that is nothing.
func (l *loader) readLists(repo *apt.Repository) (loaded, error) {
	rel, unsigned, err := l.listedRelease(repo)
	if err != nil {
		return loaded{}, err
	}
	var out loaded
	for _, component := range components(repo) {
		for _, arch := range architectures(repo, rel) {
			x := &index{repo: repo, release: rel, archive: archiveOf(repo, rel), unsigned: unsigned, component: component, arch: arch}
			name := archive.PackagesPath(component, arch)
			list, err := l.readList(repo, rel, name, &x.records)
			switch {
			case err == nil:
				out.indexes = append(out.indexes, x)
			case !errors.Is(err, fs.ErrNotExist):
				out.problems = append(out.problems, fmt.Sprintf("the list %s is not used: %v; apt-get update fetches it anew", list, remedied(err)))
			case rel != nil && arch != "all" && rel.Files[name].Size > 0:
				out.absent = true
				out.problems = append(out.problems, fmt.Sprintf("%s has no list %s on disk; run apt-get update, or let samebits fetch it with --update", describe(repo), name))
			}
		}
	}
	if rel == nil && len(out.indexes) == 0 && len(out.problems) == 0 {
		return loaded{}, fs.ErrNotExist
	}
	return out, nil
}

// remedied says what a digest that differs means for a list.
func remedied(err error) error {
	var d *lockfile.DigestError
	if errors.As(err, &d) {
		return fmt.Errorf("it is not what its signed Release lists: %w", d)
	}
	return err
}

// listedRelease reads the Release that apt keeps. It is nil, without an error,
// where a trusted repository has none.
func (l *loader) listedRelease(repo *apt.Repository) (rel *archive.Release, unsigned bool, err error) {
	dir := archive.Dir(repo.URI, repo.Suite)
	name := l.list(dir + "InRelease")
	data, err := l.s.Files.ReadFile(name, archive.MaxRelease)
	var text []byte
	var signature error
	switch {
	case err == nil:
		// The lists are read for what was installed: a key that expired since
		// it signed them does not matter.
		if text, signature = archive.Verify(data, l.keys.of(repo.Trust), time.Time{}); signature != nil && pardons(repo) {
			text, err = archive.Unsigned(data)
		}
	case errors.Is(err, fs.ErrNotExist):
		name = l.list(dir + "Release")
		text, signature, err = l.detachedRelease(repo, name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && pardons(repo):
		return nil, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("the list /%s is not used: %w", name, err)
	case signature != nil && !pardons(repo):
		return nil, false, fmt.Errorf("the list /%s is not used: %w; %s", name, signature, signatureRemedy(signature))
	}
	rel, err = archive.ParseRelease(text)
	if err != nil {
		return nil, false, fmt.Errorf("the list /%s is not used: %w", name, err)
	}
	return rel, signature != nil, nil
}

func (l *loader) detachedRelease(repo *apt.Repository, name string) (text []byte, signature, err error) {
	if text, err = l.s.Files.ReadFile(name, archive.MaxRelease); err != nil {
		return nil, nil, err
	}
	sig, err := l.s.Files.ReadFile(name+".gpg", archive.MaxRelease)
	if errors.Is(err, fs.ErrNotExist) {
		return text, &archive.SignatureError{Err: archive.ErrNoSignature}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return text, archive.VerifyDetached(text, sig, l.keys.of(repo.Trust), time.Time{}), nil
}

// pardons reports whether a person has said that the repository may be used
// without a signature. Its entries are marked in the lock.
func pardons(repo *apt.Repository) bool { return repo.Trust.Always || repo.Trust.AllowInsecure }

// signatureRemedy says what a person can do about a signature.
func signatureRemedy(err error) string {
	switch {
	case errors.Is(err, archive.ErrUnknownKey):
		return "install the key of the archive and name it with Signed-By in apt's sources"
	case errors.Is(err, archive.ErrKeyExpired), errors.Is(err, archive.ErrKeyRevoked):
		return "install the archive's new key (often a package whose name ends in -keyring), then run apt-get update"
	case errors.Is(err, archive.ErrWeakDigest):
		return "the archive must sign with SHA-256 or better"
	}
	return "run apt-get update to fetch it anew"
}

// list returns the path below the root of the list of a URL.
func (l *loader) list(url string) string {
	return path.Join(l.s.Config.ListsDir, apt.ListsName(url))
}

// readList reads the list of one index, in whatever form apt keeps it. It
// returns the name of the file that it read.
func (l *loader) readList(repo *apt.Repository, rel *archive.Release, name string, records *[]archive.Record) (string, error) {
	base := l.list(archive.Dir(repo.URI, repo.Suite) + name)
	for _, ending := range decompress.Endings {
		f, err := l.s.Files.Open(base + ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "/" + base + ending, err
		}
		defer f.Close()
		*records, err = l.readIndex(f, ending, rel, name)
		return "/" + base + ending, err
	}
	return "", fs.ErrNotExist
}

func (l *loader) readIndex(f *os.File, ending string, rel *archive.Release, name string) ([]archive.Record, error) {
	r, err := decompress.Open(ending, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if rel == nil {
		return archive.ReadUnlisted(r, l.want)
	}
	file, ok := rel.Files[name]
	if !ok {
		return nil, archive.ErrNotListed
	}
	return archive.ReadPackages(r, file, l.want)
}
