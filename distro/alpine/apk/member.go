package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	_ "crypto/sha1"   // apk 2 signs and identifies by it
	_ "crypto/sha256" // .SIGN.RSA256
	_ "crypto/sha512" // .SIGN.RSA512

	"github.com/klauspost/compress/gzip"
)

const (
	signaturePrefix = ".SIGN."

	// Bounds on signature and control segments, stored and unpacked. Control
	// segments hold a few scripts; the largest of Alpine have some 100 KiB.
	maxMember      = 8 << 20
	maxMemberPlain = 64 << 20
	maxSignature   = 64 << 10
	maxSignatures  = 64
)

// A byteReader is what gzip never reads more from than a member has.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// A tap keeps what is read through it, up to a bound.
type tap struct {
	r    *bufio.Reader
	kept []byte
}

var errMemberTooLarge = fmt.Errorf("%w: a signature or control segment has more than %d bytes", ErrFormat, maxMember)

func (t *tap) ReadByte() (byte, error) {
	c, err := t.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if len(t.kept) >= maxMember {
		return 0, errMemberTooLarge
	}
	t.kept = append(t.kept, c)
	return c, nil
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if len(t.kept)+n > maxMember {
		return 0, errMemberTooLarge
	}
	t.kept = append(t.kept, p[:n]...)
	return n, err
}

// member reads the next gzip member: its stored bytes and what they unpack to.
func (t *tap) member() (stored, plain []byte, err error) {
	t.kept = nil
	plain, err = readMember(t)
	return t.kept, plain, err
}

// readMember unpacks one gzip member and leaves r behind it.
func readMember(r byteReader) ([]byte, error) {
	z := unpackers.Get().(*gzip.Reader)
	defer unpackers.Put(z)
	if err := z.Reset(r); err != nil {
		return nil, unpackError(err)
	}
	z.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(z, maxMemberPlain+1))
	if err != nil {
		return nil, unpackError(err)
	}
	if len(plain) > maxMemberPlain {
		return nil, malformed("a signature or control segment unpacks to more than %d bytes", maxMemberPlain)
	}
	return plain, nil
}

// unpackers are kept for the next member: the tables of one are large.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// unpackError marks an error as one of the bytes.
func unpackError(err error) error {
	if errors.Is(err, ErrFormat) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the file ends too early")
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// isSignatures tells whether what a member unpacks to begins with a signature.
func isSignatures(plain []byte) bool { return bytes.HasPrefix(plain, []byte(signaturePrefix)) }

// readSignatures reads a member that holds signatures and nothing else, as
// "abuild-sign" puts it before the others. Signatures of kinds that are not
// known are left out.
func readSignatures(plain []byte) ([]signature, error) {
	var out []signature
	tr := tar.NewReader(bytes.NewReader(plain))
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the signature segment: %w", ErrFormat, err)
		}
		if !strings.HasPrefix(h.Name, signaturePrefix) || n >= maxSignatures {
			return nil, malformed("the signature segment holds %q", h.Name)
		}
		kind, key, _ := strings.Cut(h.Name[len(signaturePrefix):], ".")
		hash := signatureHash(kind)
		if hash == 0 || h.Size > maxSignature || key == "" || key != path.Base(key) {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return nil, fmt.Errorf("%w: the signature segment: %w", ErrFormat, err)
		}
		out = append(out, signature{hash: hash, key: key, data: data})
	}
}

// signatureHash returns the digest that a kind of signature signs, 0 for the
// kinds that are not known.
func signatureHash(kind string) crypto.Hash {
	switch kind {
	case "RSA":
		return crypto.SHA1
	case "RSA256":
		return crypto.SHA256
	case "RSA512":
		return crypto.SHA512
	}
	return 0
}

// digestOf returns a function that hashes data.
func digestOf(data []byte) func(crypto.Hash) []byte {
	return func(h crypto.Hash) []byte {
		d := h.New()
		d.Write(data)
		return d.Sum(nil)
	}
}
