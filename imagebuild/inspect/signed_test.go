package inspect_test

import (
	"io"
	"os"
	"slices"
	"testing"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Who signed a program is told, and whether that holds.
func TestSignedPrograms(t *testing.T) {
	plain := program()
	key, err := os.ReadFile("../secureboot/testdata/db.key")
	must(t, err)
	certificate, err := os.ReadFile("../secureboot/testdata/db.crt")
	must(t, err)
	signer, err := secureboot.NewSigner(key, certificate)
	must(t, err)
	signed, err := signer.Sign(tree.Bytes(plain), int64(len(plain)))
	must(t, err)
	path := file(t, "signed.efi", func(f *os.File) error {
		r, err := signed.Open()
		must(t, err)
		defer r.Close()
		_, err = io.Copy(f, r)
		return err
	})
	if got, _ := open(t, path).Attribute("signers").([]string); !slices.Equal(got, []string{"CN=samebits test"}) {
		t.Errorf("it is said to be signed by %q", got)
	}
	if list, all := wrong(t, path); len(list) > 0 || all < 2 {
		t.Errorf("of %d checks fail %q", all, list)
	}
	changed := damaged(t, path, func(b []byte) { b[len(plain)-1] ^= 1 })
	const want = "signature 1 holds: the program is another than the one that was signed"
	if list, _ := wrong(t, changed); !slices.Contains(list, want) {
		t.Errorf("of a changed program fail %q, want %q", list, want)
	}
}
