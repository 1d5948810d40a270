package alpine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// alpineKeys are the keys that Alpine signs its releases with: SHA-256 of the
// key in DER, by the number in its name.
var alpineKeys = map[string]string{
	"4a6a0840": "4e0c26751a474db486b0a8f37e37ff02e12465e8cea8ef08614ac173cb870f28",
	"5243ef4b": "40e738cce781c04cac98adf11a1574efdf84209661f6c93098013a0b4809ca00",
	"524d27bb": "cc0b5f10577afdbb3ec288feae97d5681d508cd7086e45693a938e92322d5c5c",
	"5261cecb": "bb1f0937c138e81a838e0958c4c756547dac85794e38bf1a5536a0808dcf95f2",
	"58199dcc": "635a0325ac8c11ec329698586cd2a8e54c18ba376d5d4bc215a489e1a774fb88",
	"58cbb476": "f3d1a46b632166cee03485c05b63fd8687a7a7d8b1d27528718029c63a955319",
	"58e4f17d": "556c20b04b6b517652477f20108350367c125994f07196d765bd836063ffc236",
	"5e69ca50": "cae5d12519633b68c607cad9411669b3b18c041b123e8f08e49260697ee2c336",
	"60ac2099": "c0bd6da992b7158927aae7c11fc416a2c7d63fd2a47db238a0e8f636ebf2fc9d",
	"6165ee59": "8a70fc55f1a6fb2a392ad5a3e71aff82a637b2b33659c046f6b6a909bb5d1ab7",
	"61666e3f": "06216db06044f26845ff610f2c253863b9e01fbd4c5557871b8bfa2f5ac96e95",
	"616a9724": "4cff6544e8548bd10f959de619ab2184867c8016f03a5c6b8da6f3e88bfb1625",
	"616abc23": "654f5e12a67c95bedf92da80b6257abba7fe1df6698820825d793a33d677e3a1",
	"616ac3bc": "2ace5cf3235c095544c26ec946611836f39324aa264f75862fe0332eb17f0975",
	"616adfeb": "45d409999dd3e16dfce19757fc48f238ae775d17ca319e08e474a471f1ab6521",
	"616ae350": "479f16f4170a9ea0c65e1de854860949b1a549cfa1f43552f7a2e821c9e2f409",
	"616db30d": "32246c9a9673e3f6e7bef6c96031883d23078f41094ea6636d19a697f356420a",
}

const alpineKeyPrefix, alpineKeySuffix = "alpine-devel@lists.alpinelinux.org-", ".rsa.pub"

// A keyring is what a root trusts to sign indexes and packages.
type keyring struct {
	*apk.Keys
	files map[string][]byte // by name
}

// isAlpine reports whether the key of that name is one of Alpine's own: it
// has the name of one and the bytes of one.
func (k *keyring) isAlpine(name string) bool {
	number, ok := strings.CutPrefix(name, alpineKeyPrefix)
	if !ok {
		return false
	}
	number, ok = strings.CutSuffix(number, alpineKeySuffix)
	want, known := alpineKeys[number]
	if !ok || !known {
		return false
	}
	block, _ := pem.Decode(k.files[name])
	if block == nil {
		return false
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]) == want
}

const (
	maxKeys = 1000
	maxKey  = 1 << 16 // bytes
)

// keyring reads the keys that apk of this root trusts: those in etc/apk/keys,
// and in lib/apk/keys, which apk 3 has. A package may put others below
// usr/share/apk/keys; apk does not look there.
func (s *System) keyring() (*keyring, error) {
	k := &keyring{files: map[string][]byte{}}
	for _, dir := range []string{"lib/apk/keys", "etc/apk/keys"} {
		entries, err := s.Files.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(entries) > maxKeys {
			return nil, fmt.Errorf("%s has more than %d files", s.Files.Join(dir), maxKeys)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".pub") {
				continue
			}
			data, err := s.Files.ReadFile(dir+"/"+e.Name(), maxKey)
			if err != nil {
				s.events.Warning(fmt.Sprintf("the key %s is not used: %v", s.Files.Join(dir+"/"+e.Name()), err))
				continue
			}
			k.files[e.Name()] = data
		}
	}
	keys, err := apk.NewKeys(k.files)
	if err != nil {
		s.events.Warning(fmt.Sprintf("not all keys of %s are used: %v", s.Root, err))
	}
	if keys == nil {
		keys = &apk.Keys{}
	}
	k.Keys = keys
	return k, nil
}
