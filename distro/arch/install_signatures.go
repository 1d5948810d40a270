package arch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
)

// checkSignatures verifies what can be verified before the root is changed.
// The digests of the lock are what counts; but where it has a signature of a
// file, that must be good by the root's keyring, and what it has marked
// unsigned is verified by the signature that a database of the root has of the
// same file. Files that are not what such a database names are told of.
func (s *System) checkSignatures(ctx context.Context, jobs []*job) error {
	known := s.namedByDatabases(ctx, jobs)
	keys, noKeys := s.loadKeys()
	var claims []*job
	signatures := map[*job][]byte{}
	unjudged := 0
	for _, j := range jobs {
		base := j.entry.Base()
		if x, ok := known[base]; ok && x.digest() != j.entry.Digest {
			s.events.Warning(fmt.Sprintf("%s is not the file that %s names: its SHA-256 is %s, that of the database is %s", base, x.from.repo.Name, j.entry.Digest, x.SHA256))
		} else if ok && j.entry.Unsigned {
			signatures[j] = x.Signature
		}
		if j.signature != "" {
			data, err := os.ReadFile(j.signature)
			if err != nil {
				return err
			}
			signatures[j] = data
		}
		switch {
		case len(signatures[j]) == 0:
		case noKeys != nil:
			unjudged++
		default:
			claims = append(claims, j)
		}
	}
	if unjudged > 0 {
		s.events.Warning(fmt.Sprintf("the signatures of %d packages are not checked, only their SHA-256: %v", unjudged, noKeys))
	}
	errs := make([]error, len(claims))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, j := range claims {
		group.Go(func() error {
			if err := verifyJob(j, keys, signatures[j]); err != nil {
				errs[i] = fmt.Errorf("%s: its signature is refused: %w", j.entry.Path, err)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("nothing was installed: %w", err)
	}
	return nil
}

func verifyJob(j *job, keys *trust.Keyring, signature []byte) error {
	f, err := os.Open(j.blob)
	if err != nil {
		return err
	}
	_, err = keys.Verify(f, signature)
	return errors.Join(err, f.Close())
}

// namedByDatabases finds the files of jobs in the databases of the root.
func (s *System) namedByDatabases(ctx context.Context, jobs []*job) map[string]sighting {
	wanted := map[string]bool{}
	for _, j := range jobs {
		wanted[j.Name] = true
	}
	out := map[string]sighting{}
	quiet := *s
	quiet.events = nil // that a database is absent is no matter here
	c, err := quiet.catalog(ctx, distro.LocateRequest{}, func(name string) bool { return wanted[name] })
	if err != nil {
		return out
	}
	for _, d := range c.databases {
		if d.repo.SigLevel.Package == pacman.Never {
			continue
		}
		for i := range d.packages {
			p := &d.packages[i]
			if _, seen := out[p.Filename]; !seen && !strings.Contains(p.Filename, "/") {
				out[p.Filename] = sighting{d, p}
			}
		}
	}
	return out
}
