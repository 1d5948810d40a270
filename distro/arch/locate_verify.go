package arch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/lockfile"
)

const (
	maxParallel = 16
	// maxFailures is after how many packages that no server gave the network
	// is left alone.
	maxFailures = 4
)

// A verifier finds out whether a trusted signature stands behind the digests
// of databases.
type verifier struct {
	s     *System
	req   distro.LocateRequest
	keys  *trust.Keyring // nil for none
	files *shelves
	// failures counts the packages that no server gave, since one did.
	failures atomic.Int32
}

// A verdict is what became of the digest of one package.
type verdict struct {
	signed  bool  // a trusted signature stands behind it
	noBytes bool  // it could not be judged
	why     error // for that, if there is more to say than that nothing was found
	refused error // not to be used, for this reason
	kind    string
}

const (
	kindSignature = "its signature is refused"
	kindUnsigned  = "it has no signature, which SigLevel in pacman.conf requires"
)

func refuse(kind string, err error) verdict { return verdict{kind: kind, refused: err} }

// all judges the packages, in their order.
func (v *verifier) all(ctx context.Context, chosen []sighting) ([]verdict, error) {
	out := make([]verdict, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, x := range chosen {
		group.Go(func() error {
			out[i] = v.judge(ctx, x)
			return ctx.Err()
		})
	}
	return out, group.Wait()
}

// judge finds out about one package.
func (v *verifier) judge(ctx context.Context, x sighting) verdict {
	level := x.from.repo.SigLevel
	switch {
	case x.from.signed:
		return verdict{signed: true}
	case level.Package == pacman.Never:
		return verdict{}
	}
	signature, err := v.signature(ctx, x)
	switch {
	case errors.Is(err, errNoSignature) && level.Package == pacman.Required:
		return refuse(kindUnsigned, err)
	case errors.Is(err, errNoSignature):
		return verdict{}
	case err != nil || v.keys == nil:
		v.files.compare(v.s, x)
		return verdict{noBytes: true}
	}
	keys, trusted := v.keys, true
	if _, err := keys.Inspect(signature); err != nil && level.PackageTrustAll {
		// Whom nobody trusts does not make a hash a signed one.
		keys, trusted = keys.TrustAll(), false
	}
	if _, err := keys.Inspect(signature); err != nil {
		return refuse(kindSignature, err)
	}
	c := &claim{keys: keys, signature: signature, want: identity(x.Desc), digest: x.digest()}
	err = v.examine(ctx, x, c)
	var bad *claimError
	switch {
	case err == nil:
		return verdict{signed: trusted}
	case errors.As(err, &bad) && bad.conclusive:
		return refuse(kindSignature, bad.err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return verdict{noBytes: true, why: err}
}

var errNoSignature = errors.New("there is no signature of it")

// signature returns the one over the package: that of the database, of a file
// beside the package, or of a server. An error other than errNoSignature says
// that it cannot be told whether there is one.
func (v *verifier) signature(ctx context.Context, x sighting) ([]byte, error) {
	if len(x.Signature) > 0 {
		return x.Signature, nil
	}
	for _, f := range v.files.named(x.Filename + ".sig") {
		if data, err := f.read(maxSignature); err == nil {
			return data, nil
		}
	}
	if v.req.Fetcher == nil || v.failures.Load() >= maxFailures {
		return nil, errors.New("no server may be asked")
	}
	var last error
	for _, u := range v.urls(x) {
		data, err := v.s.get(ctx, v.req.Fetcher, u+".sig", maxSignature)
		switch {
		case err == nil:
			return data, nil
		case !errors.Is(err, fs.ErrNotExist):
			last = err
		}
	}
	if last != nil {
		v.failures.Add(1)
		return nil, last
	}
	return nil, errNoSignature
}

// examine checks the claim over the package's bytes, wherever they are. An
// error that is not conclusive says that none could be had.
func (v *verifier) examine(ctx context.Context, x sighting, c *claim) error {
	for _, f := range v.files.named(x.Filename) {
		err := f.check(c.check)
		var bad *claimError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &bad) && bad.conclusive:
			return err
		}
		v.s.events.Warning(fmt.Sprintf("%s is not the file that %s names: %v", f.name, x.from.repo.Name, err))
	}
	if v.req.Fetcher != nil {
		// It may be in the cache for another reason than this one.
		if body, err := v.req.Fetcher.Blob(ctx, c.digest, sizeOf(x.Desc)); err == nil {
			err = c.check(body)
			return errors.Join(err, body.Close())
		}
	}
	if v.req.Identifier == nil {
		return fs.ErrNotExist
	}
	want := distro.Unhashed{
		Identity: fmt.Sprintf("arch/%s/%s-%s", x.Filename, x.SHA256, lockfile.DigestOf(c.signature).String()[:16]),
		Size:     sizeOf(x.Desc), Check: c.check,
	}
	online := v.req.Fetcher != nil && v.failures.Load() < maxFailures
	if online {
		want.URLs = v.urls(x)
	}
	_, err := v.req.Identifier.Identify(ctx, want)
	switch {
	case err == nil:
		v.failures.Store(0)
	case c.conclusive != nil:
		return c.conclusive
	case online:
		v.failures.Add(1)
	}
	return err
}

// sizeOf returns the size of the file in bytes, or -1.
func sizeOf(p *pacman.Desc) int64 {
	if p.Size > 0 {
		return p.Size
	}
	return -1
}

// urls lists where the package may be had: on the repository's servers, on a
// well-known mirror and, if that is allowed, in archives that keep the past.
func (v *verifier) urls(x sighting) []string {
	var out []string
	for _, server := range v.s.servers(x.from.repo, true) {
		if !strings.HasPrefix(server, "file:") {
			out = append(out, server+"/"+escape(x.Filename))
		}
	}
	file := x.from.home.path(x.Filename)
	for _, m := range (Distro{}).Traits().Mirrors {
		if m.Archive == x.from.home.archive.Name && !m.Keeper {
			out = append(out, expandMirror(m, file)...)
		}
	}
	if v.req.Snapshots {
		for _, m := range keepers(v.req) {
			out = append(out, keeperURLs(m, x.Name, x.Filename)...)
		}
	}
	return out
}

// escape makes the element of a URL's path of a file's name. The colon of an
// epoch is escaped too, which not all servers want, and all understand.
func escape(file string) string { return strings.ReplaceAll(url.PathEscape(file), ":", "%3A") }

// A claim is that a signature is one over the file of a package, or, without
// keys, only that the file is the package's.
type claim struct {
	keys      *trust.Keyring
	signature []byte
	want      distro.Package
	digest    lockfile.Digest // zero if that is not known
	built     time.Time       // when the package was; zero if that is not known
	// conclusive is the first error of check that speaks against the claim,
	// whoever gave the bytes.
	conclusive error
	// found is what the file that passed says of itself.
	found *pacman.Desc
	got   lockfile.Digest
}

// A claimError says that bytes do not bear out a claim. It is conclusive where
// they are those that the claim is about, or where the signature is one over
// them and they are not.
type claimError struct {
	err        error
	conclusive bool
}

func (e *claimError) Error() string { return e.err.Error() }
func (e *claimError) Unwrap() error { return e.err }

// check reads a file to its end and returns nil only if it is the package, and
// signed. It is not for concurrent use.
func (c *claim) check(r io.Reader) error {
	p, digest, signed, err := readSigned(r, c.keys, c.signature)
	if err != nil {
		return err
	}
	c.got, c.found = digest, p.desc
	known := c.keys != nil && !c.digest.IsZero()
	fail := func(err error) error {
		bad := &claimError{err, known && (digest == c.digest || signed == nil)}
		if bad.conclusive && c.conclusive == nil {
			c.conclusive = bad
		}
		return bad
	}
	switch {
	case known && digest != c.digest && signed == nil:
		return fail(fmt.Errorf("it is one over another file, of SHA-256 %s", digest))
	case known && digest != c.digest:
		return fail(&lockfile.DigestError{Want: c.digest, Got: digest, Size: p.size})
	case signed != nil:
		return fail(signed)
	case p.err != nil:
		return fail(p.err)
	case identity(p.desc) != c.want:
		return fail(fmt.Errorf("the package in it is %s", identity(p.desc)))
	case !c.built.IsZero() && !p.desc.BuildDate.Equal(c.built):
		return fail(fmt.Errorf("it is the build of %s, installed is that of %s", stamp(p.desc.BuildDate), stamp(c.built)))
	}
	return nil
}
