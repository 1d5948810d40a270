package inspect

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/samebits/samebits/distro/decompress"
)

// unknownFormat is that of what is nothing known.
const unknownFormat = "data"

// manifestFormat is a list of files alone.
const manifestFormat = "mtree manifest"

// typeAttribute is the word for a partition's type.
const typeAttribute = "partition_type"

// format is one that is read. The first of the table that fits is taken, so that
// those are first whose magic number is less likely to be there by chance, and an
// ISO before the partition table that may be on it.
type format struct {
	name string // which open may make more exact
	is   func(head []byte, s source) bool
	open func(o *opener, p *Part, depth int)
}

// formats is the table: a function, since formats that have parts come back to it.
func formats() []format {
	return []format{
		{"qcow2", begins("QFI\xfb"), (*opener).qcow2},
		{manifestFormat, begins("#mtree"), (*opener).manifest},
		{"cpio", begins("07070"), (*opener).cpio},
		{"compressed", func(b []byte, _ source) bool { return decompress.Detect(b) != "" }, (*opener).compressed},
		{"squashfs", randomly("hsqs", 0), (*opener).squashfs},
		{"verity", randomly("verity\x00\x00", 0), (*opener).verity},
		{"efi program", isEFI, (*opener).efi},
		{"erofs", randomly("\xe2\xe1\xf5\xe0", 1024), (*opener).erofs},
		{"ext4", randomly("\x53\xef", 1024+0x38), (*opener).ext4},
		{"iso9660", randomly("CD001", 16*2048+1), (*opener).iso},
		{"gpt", isGPT, (*opener).gpt},
		{"tar", isTar, (*opener).tar},
		{"fat", isFAT, (*opener).fat},
		{"mbr", isMBR, (*opener).mbr},
	}
}

// strange are formats that are known by name, and by the identifiers that their
// headers have at fixed places.
var strange = []struct {
	name   string
	is     func(head []byte) bool
	remedy string
	// Where 16 bytes of a UUID are, and a label, 0 for nowhere.
	uuid, label, labelSize int
}{
	{name: "lock", is: has("# samebits lock", 0), remedy: "it is a lock: \"samebits lock inspect\" shows it"},
	{name: "luks", is: has("LUKS\xba\xbe", 0), remedy: "it is encrypted"},
	{name: "xfs", is: has("XFSB", 0), uuid: 32, label: 108, labelSize: 12},
	{name: "btrfs", is: has("_BHRfS_M", 64<<10+64), uuid: 64<<10 + 32, label: 64<<10 + 299, labelSize: 256},
	{name: "f2fs", is: has("\x10\x20\xf5\xf2", 1024), uuid: 1024 + 108},
	{name: "swap", is: has("SWAPSPACE2", 4096-10), uuid: 1036, label: 1052, labelSize: 16},
	{name: "lvm", is: has("LABELONE", 512)},
	{name: "ntfs", is: has("NTFS    ", 3)},
	{name: "exfat", is: has("EXFAT   ", 3)},
	{name: "vmdk", is: has("KDMV", 0), remedy: "convert it: qemu-img convert -O raw"},
	{name: "vhdx", is: has("vhdxfile", 0), remedy: "convert it: qemu-img convert -O raw"},
	{name: "device tree", is: has("\xd0\x0d\xfe\xed", 0)},
	{name: "bmp", is: has("BM", 0)},
	{name: "elf", is: has("\x7fELF", 0)},
	{name: "zip", is: has("PK\x03\x04", 0)},
}

func has(magic string, at int) func([]byte) bool {
	return func(b []byte) bool { return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic }
}

func begins(magic string) func([]byte, source) bool {
	return func(b []byte, _ source) bool { return has(magic, 0)(b) }
}

// randomly is for formats that have to be read at random.
func randomly(magic string, at int) func([]byte, source) bool {
	return func(b []byte, s source) bool { return s.at != nil && has(magic, at)(b) }
}

func isEFI(b []byte, s source) bool {
	if s.at == nil || len(b) < 64 || string(b[:2]) != "MZ" {
		return false
	}
	at := binary.LittleEndian.Uint32(b[60:])
	return int64(at)+4 <= int64(len(b)) && string(b[at:at+4]) == "PE\x00\x00"
}

func isGPT(b []byte, s source) bool {
	return s.at != nil && (has("EFI PART", 512)(b) || has("EFI PART", 4096)(b))
}

// isTar reports whether a header's sum is right, as also old archives have it
// that have no magic number.
func isTar(b []byte, _ source) bool {
	if len(b) < 512 || b[0] == 0 {
		return false
	}
	want, digits := 0, strings.Trim(string(b[148:156]), " \x00")
	for _, c := range []byte(digits) {
		if c < '0' || c > '7' {
			return false
		}
		want = want*8 + int(c-'0')
	}
	sum := 8 * int(' ')
	for i, c := range b[:512] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	return digits != "" && sum == want
}

// isFAT reports whether a boot sector has sizes that a FAT file system can have.
func isFAT(b []byte, s source) bool {
	if s.at == nil || len(b) < 512 || b[510] != 0x55 || b[511] != 0xAA || b[0] != 0xEB && b[0] != 0xE9 {
		return false
	}
	sector := binary.LittleEndian.Uint16(b[11:])
	return sector >= 512 && sector <= 4096 && sector&(sector-1) == 0 && b[13] != 0 && b[13]&(b[13]-1) == 0 &&
		binary.LittleEndian.Uint16(b[14:]) > 0 && (b[16] == 1 || b[16] == 2) && (b[21] == 0xF0 || b[21] >= 0xF8)
}

// isMBR reports whether a boot sector has a table of partitions.
func isMBR(b []byte, s source) bool {
	if s.at == nil || len(b) < 512 || b[510] != 0x55 || b[511] != 0xAA || bytes.Equal(b[446:510], make([]byte, 64)) {
		return false
	}
	for e := b[446:510]; len(e) > 0; e = e[16:] {
		if e[0]&0x7F != 0 {
			return false
		}
	}
	return true
}
