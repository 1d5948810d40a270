package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// realDatabase returns a directory with a copy of the database of a real
// Fedora 35, since rpm wants to write beside it.
func realDatabase(t *testing.T) string {
	t.Helper()
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = "../../../../shared/data"
	}
	file, err := os.ReadFile(filepath.Join(data, "rpm/fedora35/rpmdb.sqlite"))
	if err != nil {
		t.Skipf("no database of a real Fedora here: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rpmdb.sqlite"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A realHeader is a package's header as it was in its file, with what the
// database keeps of the header of signatures.
type realHeader struct {
	raw, rsa []byte
	sha256   string
}

// splitExport takes apart what "rpmdb --exportdb" writes: headers to which
// installing added tags behind the immutable region.
func splitExport(t *testing.T, data []byte) []realHeader {
	t.Helper()
	be := binary.BigEndian
	var out []realHeader
	for len(data) > 0 {
		entries, size := int(be.Uint32(data[8:])), int(be.Uint32(data[12:]))
		table, values := data[16:16+16*entries], data[16+16*entries:][:size]
		data = data[16+16*entries+size:]
		end := int(be.Uint32(table[8:])) + 16
		inRegion := -int(int32(be.Uint32(values[end-8:]))) / 16
		h := realHeader{raw: bytes.Clone(headerMagic)}
		h.raw = be.AppendUint32(h.raw, uint32(inRegion))
		h.raw = be.AppendUint32(h.raw, uint32(end))
		h.raw = append(append(h.raw, table[:16*inRegion]...), values[:end]...)
		for rest := table[16*inRegion:]; len(rest) > 0; rest = rest[16:] {
			tag, _, offset, count := readEntry(rest)
			switch value := values[offset:]; tag {
			case tagRSAHeader:
				h.rsa = value[:count]
			case tagSHA256Header:
				h.sha256 = string(value[:bytes.IndexByte(value, 0)])
			}
		}
		out = append(out, h)
	}
	return out
}

func TestHeadersOfARealSystem(t *testing.T) {
	dir := realDatabase(t)
	if _, err := exec.LookPath("rpmdb"); err != nil {
		t.Skipf("no rpmdb here: %v", err)
	}
	listed := map[string]string{}
	format := "%{name}-%{evr}.%{arch}\\t%{sourcerpm}\\t%{vendor}\\t%{buildtime}\\t%{size}\\t[%{requirenevrs}|]\\t[%{providenevrs}|]\\n"
	for line := range strings.Lines(string(command(t, "", "rpm", "--dbpath", dir, "-qa", "--qf", format))) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		listed[name] = rest
	}
	// The key that Fedora signs with is in its database, as a package of its own.
	keys, err := LoadKeys(command(t, "", "rpm", "--dbpath", dir, "-q", "gpg-pubkey", "--qf", "%{description}"))
	if err != nil {
		t.Fatal(err)
	}
	headers := splitExport(t, command(t, "", "rpmdb", "--dbpath", dir, "--exportdb"))
	signed := 0
	for _, real := range headers {
		if real.rsa == nil {
			continue
		}
		signed++
		h, err := readHeader(bytes.NewReader(real.raw), regionImmutable, maxHeaderData)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPackage(h)
		if err != nil {
			t.Fatal(err)
		}
		if p.HeaderSHA256 != real.sha256 {
			t.Errorf("%s: the header's SHA-256 is %s, not %s", p, p.HeaderSHA256, real.sha256)
		}
		if signer, err := verifyHeader(real.raw, real.rsa, keys); err != nil || signer.UserID != "Fedora (35) <fedora-35-primary@fedoraproject.org>" {
			t.Errorf("%s: %+v, %v", p, signer, err)
		}
		real.raw[len(real.raw)/2] ^= 1
		if signer, err := verifyHeader(real.raw, real.rsa, keys); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s with one bit flipped: %+v, %v", p, signer, err)
		}
		if got := queryLine(p); got != listed[p.String()] {
			t.Errorf("%s:\n%s\nrpm says\n%s", p, got, listed[p.String()])
		}
	}
	if signed != 137 {
		t.Errorf("%d signed packages", signed)
	}
}

func verifyHeader(header, signature []byte, keys *Keyring) (*Signer, error) {
	return VerifyDetached(bytes.NewReader(header), bytes.NewReader(signature), keys, time.Time{})
}

// queryLine is what rpm prints of a package in the format above.
func queryLine(p *Package) string {
	join := func(deps []Dependency) string {
		var b strings.Builder
		for _, d := range deps {
			b.WriteString(d.String() + "|")
		}
		return b.String()
	}
	return strings.Join([]string{p.SourceRPM, p.Vendor, strconv.FormatInt(p.BuildTime.Unix(), 10), strconv.FormatUint(p.InstalledSize, 10), join(p.Requires), join(p.Provides)}, "\t")
}
