package arch

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"io"
	"slices"
	"strings"
)

// architecture returns the system's own architecture in the words of Arch: the
// first that pacman.conf names and, where that is "auto", what makepkg.conf
// says, what the programs are made for, or what the packages are of; "" where
// nothing tells.
func (s *System) architecture() string {
	for _, a := range s.Config.Architectures {
		if a != "auto" {
			return a
		}
	}
	for _, find := range []func() string{s.makepkgArch, s.programArch, s.packagesArch} {
		if a := find(); a != "" {
			return a
		}
	}
	return ""
}

// architectures lists all whose packages the system takes but "any", its own
// first.
func (s *System) architectures() []string {
	out := []string{s.id.Arch}
	for _, a := range s.Config.Architectures {
		if a != "auto" && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// makepkgArch reads the architecture that packages are built for.
func (s *System) makepkgArch() string {
	data, err := s.Files.ReadFile("etc/makepkg.conf", maxConfig)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(data) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "CARCH="); ok {
			if a := strings.Trim(value, `"'`); word(a) == a {
				return a
			}
		}
	}
	return ""
}

// programArch looks at the head of a program that every system has.
func (s *System) programArch() string {
	for _, name := range []string{"usr/bin/bash", "usr/bin/pacman", "usr/bin/sh"} {
		f, err := s.Files.Open(name)
		if err != nil {
			continue
		}
		var head [20]byte
		_, err = io.ReadFull(f, head[:])
		f.Close()
		if err == nil {
			return machine(head[:])
		}
	}
	return ""
}

// machine names the machine of an ELF file by its first 20 bytes.
func machine(head []byte) string {
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return ""
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	wide := elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS64
	switch elf.Machine(order.Uint16(head[18:])) {
	case elf.EM_X86_64:
		return "x86_64"
	case elf.EM_386:
		return "i686"
	case elf.EM_AARCH64:
		return "aarch64"
	case elf.EM_ARM:
		return "armv7h"
	case elf.EM_LOONGARCH:
		return "loong64"
	case elf.EM_PPC64:
		return "powerpc64le"
	case elf.EM_RISCV:
		if wide {
			return "riscv64"
		}
	}
	return ""
}

// packagesArch returns the architecture that most packages are of.
func (s *System) packagesArch() string {
	all, _, err := s.readLocal(context.Background())
	if err != nil {
		return ""
	}
	count := map[string]int{}
	best := ""
	for _, p := range all {
		if p.Arch == "any" {
			continue
		}
		count[p.Arch]++
		if n := count[p.Arch] - count[best]; best == "" || n > 0 || n == 0 && p.Arch < best {
			best = p.Arch
		}
	}
	return best
}
