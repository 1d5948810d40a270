package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

const (
	maxPackage = 64 << 30 // bytes of a whole package
	maxPkgInfo = 4 << 20
)

// CheckPackage reads a whole package and holds it against want: name and
// version must be equal, the architecture too unless want has none or one of
// them is "noarch" (indexes give packages for all architectures that of the
// repository), and the size where want tells it.
//
// Where want has an Identity, the package must have it, and through it its
// data. Where it has none, the package's own signature must be by one of keys.
// A signature by one of keys that is not good is refused in any case; without
// keys none is looked at, and a package without an identity is refused.
//
// What is wrong is a [*MismatchError], a [*SignatureError], or wraps
// [ErrFormat]. The reader is read to its end if the package is good; nothing
// but the control data is kept in memory.
func CheckPackage(r io.Reader, want Record, keys *Keys) error {
	counted := &sizer{r: r, max: packageBound(want)}
	b := readers.Get().(*bufio.Reader)
	defer putReader(b)
	b.Reset(counted)
	head, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the package: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("ADB")):
		err = checkPackageADB(b, want, keys)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		err = checkPackageTar(b, want, keys)
	default:
		err = malformed("it is no package of apk")
	}
	if counted.err != nil {
		err = counted.err
	}
	if err == nil && want.Size > 0 && counted.n != want.Size {
		err = &MismatchError{What: "size", Got: strconv.FormatInt(counted.n, 10), Want: strconv.FormatInt(want.Size, 10)}
	}
	if err != nil {
		return fmt.Errorf("check the package %s-%s: %w", want.Name, want.Version, err)
	}
	return nil
}

// readers are kept for the next package, of which there are hundreds.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

func putReader(b *bufio.Reader) {
	b.Reset(nil)
	readers.Put(b)
}

// ReadPackage reads what a package file says that it is. It reads no further
// than the control data and verifies nothing: Identity is that of the bytes
// read (what an index would have to say for [CheckPackage] to pass), Size is
// not told.
func ReadPackage(r io.Reader) (Record, error) {
	counted := &sizer{r: r, max: maxPackage}
	b := readers.Get().(*bufio.Reader)
	defer putReader(b)
	b.Reset(counted)
	head, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("read the package: %w", err)
	}
	var rec Record
	switch {
	case bytes.HasPrefix(head, []byte("ADB")):
		rec, err = readPackageADB(b)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		var c *control
		if c, err = readControl(b); err == nil {
			rec = c.record
		}
	default:
		err = malformed("it is no package of apk")
	}
	if counted.err != nil {
		err = counted.err
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the package: %w", err)
	}
	return rec, nil
}

// packageBound is how many bytes a package may have.
func packageBound(want Record) int64 {
	if want.Size > 0 {
		return want.Size
	}
	return maxPackage
}

// A sizer refuses more bytes than max, and keeps what went wrong with reading
// apart from what is wrong with the bytes.
type sizer struct {
	r   io.Reader
	max int64
	n   int64
	err error
}

func (s *sizer) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if s.n > s.max {
		err = &MismatchError{What: "size", Got: "more than " + strconv.FormatInt(s.max, 10), Want: strconv.FormatInt(s.max, 10)}
		n = 0
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// control is what comes before the data of a package of apk 2.
type control struct {
	signatures []signature
	stored     []byte // the control segment as it stands in the file
	record     Record
}

// readControl reads the signature and control segments and leaves b at the
// data segment.
func readControl(b *bufio.Reader) (*control, error) {
	c := &control{}
	t := &tap{r: b}
	for {
		stored, plain, err := t.member()
		if err != nil {
			return nil, err
		}
		if !isSignatures(plain) {
			c.stored = stored
			c.record, err = readPkgInfo(plain)
			if err != nil {
				return nil, err
			}
			sum := sha1.Sum(stored)
			c.record.Identity = sum[:]
			return c, nil
		}
		more, err := readSignatures(plain)
		if err != nil {
			return nil, err
		}
		if c.signatures = append(c.signatures, more...); len(c.signatures) > maxSignatures {
			return nil, malformed("more than %d signatures", maxSignatures)
		}
	}
}

// checkPackageTar checks a package of apk 2.
func checkPackageTar(b *bufio.Reader, want Record, keys *Keys) error {
	c, err := readControl(b)
	if err != nil {
		return err
	}
	if err := c.trust(want, keys); err != nil {
		return err
	}
	if err := compareRecords(c.record, want); err != nil {
		return err
	}
	if c.record.DataHash == "" {
		return malformed("its .PKGINFO has no datahash")
	}
	h := sha256.New()
	n, err := io.Copy(h, b)
	if err != nil {
		return err
	}
	if n == 0 {
		return malformed("it has no data segment")
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.record.DataHash {
		return &MismatchError{What: "data", Got: "sha256:" + got, Want: "sha256:" + c.record.DataHash}
	}
	return nil
}

// trust decides whether the control segment is to be believed.
func (c *control) trust(want Record, keys *Keys) error {
	if len(want.Identity) > 0 {
		if err := compareIdentity(identityLike(c.stored, want.Identity), want.Identity); err != nil {
			return err
		}
	} else if keys == nil {
		return &SignatureError{Reason: ErrUnknownKey}
	}
	if keys == nil {
		return nil
	}
	_, err := keys.check(c.signatures, digestOf(c.stored))
	if len(want.Identity) > 0 && (errors.Is(err, ErrNoSignature) || errors.Is(err, ErrUnknownKey)) {
		return nil // the index vouches for it
	}
	return err
}

// identityLike returns the identity of a control segment in the form of want.
func identityLike(stored, want []byte) []byte {
	if len(want) == sha256.Size {
		return digestOf(stored)(crypto.SHA256)
	}
	return digestOf(stored)(crypto.SHA1)
}

func compareIdentity(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return &MismatchError{What: "identity", Got: hex.EncodeToString(got), Want: hex.EncodeToString(want)}
	}
	return nil
}

// compareRecords compares what both a package and an index say.
func compareRecords(got, want Record) error {
	switch {
	case got.Name != want.Name:
		return &MismatchError{What: "name", Got: got.Name, Want: want.Name}
	case got.Version != want.Version:
		return &MismatchError{What: "version", Got: got.Version, Want: want.Version}
	case want.Arch != "" && got.Arch != want.Arch && got.Arch != "noarch" && want.Arch != "noarch":
		return &MismatchError{What: "architecture", Got: got.Arch, Want: want.Arch}
	}
	return nil
}

// readPkgInfo finds .PKGINFO in the control segment.
func readPkgInfo(plain []byte) (Record, error) {
	tr := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return Record{}, malformed("its control segment has no .PKGINFO")
		}
		if err != nil {
			return Record{}, fmt.Errorf("%w: its control segment: %w", ErrFormat, err)
		}
		if h.Name != ".PKGINFO" {
			continue
		}
		if h.Size > maxPkgInfo {
			return Record{}, malformed(".PKGINFO has %d bytes", h.Size)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return Record{}, fmt.Errorf("%w: its control segment: %w", ErrFormat, err)
		}
		return parsePkgInfo(string(text))
	}
}

// pkgInfoFields gives the letters of the text form to the keys of .PKGINFO.
var pkgInfoFields = map[string]byte{
	"pkgname": 'P', "pkgver": 'V', "arch": 'A', "size": 'I', "builddate": 't',
	"depend": 'D', "provides": 'p', "install_if": 'i', "replaces": 'r',
	"provider_priority": 'k', "replaces_priority": 'q', "origin": 'o',
	"pkgdesc": 'T', "url": 'U', "license": 'L', "maintainer": 'm', "commit": 'c',
}

// parsePkgInfo reads lines of a key, " = " and a value.
func parsePkgInfo(text string) (Record, error) {
	var r Record
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		key, value, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if key == "datahash" {
			if b, err := hex.DecodeString(value); err != nil || len(b) != sha256.Size {
				return r, fmt.Errorf(".PKGINFO:%d: %w", n, malformed("%q is no SHA-256", clip(value)))
			}
			r.DataHash = strings.ToLower(value)
			continue
		}
		if letter := pkgInfoFields[key]; letter != 0 {
			if err := r.setField(letter, value); err != nil {
				return r, fmt.Errorf(".PKGINFO:%d: %s: %w", n, key, err)
			}
		}
	}
	return r, r.check()
}
