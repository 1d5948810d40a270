package mirror

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/lockfile"
)

// Arch is the Format of the archives of pacman: any number of repositories,
// each a directory with a database <repository>.db, the same with lists of
// files, and the packages with their signatures.
//
// Arch Linux signs its packages and not its databases. A package is held to
// the database, and its signature, where there is one, must not be bad.
type Arch struct {
	// Keys may sign databases and packages; nil for none that are known.
	Keys *trust.Keyring
	// Required refuses packages that none of Keys has signed, neither by
	// themselves nor through their database. Otherwise what is signed by a key
	// that is not known is held to the database alone, since keyrings grow
	// older than mirrors.
	Required bool
	// Archive is what locks call the archive; it may be empty.
	Archive string

	verified verified
}

const sigEnding = ".sig"

// pacmanDatabase matches the file names of databases and of their signatures.
var pacmanDatabase = regexp.MustCompile(`^[^/]+\.(?:db|files)(?:\.tar(?:\.[a-z0-9]+)?)?(?:\.sig)?$`)

// Roots takes a database for a root.
func (a *Arch) Roots(name string) (roots []string, begins bool) {
	dir, base := path.Split(name)
	plain := strings.TrimSuffix(base, sigEnding)
	if _, _, _, ok := pacman.ParseFilename(plain); ok {
		return databasesFor(strings.TrimSuffix(dir, "/")), false
	}
	if pacmanDatabase.MatchString(base) {
		return []string{dir + plain}, true
	}
	return nil, false
}

// databasesFor guesses which databases name the packages of a directory: the
// repository's name is mostly an element of its path, as in core/os/x86_64 and
// in manjaro/core/x86_64.
func databasesFor(dir string) (roots []string) {
	elements := strings.Split(dir, "/")
	for n := len(elements); n > 0 && len(roots) < 2; n-- {
		if e := elements[n-1]; e != "" && e != "os" {
			roots = append([]string{dir + "/" + e + ".db"}, roots...)
		}
	}
	return roots
}

// Read gets the database and, where there is one, its signature.
func (a *Arch) Read(root string, get Getter, stored bool) (*Set, error) {
	data, signature, err := getSigned(get, root, root+sigEnding, func(data, signature []byte) error {
		if a.Keys == nil || stored {
			return nil
		}
		return a.verified.once(func() error {
			_, err := a.Keys.Verify(bytes.NewReader(data), signature)
			return err
		}, data, signature)
	})
	if err != nil {
		return nil, err
	}
	if !stored {
		// Nobody vouches for it, so it must at least be what it seems.
		if err := a.verified.once(func() error { return checkDatabase(data) }, data); err != nil {
			return nil, err
		}
	}
	set := &Set{Archive: a.Archive, Signed: a.Keys != nil && signature != nil}
	base := path.Base(root)
	if name, _, isDB := strings.Cut(base, ".db"); isDB {
		f := File{Path: root, Digest: lockfile.DigestOf(data), Size: int64(len(data)), Index: true, Raw: true, Eager: true, Component: name}
		if arch := path.Base(path.Dir(root)); arch != "." {
			f.Arch = arch
		}
		set.Files = []File{f}
	}
	return set, nil
}

// getSigned gets a file and the signature that may lie beside it. Upstream may
// replace one while the other is asked for: they are asked for again where
// they do not fit.
func getSigned(get Getter, name, signatureName string, verify func(data, signature []byte) error) (data, signature []byte, err error) {
	for range 3 {
		if data, err = get(name); err != nil {
			return nil, nil, err
		}
		if signature, err = get(signatureName); errors.Is(err, fs.ErrNotExist) {
			return data, nil, nil
		}
		if err == nil {
			if err = verify(data, signature); err == nil {
				return data, signature, nil
			}
			err = fmt.Errorf("%s: %w", signatureName, err)
		}
	}
	return nil, nil, err
}

// checkDatabase reads a database to its end.
func checkDatabase(data []byte) error {
	if len(data) == 0 {
		return errors.New("the database is empty")
	}
	_, err := pacman.ReadSync(bytes.NewReader(data), nil)
	return err
}

// Packages reads a database. A package's signature lies beside it: where the
// database has it too, it must be that one.
func (a *Arch) Packages(index File, r io.Reader, yield func(Package) error) error {
	all, err := pacman.ReadSync(r, nil)
	if err != nil {
		return err
	}
	dir, _ := path.Split(index.Path)
	for i := range all {
		d := &all[i]
		p := Package{Path: dir + d.Filename, Size: d.Size, Name: d.Name, Version: d.Version, Arch: d.Arch}
		if p.Digest.UnmarshalText([]byte(d.SHA256)) != nil || p.Digest.IsZero() || d.Filename == "" || lockfile.CheckPath(p.Path) != nil {
			continue // nothing can be checked by such a record
		}
		if p.Size <= 0 {
			p.Size = -1
		}
		if err := yield(p); err != nil {
			return err
		}
		if err := yield(signatureOf(p, d.Signature)); err != nil {
			return err
		}
	}
	return nil
}

// signatureOf describes the signature beside a package. One that the database
// does not have is known by the package that it is of.
func signatureOf(p Package, signature []byte) Package {
	s := Package{Path: p.Path + sigEnding, Size: -1, Optional: true}
	if len(signature) > 0 {
		s.Digest, s.Size = lockfile.DigestOf(signature), int64(len(signature))
		return s
	}
	id := sha256.Sum256([]byte("signature of " + p.Digest.String()))
	s.Identity = id[:]
	return s
}

// Checks is true of packages and their signatures.
func (a *Arch) Checks(name string) bool {
	_, _, _, ok := pacman.ParseFilename(strings.TrimSuffix(path.Base(name), sigEnding))
	return ok
}

// Check verifies the signature of a package.
func (a *Arch) Check(p Package, beside Getter, r io.ReadSeeker) (Package, error) {
	plain, isSignature := strings.CutSuffix(path.Base(p.Path), sigEnding)
	if isSignature {
		return p, a.checkSignature(p, r)
	}
	name, version, arch, _ := pacman.ParseFilename(plain)
	p.Name, p.Version, p.Arch = name, version, arch
	if a.Keys == nil {
		return p, nil
	}
	signature, err := beside(p.Path + sigEnding)
	if err == nil {
		if _, err = a.Keys.Verify(r, signature); isForged(err) {
			return p, fmt.Errorf("its signature: %w", err)
		}
	}
	if err != nil && a.Required && !p.Signed {
		return p, fmt.Errorf("no key that may sign it vouches for it: %w", err)
	}
	p.Signed = p.Signed || err == nil
	return p, nil
}

// isForged tells signatures that are bad from those that cannot be judged.
func isForged(err error) bool {
	for _, bad := range []error{trust.ErrBadSignature, trust.ErrRevoked, trust.ErrMalformed} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

// checkSignature refuses what is no signature. By whom and of what it is turns
// out when the package is checked.
func (a *Arch) checkSignature(p Package, r io.Reader) error {
	if p.Identity == nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(r, maxBeside))
	if err != nil {
		return err
	}
	if _, err := a.Keys.Inspect(data); isForged(err) {
		return err
	}
	return nil
}
