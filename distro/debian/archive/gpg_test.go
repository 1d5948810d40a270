package archive

import (
	"testing"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// A gpg makes what an archive signs.
type gpg struct {
	*openpgptest.GPG
	t testing.TB
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	return &gpg{openpgptest.NewGPG(t), t}
}

func (g *gpg) keys(names ...string) *Keys {
	g.t.Helper()
	k, err := ReadKeys(g.Export(names...))
	if err != nil {
		g.t.Fatal(err)
	}
	return k
}

// sign makes an InRelease file of text, signed by all of the keys.
func (g *gpg) sign(at, text string, names ...string) []byte {
	g.t.Helper()
	var args []string
	for _, n := range names {
		if len(n) == 40 { // a fingerprint: that very key, and not a newer subkey
			n += "!"
		}
		args = append(args, "-u", n)
	}
	return g.Run(at, text, append(args, "--clearsign")...)
}

const releaseText = `Origin: Example
Label: Example Extra
Suite: stable
Codename: one
Date: Sat, 11 Jul 2026 10:16:37 UTC
Architectures: amd64
Components: main
- a line that has to be escaped: -----BEGIN PGP SIGNATURE-----
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages
`
