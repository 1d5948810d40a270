package trust

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// LoadGnuPG reads the files of pacman's GPGDir, by their names: pubring.gpg
// and pubring.kbx with the keys, trustdb.gpg with the ownertrust that was
// given to them. Other names are passed over. What counts is what gpg would
// make of it: the key that pacman-key made is trusted ultimately and has
// signed the masters; keys that were disabled are taken for revoked. Where
// those files are not what is there, as with the database of keyboxd, it
// fails.
func LoadGnuPG(files map[string][]byte) (*Keyring, error) {
	k := newKeyring()
	for _, load := range []struct {
		name string
		add  func([]byte) error
	}{
		{"pubring.gpg", k.add},
		{"pubring.kbx", k.addKeybox},
		{"trustdb.gpg", k.addTrustDB},
	} {
		if data := files[load.name]; len(data) > 0 {
			if err := load.add(data); err != nil {
				return nil, fmt.Errorf("%s: %w", load.name, err)
			}
		}
	}
	switch {
	case len(k.certs) == 0:
		return nil, errors.New("neither pubring.gpg nor pubring.kbx has a key that can be read without gpg: run pacman-key --init and pacman-key --populate, or install the distribution's keyring package")
	case len(k.valid) == 0:
		return nil, errors.New("trustdb.gpg has no key that is trusted ultimately: run pacman-key --init and pacman-key --populate, or install the distribution's keyring package")
	}
	k.index()
	return k, nil
}

// The layout of a keybox: blobs that begin with their length, type, version
// and flags, then where the key is within and how long that is.
const (
	blobHeader  = 16
	blobFirst   = 1
	blobOpenPGP = 2
)

// addKeybox takes the keys of a keybox (doc/keybox-format of GnuPG).
func (k *Keyring) addKeybox(data []byte) error {
	for at := 0; len(data) > 0; {
		if len(data) < blobHeader {
			return fmt.Errorf("the keybox is cut off at byte %d", at)
		}
		size := binary.BigEndian.Uint32(data)
		if size < blobHeader || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("the keybox has a blob of %d bytes at byte %d", size, at)
		}
		blob := data[:size]
		if at == 0 && (blob[4] != blobFirst || !bytes.Equal(blob[8:12], []byte("KBXf"))) {
			return errors.New("it is no keybox")
		}
		if blob[4] == blobOpenPGP {
			from, n := uint64(binary.BigEndian.Uint32(blob[8:])), uint64(binary.BigEndian.Uint32(blob[12:]))
			if from+n > uint64(size) {
				return fmt.Errorf("the keybox has a key outside of its blob at byte %d", at)
			}
			if err := k.addPackets(bytes.NewReader(blob[from : from+n])); err != nil {
				return err
			}
		}
		at += int(size)
		data = data[size:]
	}
	return nil
}

// The layout of a trustdb: records of one size, of which the first says what
// is asked of certifications and those of type 12 give the ownertrust of keys.
const (
	recordSize  = 40
	recordTrust = 12

	ownerMask     = 0x0f
	ownerDisabled = 0x80
)

// addTrustDB takes the ownertrust of a trustdb (doc/DETAILS of GnuPG).
func (k *Keyring) addTrustDB(data []byte) error {
	if len(data)%recordSize != 0 || len(data) == 0 || !bytes.Equal(data[:5], []byte("\x01gpg\x03")) {
		return errors.New("it is no trustdb of version 3")
	}
	if data[5] > 0 && data[6] > 0 {
		k.marginals, k.completes = int(data[5]), int(data[6])
	}
	for ; len(data) > 0; data = data[recordSize:] {
		if data[0] != recordTrust {
			continue
		}
		fingerprint, owner := fmt.Sprintf("%X", data[2:22]), data[22]
		switch o := owner & ownerMask; o {
		case trustUltimate:
			k.valid[fingerprint] = true
			fallthrough
		case trustMarginal, trustFull:
			k.owner[fingerprint] = o
		}
		if owner&ownerDisabled != 0 {
			k.revoked[fingerprint] = true
		}
	}
	return nil
}
