package rpmdb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A Package is one that is installed.
type Package struct {
	Name             string
	Epoch            int
	Version, Release string
	Arch             string
	SourceRPM        string // file name of its source package
	Vendor           string
	// ModularityLabel says of which module, stream, version and context the
	// package is, with ":" between; empty for most.
	ModularityLabel string
	BuildTime       time.Time
	header          *header
}

// EVR returns epoch, version and release as people write them: the epoch only
// where it is not 0.
func (p *Package) EVR() string {
	evr := p.Version + "-" + p.Release
	if p.Epoch != 0 {
		evr = strconv.Itoa(p.Epoch) + ":" + evr
	}
	return evr
}

// IsKey reports whether p stands for a key that was imported and not for a
// package.
func (p *Package) IsKey() bool { return p.Name == "gpg-pubkey" }

// Key returns the armored public key that a pseudo-package stands for.
func (p *Package) Key() []byte { return []byte(p.header.text(tagDescription)) }

// Requires, Provides list the package's relations in its own order. The
// package's own name is among what it provides.
func (p *Package) Requires() []rpm.Dependency {
	return p.relations(tagRequireName, tagRequireFlags, tagRequireVersion)
}

// Provides is described at [Package.Requires].
func (p *Package) Provides() []rpm.Dependency {
	return p.relations(tagProvideName, tagProvideFlags, tagProvideVersion)
}

func (p *Package) relations(names, flags, versions uint32) []rpm.Dependency {
	ns, fs, vs := p.header.texts(names), p.header.numbers(flags), p.header.texts(versions)
	out := make([]rpm.Dependency, len(ns))
	for i, n := range ns {
		out[i].Name = n
		if i < len(fs) && i < len(vs) {
			out[i].Flags, out[i].EVR = rpm.Flags(fs[i]), vs[i]
		}
	}
	return out
}

// Files returns the absolute paths of the package's files.
func (p *Package) Files() []string {
	bases, dirs, indexes := p.header.texts(tagBaseNames), p.header.texts(tagDirNames), p.header.numbers(tagDirIndexes)
	if bases == nil {
		return p.header.texts(tagOldFileNames)
	}
	out := make([]string, 0, len(bases))
	for i, base := range bases {
		if i < len(indexes) && int64(indexes[i]) < int64(len(dirs)) {
			out = append(out, dirs[indexes[i]]+base)
		}
	}
	return out
}

// HeaderDigest returns the SHA-256 of the package's header as its file had it:
// it names the build, whichever key signed the file. The header in turn holds
// the digest of the content, if the package is not older than 2017. ok is
// false for packages that have no part that stays as it is.
//
// The digest is computed here. Where it is not the one that rpm recorded, the
// database is not to be believed, and that is an error.
func (p *Package) HeaderDigest() (digest [sha256.Size]byte, ok bool, err error) {
	digest, ok = p.header.digest()
	recorded := p.header.text(tagSHA256Header)
	if ok && recorded != "" && recorded != hex.EncodeToString(digest[:]) {
		return digest, false, fmt.Errorf("the header of %s %s in the package database is not the one that was installed: %w", p.Name, p.EVR(), errDamaged)
	}
	return digest, ok, nil
}

// Signature returns the OpenPGP signature over the header, as the package had
// it when it was installed, and nil where it had none.
func (p *Package) Signature() []byte {
	if s := p.header.bytes(tagRSAHeader); s != nil {
		return s
	}
	return p.header.bytes(tagDSAHeader)
}

func parsePackage(blob []byte) (*Package, error) {
	h, err := parseHeader(blob)
	if err != nil {
		return nil, err
	}
	p := &Package{
		Name: h.text(tagName), Version: h.text(tagVersion), Release: h.text(tagRelease),
		Arch: h.text(tagArch), SourceRPM: none(h.text(tagSourceRPM)), Vendor: none(h.text(tagVendor)),
		ModularityLabel: none(h.text(tagModularityLabel)), header: h,
	}
	if e := h.numbers(tagEpoch); len(e) > 0 {
		p.Epoch = int(e[0])
	}
	if t := h.numbers(tagBuildTime); len(t) > 0 {
		p.BuildTime = time.Unix(int64(t[0]), 0).UTC()
	}
	if p.IsKey() {
		return p, nil // has no architecture
	}
	for _, s := range []string{p.Name, p.Version, p.Release, p.Arch} {
		if err := checkWord(s); err != nil {
			return nil, fmt.Errorf("%q %q-%q %q: %w", p.Name, p.Version, p.Release, p.Arch, err)
		}
	}
	return p, nil
}

// none drops what old versions of rpm wrote in place of nothing.
func none(s string) string {
	if s == "(none)" {
		return ""
	}
	return s
}

// checkWord refuses what can be no part of a package's name and would lead
// astray where it is written out.
func checkWord(s string) error {
	if s == "" || len(s) > 4096 {
		return errors.New("a part of its name is absent or endless")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' }); i >= 0 {
		return fmt.Errorf("%q has a character that no package has in its name", s)
	}
	return nil
}
