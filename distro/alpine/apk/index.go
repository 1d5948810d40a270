package apk

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Bounds on an index. Alpine's largest has some 30,000 packages, 2 MiB stored
// and 10 MiB unpacked.
const (
	maxIndex        = 256 << 20
	maxIndexPlain   = 1 << 30
	maxDescription  = 64 << 10
	maxIndexEntries = 1 << 20
)

// An Index is what a repository offers.
type Index struct {
	Records     []Record
	Description string
	// Signer is the file name of the key that signed the index, empty if it
	// was not verified because there are no keys and it has no signature. Read
	// without keys it is only what the file claims.
	Signer string
	// PackagePath is how the paths of packages are made of the fields of their
	// records (apk 3's pkgname-spec, such as "${name:3}/${name}-${version}.apk"),
	// relative to the repository; empty for the usual way.
	PackagePath string
}

// ReadIndex reads an index: APKINDEX.tar.gz of apk 2 or an ADB file of apk 3,
// told apart by their first bytes. Its signature is checked before anything of
// it is read: it must be by one of keys, else the error is a
// [*SignatureError]. Where keys is nil, nothing is verified.
func ReadIndex(r io.Reader, keys *Keys) (*Index, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxIndex+1))
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	if len(data) > maxIndex {
		return nil, malformed("the index has more than %d bytes", maxIndex)
	}
	var x *Index
	switch {
	case bytes.HasPrefix(data, []byte("ADB")):
		x, err = readIndexADB(data, keys)
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		x, err = readIndexText(data, keys)
	default:
		err = malformed("it is neither an APKINDEX.tar.gz nor an ADB file")
	}
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	return x, nil
}

// readIndexText reads an APKINDEX.tar.gz: gzip members of signatures, and then
// what is signed, all the rest.
func readIndexText(data []byte, keys *Keys) (*Index, error) {
	signatures, signed, err := splitIndex(data)
	if err != nil {
		return nil, err
	}
	x := &Index{}
	if keys != nil {
		if x.Signer, err = keys.check(signatures, digestOf(signed)); err != nil {
			return nil, err
		}
	} else if len(signatures) > 0 {
		x.Signer = signatures[0].key
	}
	z, err := gzip.NewReader(bytes.NewReader(signed))
	if err != nil {
		return nil, unpackError(err)
	}
	if err := x.readTar(z); err != nil {
		return nil, err
	}
	return x, nil
}

// splitIndex takes the members of signatures off the front.
func splitIndex(data []byte) (signatures []signature, rest []byte, err error) {
	rest = data
	for {
		is, err := beginsWithSignature(rest)
		if err != nil || !is {
			return signatures, rest, err
		}
		r := bytes.NewReader(rest)
		plain, err := readMember(r)
		if err != nil {
			return nil, nil, err
		}
		more, err := readSignatures(plain)
		if err != nil {
			return nil, nil, err
		}
		if signatures = append(signatures, more...); len(signatures) > maxSignatures {
			return nil, nil, malformed("more than %d signatures", maxSignatures)
		}
		rest = rest[len(rest)-r.Len():]
	}
}

// beginsWithSignature looks at the begin of what the next member unpacks to.
func beginsWithSignature(data []byte) (bool, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return false, unpackError(err)
	}
	var head [len(signaturePrefix)]byte
	if _, err := io.ReadFull(z, head[:]); err != nil {
		return false, unpackError(err)
	}
	return isSignatures(head[:]), nil
}

// readTar reads the archive of DESCRIPTION and APKINDEX.
func (x *Index) readTar(z *gzip.Reader) error {
	limited := &io.LimitedReader{R: z, N: maxIndexPlain}
	tr := tar.NewReader(limited)
	found := false
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unpackError(err)
		}
		switch {
		case h.Name == "DESCRIPTION":
			text, err := io.ReadAll(io.LimitReader(tr, maxDescription))
			if err != nil {
				return unpackError(err)
			}
			x.Description = strings.TrimSpace(string(text))
		case h.Name == "APKINDEX" && !found:
			found = true
			text, err := readText(tr, h.Size)
			if err != nil {
				return err
			}
			if x.Records, err = parseIndex(text); err != nil {
				return err
			}
		}
	}
	// What follows the archive's end is padding; reading it checks the sums.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return unpackError(err)
	}
	if limited.N <= 0 {
		return malformed("it unpacks to more than %d bytes", maxIndexPlain)
	}
	if !found {
		return malformed("it holds no APKINDEX")
	}
	return nil
}

// readText reads size bytes that the archive's header promises.
func readText(r io.Reader, size int64) (string, error) {
	if size > maxIndexPlain {
		return "", malformed("APKINDEX has %d bytes", size)
	}
	var b strings.Builder
	b.Grow(int(min(size, 64<<20)))
	if _, err := io.Copy(&b, r); err != nil {
		return "", unpackError(err)
	}
	return b.String(), nil
}

// parseIndex reads the text form: records of lines of a letter, a colon and a
// value, ended by an empty line.
func parseIndex(text string) ([]Record, error) {
	out := make([]Record, 0, min(strings.Count(text, "\n\n")+1, maxIndexEntries))
	var cur Record
	open := false
	finish := func(line int) error {
		if !open {
			return nil
		}
		open = false
		if err := cur.check(); err != nil {
			return fmt.Errorf("APKINDEX:%d: %w", line, err)
		}
		if len(out) == maxIndexEntries {
			return malformed("more than %d packages", maxIndexEntries)
		}
		out = append(out, cur)
		cur = Record{}
		return nil
	}
	n := 0
	for text != "" {
		n++
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" {
			if err := finish(n); err != nil {
				return nil, err
			}
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			return nil, fmt.Errorf("APKINDEX:%d: %w", n, malformed("%q is no field", clip(line)))
		}
		open = true
		if err := cur.setField(line[0], line[2:]); err != nil {
			return nil, fmt.Errorf("APKINDEX:%d: %w", n, err)
		}
	}
	if err := finish(n); err != nil {
		return nil, err
	}
	return out, nil
}
