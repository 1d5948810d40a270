// Package ukitest has EFI programs for tests. They are not for being run.
package ukitest

import (
	"encoding/binary"
	"strings"
)

// Program is a small EFI program for a machine: headers that end at room, and two
// sections of 512 bytes. A change, if there is one, is made to it.
func Program(machine uint16, room int, change func(b []byte)) []byte {
	le := binary.LittleEndian
	const table = 64 + 24 + 240
	b := make([]byte, room+512+512)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], machine)
	le.PutUint16(b[70:], 2)
	le.PutUint32(b[72:], 0x11223344) // a time
	le.PutUint16(b[84:], 240)
	o := b[88:]
	le.PutUint16(o, 0x20B)
	le.PutUint32(o[4:], 512)
	le.PutUint32(o[32:], 512)
	le.PutUint32(o[36:], 512)
	le.PutUint32(o[56:], 0x3000)
	le.PutUint32(o[60:], uint32(room))
	o[68] = 10
	le.PutUint32(o[108:], 16)
	for i, name := range []string{".text", ".data"} {
		s := b[table+40*i:]
		copy(s, name)
		le.PutUint32(s[8:], 300)
		le.PutUint32(s[12:], uint32(0x1000*(i+1)))
		le.PutUint32(s[16:], 512)
		le.PutUint32(s[20:], uint32(room+512*i))
		copy(b[room+512*i:], strings.Repeat(name, 300/5))
	}
	if change != nil {
		change(b)
	}
	return b
}
