package rpm

import (
	"fmt"
	"io"
	"time"

	"github.com/samebits/samebits/distro/openpgp"
)

// Limits on signatures.
const (
	maxSignatureFile = 1 << 20   // bytes
	maxSignedFile    = 256 << 20 // bytes
)

// form is what packages and files of signatures may have.
var form = openpgp.Form{Version3: true}

// A Signer is who made a good signature.
type Signer = openpgp.Signer

// VerifyDetached checks a file such as repomd.xml by its signature, which may
// be binary or armored (repomd.xml.asc). It wants a good signature by one of
// the keys and no bad one by any of them; signatures by keys that are not
// among them do not count.
//
// A key must not have expired at the time at. The zero at stands for the time
// at which each signature says that it was made: what was signed properly
// stays signed when the key expires later. A revoked key is refused whatever
// the time. An error about the signature is a [*SignatureError].
func VerifyDetached(data, signature io.Reader, keys *Keyring, at time.Time) (*Signer, error) {
	blob, err := readAll(signature, maxSignatureFile)
	if err != nil {
		return nil, err
	}
	signatures, err := openpgp.ReadSignatures(blob, form)
	if err != nil {
		return nil, err
	}
	text, err := readAll(data, maxSignedFile)
	if err != nil {
		return nil, err
	}
	return openpgp.Verify(text, signatures, keys, at)
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}
