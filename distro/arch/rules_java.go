package arch

import (
	"bytes"
	"crypto/sha1" // which the format of Java's key stores is closed with
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// The form of Java's key stores, as sun.security.provider.JavaKeyStore writes
// them: numbers are big-endian, strings have their length in two bytes before
// them.
const (
	javaMagic       = "\xfe\xed\xfe\xed\x00\x00\x00\x02"
	javaCertificate = 2 // the tag of an entry that is a certificate
	javaDate        = 8 // bytes, of milliseconds since 1970
)

// javaSeal is what the sum at the end begins with: the password, which everyone
// knows, in UTF-16, and two words that the format has there.
var javaSeal = []byte("\x00c\x00h\x00a\x00n\x00g\x00e\x00i\x00tMighty Aphrodite")

// errNoKeyStore is a key store that breaks its format.
var errNoKeyStore = errors.New("it is no key store of Java's")

// clampJavaStore sets the dates of the certificates in a key store of Java's to
// the epoch where they are later, sorts them, and sums it up anew. One with
// another password or with private keys is left as it is.
func clampJavaStore(_ string, store []byte, epoch time.Time) ([]byte, error) {
	end := len(store) - sha1.Size
	if end < len(javaMagic)+4 || !bytes.HasPrefix(store, []byte(javaMagic)) {
		return store, nil // such as a PKCS #12 file
	}
	if sum := sumJavaStore(store[:end]); !bytes.Equal(sum[:], store[end:]) {
		return store, nil
	}
	out := bytes.Clone(store)
	rest := out[len(javaMagic):end]
	count := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	take := func(n uint32) (b []byte, ok bool) {
		if uint64(n) > uint64(len(rest)) {
			return nil, false
		}
		b, rest = rest[:n], rest[n:]
		return b, true
	}
	text := func() bool {
		n, ok := take(2)
		if ok {
			_, ok = take(uint32(binary.BigEndian.Uint16(n)))
		}
		return ok
	}
	var entries [][]byte
	for range count {
		entry := rest
		tag, ok := take(4)
		if ok && binary.BigEndian.Uint32(tag) != javaCertificate {
			return store, nil
		}
		if !ok || !text() {
			return nil, errNoKeyStore
		}
		date, ok := take(javaDate)
		if !ok || !text() {
			return nil, errNoKeyStore
		}
		if at := uint64(epoch.UnixMilli()); binary.BigEndian.Uint64(date) > at {
			binary.BigEndian.PutUint64(date, at)
		}
		size, ok := take(4)
		if ok {
			_, ok = take(binary.BigEndian.Uint32(size))
		}
		if !ok {
			return nil, errNoKeyStore
		}
		entries = append(entries, entry[:len(entry)-len(rest)])
	}
	slices.SortFunc(entries, bytes.Compare)
	copy(out[len(javaMagic)+4:], bytes.Join(entries, nil))
	sum := sumJavaStore(out[:end])
	copy(out[end:], sum[:])
	return out, nil
}

func sumJavaStore(content []byte) [sha1.Size]byte {
	return sha1.Sum(append(bytes.Clone(javaSeal), content...))
}
