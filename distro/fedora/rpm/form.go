package rpm

import (
	"encoding/binary"
	"strings"
)

const (
	leadSize  = 96
	leadMagic = "\xed\xab\xee\xdb"

	leadBinary, leadSource = 0, 1
	leadSignatureHeader    = 5
	leadNameSize           = 66
)

// checkLead holds the lead, which no signature covers and rpm itself hardly
// looks at, to what rpmbuild writes there. The number of the architecture is
// left alone, since noarch packages have that of the machine that built them.
func (f *front) checkLead() error {
	b := f.lead
	short := func(at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	kind := leadBinary
	if f.pkg.Arch == "src" {
		kind = leadSource
	}
	name, after, _ := strings.Cut(string(b[10:10+leadNameSize]), "\x00")
	p := f.pkg.NEVRA
	ok := (b[4] == 3 || b[4] == 4) && b[5] == 0 && short(6) == kind && short(8) <= 0xff &&
		(isLeadName(name, p.Name+"-"+p.Version+"-"+p.Release) || isLeadName(name, p.Name+"-"+p.EVR())) &&
		allZero([]byte(after)) &&
		short(76) <= 0xff && short(78) == leadSignatureHeader && allZero(b[80:])
	if !ok {
		return damaged("its lead is not that of %s", p)
	}
	return nil
}

func isLeadName(got, want string) bool { return got == want[:min(len(want), leadNameSize-1)] }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// signatureKinds are the tags that a header of signatures may have, and the
// types of their values.
var signatureKinds = map[uint32]uint32{
	tagDSAHeader: typeBin, tagRSAHeader: typeBin, tagSHA1Header: typeString, tagLongSize: typeInt64, tagLongArchive: typeInt64,
	tagSHA256Header: typeString, tagFileSignatures: typeStringArray, tagFileSigLength: typeInt32,
	tagVeritySigs: typeStringArray, tagVerityAlgorithm: typeInt32, tagOpenPGP: typeStringArray, tagSHA3Header: typeString,
	tagReserved: typeBin, sigTagSize: typeInt32, sigTagPGP: typeBin, sigTagMD5: typeBin, sigTagGPG: typeBin,
	sigTagPayloadSize: typeInt32, sigTagReserved: typeBin,
}

// checkSignatureForm holds the header of signatures, which no signature can
// cover, to the form that rpm gives it: tags that are known, their values one
// behind the other in the order of the tags, and zeros where nothing is.
func (f *front) checkSignatureForm() error {
	h := f.signatures
	end := 0
	for _, e := range h.entries {
		if kind, ok := signatureKinds[e.tag]; !ok || kind != e.kind {
			return damaged("its signatures have a tag %d of the type %d, which is not known", e.tag, e.kind)
		}
		gap := 0
		if width := widths[e.kind]; width > 1 {
			gap = -end & (width - 1)
		}
		if e.from != end+gap || !allZero(h.data[end:e.from]) {
			return damaged("tag %d of its signatures is not where it should be", e.tag)
		}
		end = e.to
	}
	if !allZero(h.data[end : len(h.data)-entrySize]) {
		return damaged("there are bytes between its signatures")
	}
	for _, tag := range []uint32{sigTagReserved, tagReserved} {
		if !allZero(h.bin(tag)) {
			return damaged("the space that is reserved for signatures is not empty")
		}
	}
	return nil
}
