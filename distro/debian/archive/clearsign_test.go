package archive

import (
	"bytes"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
)

const signedByNobody = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: x  
- - dashes
- -----BEGIN PGP SIGNATURE-----

last
-----BEGIN PGP SIGNATURE-----

aGVsbG8=
=xxxx
-----END PGP SIGNATURE-----
`

func TestSplitClearsigned(t *testing.T) {
	c, err := splitClearsigned([]byte(signedByNobody))
	if err != nil {
		t.Fatal(err)
	}
	if want := "Origin: x\n- dashes\n-----BEGIN PGP SIGNATURE-----\n\nlast\n"; string(c.text) != want {
		t.Errorf("text %q, want %q", c.text, want)
	}
	if want := "Origin: x\r\n- dashes\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\nlast"; string(c.signed) != want {
		t.Errorf("signed %q, want %q", c.signed, want)
	}
}

// FuzzSplitClearsigned holds that what is accepted means the same to another
// reader of the format, and that the text is what is signed.
func FuzzSplitClearsigned(f *testing.F) {
	f.Add([]byte(signedByNobody))
	f.Add(bytes.ReplaceAll([]byte(signedByNobody), []byte("\n"), []byte("\r\n")))
	f.Add([]byte(beginMessage + "\n\n" + beginSignature + "\n" + endSignature))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := splitClearsigned(data)
		if err != nil {
			return
		}
		if want := append(bytes.ReplaceAll(c.signed, []byte("\r\n"), []byte("\n")), '\n'); len(c.text) > 0 && !bytes.Equal(c.text, want) {
			t.Fatalf("text %q, signed %q", c.text, c.signed)
		}
		if block, _ := clearsign.Decode(data); block != nil && !bytes.Equal(block.Bytes, c.signed) {
			t.Fatalf("signed %q, another reader has %q", c.signed, block.Bytes)
		}
	})
}
