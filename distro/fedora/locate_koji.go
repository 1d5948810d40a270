package fedora

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/lockfile"
)

// kojiVendors are those whose packages Fedora's build system keeps.
var kojiVendors = []string{"Fedora Project"}

// kojiPaths returns where the build system has the file of an installed
// package: the copy that the installed one's key signed, "" where that is not
// known, and the one that no key signed. ok is false for packages that were
// not built there.
func (l *locating) kojiPaths(p distro.Package) (signed, unsigned string, ok bool) {
	have := l.installed[p]
	if have == nil || have.Vendor != kojiVendors[0] {
		return "", "", false
	}
	src, ok := rpm.ParseFilename(have.SourceRPM)
	if !ok {
		return "", "", false
	}
	dir := path.Join("packages", src.Name, src.Version, src.Release)
	unsigned = path.Join(dir, p.Arch, fileName(p))
	if key := keyID(have.Signature()); key != "" {
		signed = path.Join(dir, "data/signed", key, p.Arch, fileName(p))
	}
	return signed, unsigned, lockfile.CheckPath(unsigned) == nil
}

// keyID returns the last eight digits of the ID of the key that made a
// signature, in lower case, or "".
func keyID(signature []byte) string {
	if len(signature) == 0 {
		return ""
	}
	p, err := packet.Read(bytes.NewReader(signature))
	if err != nil {
		return ""
	}
	s, ok := p.(*packet.Signature)
	if !ok || s.IssuerKeyId == nil {
		return ""
	}
	return hex.EncodeToString([]byte{byte(*s.IssuerKeyId >> 24), byte(*s.IssuerKeyId >> 16), byte(*s.IssuerKeyId >> 8), byte(*s.IssuerKeyId)})
}

// keepers are the URLs at which a path of the build system may be had.
func (l *locating) keepers(p string) []string {
	all := l.req.Keepers
	if len(all) == 0 {
		all = mirrors
	}
	var out []string
	for _, m := range all {
		if !m.Keeper || m.Archive != "" && m.Archive != archiveKoji {
			continue
		}
		if !strings.Contains(m.URL, "{{") {
			out = append(out, join(m.URL, p))
			continue
		}
		u := strings.NewReplacer("{{.Path}}", join("", p)[1:], "{{.Basename}}", join("", path.Base(p))[1:]).Replace(m.URL)
		if !strings.Contains(u, "{{") {
			out = append(out, u)
		}
	}
	return out
}

// inKoji looks for a package that the archives have dropped at Fedora's build
// system. It has a copy with the signature that is installed, while that is
// kept, and always the file as it was built, without: that is another file with
// the same header and content, which is locked with a mark.
func (l *locating) inKoji(ctx context.Context, p distro.Package) (located, bool) {
	if !l.req.Snapshots || l.req.Fetcher == nil || l.req.Identifier == nil {
		return located{}, false
	}
	signed, unsigned, ok := l.kojiPaths(p)
	if !ok {
		return located{}, false
	}
	var problems []string
	for _, one := range []struct {
		path string
		find func(context.Context, distro.Package, []string) (lockfile.Digest, error)
	}{{signed, l.signedFile}, {unsigned, l.builtFile}} {
		urls := l.keepers(one.path)
		if one.path == "" || len(urls) == 0 {
			continue
		}
		d, err := one.find(ctx, p, urls)
		if err == nil {
			e := lockfile.Entry{Digest: d, Path: one.path, Archive: lockfile.Archive{Name: archiveKoji}, Unsigned: one.path == unsigned}
			return located{entry: e}, true
		}
		if ctx.Err() != nil {
			return located{}, false
		}
		problems = append(problems, err.Error())
	}
	l.because(p, fmt.Sprintf("Fedora's build system does not have it either (%s)", strings.Join(problems, "; ")))
	return located{}, false
}
