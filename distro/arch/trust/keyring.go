package trust

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GnuPG's defaults for what makes a key trusted.
const (
	marginalsNeeded = 3
	completesNeeded = 1
	maxDepth        = 5
)

// Values of ownertrust, as gpg --export-ownertrust writes them.
const (
	trustMarginal = 4
	trustFull     = 5
	trustUltimate = 6
)

// A Keyring holds keys and how far each is trusted to vouch for others. It may
// be used concurrently. The nil Keyring knows no key.
type Keyring struct {
	certs map[string]*certificate // by fingerprint
	keys  map[uint64][]member     // all primary keys and subkeys by long ID
	// owner is how far a key is trusted to vouch, by fingerprint.
	owner map[string]byte
	// valid are keys that need nobody to vouch for them, by fingerprint.
	valid map[string]bool
	// revoked are keys that are not to be used whatever they say.
	revoked              map[string]bool
	marginals, completes int
	trustAll             bool
}

// A member is a primary key, or the subkey of the given position.
type member struct {
	cert   *certificate
	subkey int // -1 for the primary key
}

func newKeyring() *Keyring {
	return &Keyring{
		certs: map[string]*certificate{}, keys: map[uint64][]member{}, owner: map[string]byte{},
		valid: map[string]bool{}, revoked: map[string]bool{},
		marginals: marginalsNeeded, completes: completesNeeded,
	}
}

// Load reads the files of usr/share/pacman/keyrings, by their names: NAME.gpg
// with the keys, binary; NAME-trusted with lines "fingerprint:ownertrust:" of
// the masters; NAME-revoked with lines of fingerprints. Other names are passed
// over. Without any key it fails. Nothing is verified before it is asked for.
func Load(files map[string][]byte) (*Keyring, error) {
	k := newKeyring()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var err error
		switch data := files[name]; {
		case strings.HasSuffix(name, ".gpg"):
			err = k.add(data)
		case strings.HasSuffix(name, "-trusted"):
			err = eachLine(data, k.addTrusted)
		case strings.HasSuffix(name, "-revoked"):
			err = eachLine(data, k.addRevoked)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(k.certs) == 0 {
		return nil, errors.New("no keyring of a distribution is there: install its keyring package, such as archlinux-keyring")
	}
	k.index()
	return k, nil
}

// TrustAll returns a keyring that trusts all its keys but those that are
// revoked, for a SigLevel of TrustAll.
func (k *Keyring) TrustAll() *Keyring {
	if k == nil {
		return nil
	}
	all := *k
	all.trustAll = true
	return &all
}

// Len returns how many keys there are, subkeys not counted.
func (k *Keyring) Len() int {
	if k == nil {
		return 0
	}
	return len(k.certs)
}

// eachLine calls fn for the lines that are neither blank nor comments.
func eachLine(data []byte, fn func(string) error) error {
	n := 0
	s := bufio.NewScanner(bytes.NewReader(data))
	for s.Scan() {
		n++
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := fn(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s.Err()
}

func (k *Keyring) addTrusted(line string) error {
	f, rest, _ := strings.Cut(line, ":")
	fingerprint, err := parseFingerprint(f)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(rest, ":"), 10, 8)
	if err != nil || n > trustUltimate {
		return fmt.Errorf("%.20q is no ownertrust", rest)
	}
	k.owner[fingerprint] = byte(n)
	k.valid[fingerprint] = true
	return nil
}

func (k *Keyring) addRevoked(line string) error {
	fingerprint, err := parseFingerprint(line)
	if err == nil {
		k.revoked[fingerprint] = true
	}
	return err
}

func parseFingerprint(s string) (string, error) {
	s = strings.ToUpper(s)
	if b, err := hex.DecodeString(s); err != nil || len(b) != 20 && len(b) != 32 {
		return "", fmt.Errorf("%.80q is no fingerprint", s)
	}
	return s, nil
}

// index makes the keys known by their IDs.
func (k *Keyring) index() {
	for _, f := range slices.Sorted(maps.Keys(k.certs)) {
		c := k.certs[f]
		k.keys[c.primary.KeyId] = append(k.keys[c.primary.KeyId], member{c, -1})
		for i, s := range c.subkeys {
			k.keys[s.key.KeyId] = append(k.keys[s.key.KeyId], member{c, i})
		}
	}
}
