package grub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Dir is where distributions have GRUB's files for BIOSes.
const Dir = "usr/lib/grub/i386-pc"

// CodeSize is how much of a disk's first sector is code; what follows is the
// disk's signature and the table of partitions.
const CodeSize = 440

// MaxSize is the largest that a core image can be in bytes: it is loaded to
// 0x8200, and below 0xA0000 there is also what the firmware and GRUB keep.
const MaxSize = 0x78000

const (
	sectorSize = 512
	maxFile    = 1 << 20 // of GRUB's, bytes
)

// Options are what GRUB is to do.
type Options struct {
	// Modules are those that it has in itself, besides what they need.
	Modules []string
	// Prefix is where it looks for others and for grub.cfg, should the commands
	// end: "(,gpt1)/grub" is on the first partition of the disk that it was
	// started from, which then is where it looks for all files that name no disk.
	Prefix string
	// Commands are run at once, a line each, as [Command] makes them.
	Commands string
}

// An Image is a core image and what loads it.
type Image struct{ boot, core []byte }

// Make makes an image of the files in a tree.
func Make(t *tree.Tree, o Options) (*Image, error) {
	i, err := read(t, o)
	if err != nil {
		return nil, fmt.Errorf("GRUB for BIOSes: %w", err)
	}
	return i, nil
}

func read(t *tree.Tree, o Options) (*Image, error) {
	files := map[string][]byte{}
	for _, f := range []struct {
		name        string
		least, most int
	}{
		{"boot.img", sectorSize, sectorSize}, {"diskboot.img", sectorSize, sectorSize},
		{"lzma_decompress.img", 24, maxFile}, {"kernel.img", 52, maxFile}, {"moddep.lst", 0, maxFile},
	} {
		b, err := content(t, f.name)
		if err == nil && (len(b) < f.least || len(b) > f.most) {
			err = &tree.PathError{Path: Dir + "/" + f.name, Err: fmt.Errorf("it has %d bytes, and should have %d to %d", len(b), f.least, f.most)}
		}
		if err != nil {
			return nil, err
		}
		files[f.name] = b
	}
	program, err := kernel(files["kernel.img"])
	if err != nil {
		return nil, &tree.PathError{Path: Dir + "/kernel.img", Err: err}
	}
	modules, err := loadModules(t, files["moddep.lst"], o)
	if err != nil {
		return nil, err
	}
	i := &Image{boot: files["boot.img"]}
	i.core = join(files["diskboot.img"], files["lzma_decompress.img"], append(program, modules...))
	if len(i.core) > MaxSize {
		return nil, fmt.Errorf("the core image has %d bytes, more than %d: it has too many modules", len(i.core), MaxSize)
	}
	return i, nil
}

// content is one of GRUB's files.
func content(t *tree.Tree, name string) ([]byte, error) {
	n, ok := t.File(Dir + "/" + name)
	if !ok {
		return nil, fmt.Errorf("the image has no /%s/%s; lock the package grub-pc-bin (Debian, Ubuntu), grub-bios (Alpine), grub (Arch) or grub2-pc-modules (Fedora) too", Dir, name)
	}
	if size := n.Inode().Size; size > maxFile {
		return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("%d bytes are too many for a file of GRUB's", size)}
	}
	var b bytes.Buffer
	err := n.CopyTo(&b)
	return b.Bytes(), err
}

// Places in GRUB's files, in bytes.
const (
	coreSector   = 0x5C  // in boot.img: where the core image begins
	bootDrive    = 0x64  // the disk that it is on
	driveCheck   = 0x66  // a jump past a workaround
	blockList    = 0x1F4 // in diskboot.img: 8 bytes where the rest begins, 2 how long it is, in sectors
	packedSize   = 0x08  // in lzma_decompress.img
	unpackedSize = 0x0C
)

// join makes the core image.
func join(loader, unpacker, payload []byte) []byte {
	le := binary.LittleEndian
	packed := compress(payload)
	core := append(append(bytes.Clone(loader), unpacker...), packed...)
	le.PutUint32(core[sectorSize+packedSize:], uint32(len(packed)))
	le.PutUint32(core[sectorSize+unpackedSize:], uint32(len(payload)))
	core = append(core, make([]byte, -len(core)&(sectorSize-1))...)
	le.PutUint16(core[blockList+8:], uint16(len(core)/sectorSize-1))
	return core
}

// Size is how many bytes the core image has, a multiple of 512.
func (i *Image) Size() int64 { return int64(len(i.core)) }

// Code is the code of the first sector of a disk that has the core image at its
// byte start, a multiple of 512.
func (i *Image) Code(start int64) []byte {
	b := bytes.Clone(i.boot[:CodeSize])
	binary.LittleEndian.PutUint64(b[coreSector:], uint64(start/sectorSize))
	b[bootDrive] = 0xFF // the disk that the firmware says
	// With the jump gone, firmware is helped that does not say a hard disk.
	b[driveCheck], b[driveCheck+1] = 0x90, 0x90
	return b
}

// WriteCore writes the core image for a disk that has it at its byte start, a
// multiple of 512, to w from its byte 0 on.
func (i *Image) WriteCore(w io.WriterAt, start int64) error {
	b := bytes.Clone(i.core)
	binary.LittleEndian.PutUint64(b[blockList:], uint64(start/sectorSize+1))
	_, err := w.WriteAt(b, 0)
	return err
}

// linkAddress is where kernel.img runs.
const linkAddress = 0x9000

// kernel is the program that kernel.img holds, an ELF file of 32 bits, as it is
// in memory before what is zero. Modules follow it there.
func kernel(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if string(b[:6]) != "\x7fELF\x01\x01" || le.Uint16(b[16:]) != 2 || le.Uint16(b[18:]) != 3 {
		return nil, errors.New("it is no program for 32 bits of x86")
	}
	headers, size, count := int64(le.Uint32(b[28:])), int64(le.Uint16(b[42:])), int64(le.Uint16(b[44:]))
	if size < 32 || headers+size*count > int64(len(b)) {
		return nil, errors.New("its program headers are not in it")
	}
	var program []byte
	for h := b[headers:]; count > 0; h, count = h[size:], count-1 {
		if le.Uint32(h) != 1 {
			continue // it is not loaded
		}
		from, address, length := int64(le.Uint32(h[4:])), int64(le.Uint32(h[8:])), int64(le.Uint32(h[16:]))
		at := address - linkAddress
		if at < int64(len(program)) || at+length > maxFile || from+length > int64(len(b)) {
			return nil, fmt.Errorf("a segment of it, of %d bytes for address %#x, has no place", length, address)
		}
		program = append(program, make([]byte, at-int64(len(program)))...)
		program = append(program, b[from:from+length]...)
	}
	if len(program) == 0 {
		return nil, errors.New("there is no program in it")
	}
	return program, nil
}
