package fedora

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/yum"
)

// A catalog is what the repositories of a root offer.
type catalog struct {
	indexes []*index
	// unused are the repositories whose index could not be read; absent says
	// that some had none on disk.
	unused []string
	absent bool
}

// An index is the metadata of one repository.
type index struct {
	repo *repo
	// signed says that a key of the repository signed repomd.xml. Else nothing
	// in it is believed that is not proved otherwise.
	signed  bool
	records []yum.Record
	modules []yum.Module // of the repository, where they were asked for
	// mirrors are base URLs that the metalink or mirror list names.
	mirrors []string
}

// A wanted says what to read of an index.
type wanted struct {
	name    func(name string) bool
	modules bool
}

// parallel is how many repositories are read at once.
const parallel = 8

// catalog reads the indexes of all repositories: those in the root, or from
// the network where they are absent or req asks for fresh ones.
func (s *System) catalog(ctx context.Context, req distro.LocateRequest, want wanted) (*catalog, error) {
	c := &catalog{}
	found := make([]*index, len(s.config.repos))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range s.config.repos {
		group.Go(func() error {
			r := &s.config.repos[i]
			x, absent, err := s.loadIndex(ctx, req, r, want)
			if err := ctx.Err(); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			c.absent = c.absent || absent
			if err != nil {
				c.unused = append(c.unused, r.ID)
				s.events.Warning(fmt.Sprintf("the repository %s is not used: %v", r.ID, err))
				return nil
			}
			found[i] = x
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, x := range found {
		if x != nil {
			c.indexes = append(c.indexes, x)
		}
	}
	return c, nil
}

// errNoIndex says that an index is nowhere to be had.
var errNoIndex = fmt.Errorf("its metadata is not on disk; dnf makecache in the root brings it there: %w", fs.ErrNotExist)

// loadIndex reads the index of one repository.
func (s *System) loadIndex(ctx context.Context, req distro.LocateRequest, r *repo, want wanted) (x *index, absent bool, err error) {
	var fresh error
	if req.Fresh && req.Fetcher != nil {
		if x, fresh = s.netIndex(ctx, req.Fetcher, r, want); fresh == nil {
			return x, false, nil
		}
	}
	x, err = s.diskIndex(r, want)
	switch {
	case err == nil && fresh != nil:
		s.events.Warning(fmt.Sprintf("the repository %s: what is on disk is used, since the fresh metadata cannot be: %v", r.ID, fresh))
		return x, false, nil
	case err == nil:
		return x, false, nil
	case fresh != nil:
		return nil, true, fresh
	case req.Fetcher == nil:
		return nil, errors.Is(err, fs.ErrNotExist), err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.events.Warning(fmt.Sprintf("the metadata of the repository %s that is on disk is not used: %v", r.ID, err))
	}
	x, err = s.netIndex(ctx, req.Fetcher, r, want)
	return x, err != nil, err
}

// A metadata is where the files of one repository are read from.
type metadata struct {
	repomd    []byte
	signature []byte // detached; nil for none
	open      func(f yum.DataFile) (io.ReadCloser, error)
	// at is when the signing keys must not have expired; zero for the time of
	// the signature, which is right for metadata of the past.
	at time.Time
}

// readIndex checks repomd.xml and reads what it leads to.
func readIndex(r *repo, m metadata, want wanted) (*index, error) {
	x := &index{repo: r}
	var err error
	if x.signed, err = m.verify(r); err != nil {
		return nil, err
	}
	md, err := yum.ParseRepomd(bytes.NewReader(m.repomd))
	if err != nil {
		return nil, err
	}
	primary, ok := md.Find("primary")
	if !ok {
		return nil, errors.New("its repomd.xml names no primary.xml")
	}
	err = m.read(primary, func(body io.Reader) (err error) {
		x.records, err = yum.ReadPrimary(body, want.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if modules, ok := md.Find("modules"); ok && want.modules {
		err = m.read(modules, func(body io.Reader) (err error) {
			x.modules, err = yum.ReadModules(body)
			return err
		})
	}
	return x, err
}

func (m metadata) read(f yum.DataFile, read func(io.Reader) error) error {
	body, err := m.open(f)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := yum.ReadData(f, body, read); err != nil {
		return fmt.Errorf("%s: %w", f.Location, err)
	}
	return nil
}

// verify checks the signature of repomd.xml. A repository that has to be
// signed is refused without a good one. Where it need not be, a signature that
// is no good makes it an unsigned one, unless the bytes were changed.
func (m metadata) verify(r *repo) (signed bool, err error) {
	if m.signature == nil {
		if r.RepoGPGCheck {
			return false, errors.New("its metadata has to be signed (repo_gpgcheck=1), but there is no repomd.xml.asc")
		}
		return false, nil
	}
	_, err = rpm.VerifyDetached(bytes.NewReader(m.repomd), bytes.NewReader(m.signature), r.keys, m.at)
	switch {
	case err == nil:
		return true, nil
	case r.RepoGPGCheck, errors.Is(err, rpm.ErrBadSignature), errors.Is(err, rpm.ErrKeyRevoked):
		return false, fmt.Errorf("its repomd.xml: %w", err)
	}
	return false, nil
}
