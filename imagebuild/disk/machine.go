package disk

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/gpt"
)

// A machine is what differs from one architecture to another.
type machine struct {
	efi          string // as firmware names its programs
	root, verity gpt.GUID
}

var machines = map[string]machine{
	"amd64":    {"x64", gpt.RootX86_64, gpt.RootVerityX86_64},
	"i386":     {"ia32", gpt.RootX86, gpt.RootVerityX86},
	"arm64":    {"aa64", gpt.RootARM64, gpt.RootVerityARM64},
	"arm":      {"arm", gpt.RootARM, gpt.RootVerityARM},
	"riscv64":  {"riscv64", gpt.RootRISCV64, gpt.RootVerityRISCV64},
	"loong64":  {"loongarch64", gpt.RootLoongArch64, gpt.RootVerityLoongArch64},
	"ppc64el":  {"", gpt.RootPPC64LE, gpt.RootVerityPPC64LE},
	"s390x":    {"", gpt.RootS390X, gpt.RootVerityS390X},
	"mips64el": {"", gpt.RootMIPS64LE, gpt.RootVerityMIPS64LE},
}

// alias are the names that distributions have for these, besides Debian's.
var alias = map[string]string{
	"x86_64": "amd64", "x86": "i386", "i686": "i386", "aarch64": "arm64", "armhf": "arm", "armv7": "arm",
	"armv7h": "arm", "armv7hl": "arm", "armel": "arm", "loongarch64": "loong64", "ppc64le": "ppc64el",
}

// debianName is what Debian calls an architecture.
func debianName(arch string) string {
	if a, ok := alias[arch]; ok {
		return a
	}
	return arch
}

func machineOf(arch string) (machine, error) {
	m, ok := machines[debianName(arch)]
	if !ok {
		return m, fmt.Errorf("no type of partition is known for the architecture %q", arch)
	}
	return m, nil
}
