package openpgp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// packetOf is a packet with a body of fewer than 192 bytes.
func packetOf(tag byte, body ...byte) []byte {
	return append([]byte{0xc0 | tag, byte(len(body))}, body...)
}

func TestForms(t *testing.T) {
	s := openpgptest.NewSigner(t)
	keys := keysOf(t, s.Keyring())
	three, four := s.Version3([]byte(text)), s.Version4([]byte(text))
	version2 := packetOf(2, append([]byte{2, 5}, make([]byte, 17)...)...)
	// Of an algorithm that is yet to come, as a later gpg may add.
	algorithm := packetOf(2, slices.Concat([]byte{4, 0, 99, 8, 0, 6, 5, 2}, binary.BigEndian.AppendUint32(nil, 1_650_000_000), []byte{0, 0, 1, 2, 3, 4})...)
	allowed := func(form Form) string {
		switch form {
		case Form{}:
			return "nothing"
		case Form{Version3: true}:
			return "version 3"
		case Form{PassOver: true}:
			return "what is not known"
		}
		return "both"
	}
	no, yes := ErrMalformed, error(nil)
	for _, c := range []struct {
		name string
		data []byte
		want [4]error // none, Version3, PassOver, both
	}{
		{"version 4", four, [4]error{yes, yes, yes, yes}},
		{"version 3", three, [4]error{no, yes, ErrNoSignature, yes}},
		{"version 2", version2, [4]error{no, no, ErrNoSignature, ErrNoSignature}},
		{"an algorithm that is not known", algorithm, [4]error{no, no, ErrNoSignature, ErrNoSignature}},
		{"one that is known beside", slices.Concat(algorithm, four), [4]error{no, no, yes, yes}},
		{"a note of gpg's", slices.Concat(packetOf(12, 0), four), [4]error{no, no, yes, yes}},
		{"a marker", slices.Concat(packetOf(10, 'P', 'G', 'P'), four), [4]error{no, no, yes, yes}},
		{"a packet that must be understood", slices.Concat(packetOf(30, 0), four), [4]error{no, no, no, no}},
		{"a user ID", slices.Concat(packetOf(13, 'x'), four), [4]error{no, no, no, no}},
		{"version 3, cut short", packetOf(2, three[3:21]...), [4]error{no, no, ErrNoSignature, no}},
		{"version 3, cut shorter", packetOf(2, three[3:13]...), [4]error{no, no, ErrNoSignature, no}},
		{"an empty one", packetOf(2), [4]error{no, no, no, no}},
		{"cut off", four[:len(four)-1], [4]error{no, no, no, no}},
	} {
		for i, form := range []Form{{}, {Version3: true}, {PassOver: true}, {Version3: true, PassOver: true}} {
			signatures, err := ReadSignatures(c.data, form)
			if err == nil {
				_, err = Verify([]byte(text), signatures, keys, time.Time{})
			}
			if !errors.Is(err, c.want[i]) || (err == nil) != (c.want[i] == nil) {
				t.Errorf("%s, allowed %s: %v, want %v", c.name, allowed(form), err, c.want[i])
			}
		}
	}
}

func TestManySignatures(t *testing.T) {
	one := openpgptest.NewSigner(t).Version4(nil)
	if s, err := ReadSignatures(bytes.Repeat(one, MaxSignatures), Form{}); err != nil || len(s) != MaxSignatures {
		t.Error(len(s), err)
	}
	if _, err := ReadSignatures(bytes.Repeat(one, MaxSignatures+1), Form{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d signatures: %v", MaxSignatures+1, err)
	}
}
