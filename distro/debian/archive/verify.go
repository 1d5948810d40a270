package archive

import (
	"time"

	"github.com/samebits/samebits/distro/openpgp"
)

// form is what a Release.gpg, or the end of an InRelease, may have. As for
// apt, what cannot be understood does not count.
var form = openpgp.Form{PassOver: true}

// Verify checks an InRelease file and returns the text that is signed: nothing
// else in the file may be used. It wants a good signature by one of the keys
// and no bad one by any of them; signatures by keys that are not among them do
// not count.
//
// A key must not have expired at the time at. The zero at stands for the time
// at which each signature says that it was made: what was signed properly
// stays signed when the key expires later. A revoked key is refused whatever
// the time. An error is a [*SignatureError].
func Verify(inRelease []byte, keys *Keys, at time.Time) ([]byte, error) {
	c, err := splitClearsigned(inRelease)
	if err != nil {
		return nil, err
	}
	if err := VerifyDetached(c.signed, c.signature, keys, at); err != nil {
		return nil, err
	}
	return c.text, nil
}

// VerifyDetached checks a Release file by its Release.gpg, which may be binary
// or armored. Its rules are those of [Verify].
func VerifyDetached(release, signature []byte, keys *Keys, at time.Time) error {
	signatures, err := openpgp.ReadSignatures(signature, form)
	if err != nil {
		return err
	}
	_, err = openpgp.Verify(release, signatures, keys, at)
	return err
}
