package gpt

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an identifier in the form c12a7328-f81f-11d2-ba4b-00a0c93ec93b, in
// small letters.
type GUID string

const zeroGUID GUID = "00000000-0000-0000-0000-000000000000"

// FormatGUID is the identifier whose digits are those of 16 bytes in their
// order, as RFC 9562 has it.
func FormatGUID(b [16]byte) GUID {
	h := hex.EncodeToString(b[:])
	return GUID(strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"))
}

// swapped are where the bytes of a GUID's text are on disk: its first three
// parts are numbers, the least byte of which is first.
var swapped = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

// disk is the identifier as a table has it.
func (g GUID) disk() (out [16]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(string(g), "-", ""))
	if err != nil || len(raw) != 16 || FormatGUID([16]byte(raw)) != g {
		return out, fmt.Errorf("%q is no GUID in small letters", string(g))
	}
	for i, from := range swapped {
		out[i] = raw[from]
	}
	return out, nil
}

// parseDisk is the identifier that a table has.
func parseDisk(b []byte) GUID {
	var raw [16]byte
	for i, to := range swapped {
		raw[to] = b[i]
	}
	return FormatGUID(raw)
}
