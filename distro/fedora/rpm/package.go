package rpm

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"
)

// A Package is what a package file's header says of it.
type Package struct {
	NEVRA
	// SourceRPM is the name of the source package's file; empty for a source
	// package itself.
	SourceRPM string
	Vendor    string
	// ModularityLabel is name:stream:version:context of the module that the
	// package was built for; empty for most packages.
	ModularityLabel string
	// HeaderSHA256 is the SHA-256 of the header in hexadecimal: rpm's
	// SHA256HEADER, which the package keeps when it is signed again.
	HeaderSHA256 string
	// PayloadSHA256 is the SHA-256 that the header tells of the payload as it
	// lies in the file, PayloadSHA256Alt that of the payload uncompressed, in
	// hexadecimal. They are empty where the header does not tell them.
	PayloadSHA256, PayloadSHA256Alt string
	// Compressor is how the payload is compressed, such as zstd.
	Compressor string
	// BuildTime is in UTC, zero where it is unknown.
	BuildTime time.Time
	// InstalledSize is the sum of the files' sizes in bytes.
	InstalledSize uint64

	Requires, Provides, Conflicts, Obsoletes []Dependency
}

// ReadPackage reads the front of a package file, up to the end of its header,
// and checks nothing but that it can be read: neither digests nor signatures.
// It is for a first look at directories of packages; see [Check].
func ReadPackage(r io.Reader) (*Package, error) {
	f, err := readFront(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	return f.pkg, nil
}

func newPackage(h *header) (*Package, error) {
	sum := sha256.Sum256(h.raw)
	p := &Package{
		NEVRA: NEVRA{
			Name: h.text(tagName), Epoch: NoEpoch,
			Version: h.text(tagVersion), Release: h.text(tagRelease), Arch: h.text(tagArch),
		},
		SourceRPM: h.text(tagSourceRPM), Vendor: h.text(tagVendor), ModularityLabel: h.text(tagModularityLabel),
		HeaderSHA256:     hex.EncodeToString(sum[:]),
		PayloadSHA256Alt: h.text(tagPayloadDigestAlt), Compressor: h.text(tagCompressor),
	}
	if sum, algorithm := h.payloadDigest(); algorithm == pgpSHA256 {
		p.PayloadSHA256 = sum
	}
	if epoch, ok := h.number(tagEpoch); ok {
		if epoch >= 1<<31 {
			return nil, badFormat("the epoch %d is out of range", epoch)
		}
		p.Epoch = int(epoch)
	}
	if h.has(tagSourcePackage) || p.SourceRPM == "" {
		p.Arch = "src"
	}
	if err := p.NEVRA.check(); err != nil {
		return nil, badFormat("%s: %v", p.NEVRA, err)
	}
	if t, ok := h.number(tagBuildTime); ok {
		p.BuildTime = time.Unix(int64(t&0xffffffff), 0).UTC()
	}
	var ok bool
	if p.InstalledSize, ok = h.number(tagLongInstalled); !ok {
		p.InstalledSize, _ = h.number(tagSize)
	}
	for _, d := range []struct {
		to                   *[]Dependency
		name, flags, version uint32
	}{
		{&p.Requires, tagRequireName, tagRequireFlags, tagRequireVersion},
		{&p.Provides, tagProvideName, tagProvideFlags, tagProvideVersion},
		{&p.Conflicts, tagConflictName, tagConflictFlags, tagConflictVersion},
		{&p.Obsoletes, tagObsoleteName, tagObsoleteFlags, tagObsoleteVersion},
	} {
		var err error
		if *d.to, err = h.dependencies(d.name, d.flags, d.version); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// dependencies joins three arrays of equal length.
func (h *header) dependencies(name, flags, version uint32) ([]Dependency, error) {
	names, ranges, versions := h.texts(name), h.ints(flags), h.texts(version)
	if len(names) == 0 {
		return nil, nil
	}
	// Very old packages leave out flags and versions altogether.
	if len(ranges) != len(names) && ranges != nil || len(versions) != len(names) && versions != nil {
		return nil, badFormat("%d names, %d flags and %d versions of dependencies (tag %d)", len(names), len(ranges), len(versions), name)
	}
	out := make([]Dependency, len(names))
	for i := range out {
		out[i].Name = names[i]
		if ranges != nil {
			out[i].Flags = Flags(ranges[i])
		}
		if versions != nil {
			out[i].EVR = versions[i]
		}
	}
	return out, nil
}
