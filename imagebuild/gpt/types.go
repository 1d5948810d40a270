package gpt

// Types of partitions that are the same for all architectures, as the
// Discoverable Partitions Specification names them, but for BIOSBoot, which is
// GRUB's, and MicrosoftData.
const (
	ESP           GUID = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	XBOOTLDR      GUID = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
	Swap          GUID = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
	Home          GUID = "933ac7e1-2eb4-4f13-b844-0e14e2aef915"
	Srv           GUID = "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"
	Var           GUID = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
	Tmp           GUID = "7ec6f557-3bc5-4aca-b293-16ef5df639d1"
	UserHome      GUID = "773f91ef-66d4-49b5-bd83-d683bf40ad16"
	LinuxGeneric  GUID = "0fc63daf-8483-4772-8e79-3d69d8477de4"
	BIOSBoot      GUID = "21686148-6449-6e6f-744e-656564454649"
	MicrosoftData GUID = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
)

// Attributes of partitions.
const (
	Required         uint64 = 1 << 0 // the firmware needs it
	NoBlockIO        uint64 = 1 << 1
	LegacyBootable   uint64 = 1 << 2
	GrowFileSystem   uint64 = 1 << 59
	ReadOnly         uint64 = 1 << 60
	NoAutoDiscovered uint64 = 1 << 63
)

// Types of file systems of /.
const (
	RootX86         GUID = "44479540-f297-41b2-9af7-d131d5f0458a"
	RootX86_64      GUID = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	RootARM         GUID = "69dad710-2ce4-4e3c-b16c-21a1d49abed3"
	RootARM64       GUID = "b921b045-1df0-41c3-af44-4c6f280d3fae"
	RootLoongArch64 GUID = "77055800-792c-4f94-b39a-98c91b762bb6"
	RootMIPS64LE    GUID = "700bda43-7a34-4507-b179-eeb93d7a7ca3"
	RootPPC64LE     GUID = "c31c45e6-3f39-412e-80fb-4809c4980599"
	RootRISCV64     GUID = "72ec70a6-cf74-40e6-bd49-4bda08e8f224"
	RootS390X       GUID = "5eead9a9-fe09-4a1e-a1d7-520d00531306"
)

// Types of hash trees of /.
const (
	RootVerityX86         GUID = "d13c5d3b-b5d1-422a-b29f-9454fdc89d76"
	RootVerityX86_64      GUID = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
	RootVerityARM         GUID = "7386cdf2-203c-47a9-a498-f2ecce45a2d6"
	RootVerityARM64       GUID = "df3300ce-d69f-4c92-978c-9bfb0f38d820"
	RootVerityLoongArch64 GUID = "f3393b22-e9af-4613-a948-9d3bfbd0c535"
	RootVerityMIPS64LE    GUID = "16b417f8-3e06-4f57-8dd2-9b5232f41aa6"
	RootVerityPPC64LE     GUID = "906bd944-4589-4aae-a4e4-dd983917446a"
	RootVerityRISCV64     GUID = "b6ed5582-440b-4209-b8da-5ff7c419ea3d"
	RootVerityS390X       GUID = "b325bfbe-c7be-4ab8-8357-139e652d2f6b"
)

// Types of signatures of the hash trees of /.
const (
	RootVeritySigX86         GUID = "5996fc05-109c-48de-808b-23fa0830b676"
	RootVeritySigX86_64      GUID = "41092b05-9fc8-4523-994f-2def0408b176"
	RootVeritySigARM         GUID = "42b0455f-eb11-491d-98d3-56145ba9d037"
	RootVeritySigARM64       GUID = "6db69de6-29f4-4758-a7a5-962190f00ce3"
	RootVeritySigLoongArch64 GUID = "5afb67eb-ecc8-4f85-ae8e-ac1e7c50e7d0"
	RootVeritySigMIPS64LE    GUID = "904e58ef-5c65-4a31-9c57-6af5fc7c5de7"
	RootVeritySigPPC64LE     GUID = "d4a236e7-e873-4c07-bf1d-bf6cf7f1c3c6"
	RootVeritySigRISCV64     GUID = "efe0f087-ea8d-4469-821a-4c2a96a8386a"
	RootVeritySigS390X       GUID = "c80187a5-73a3-491a-901a-017c3fa953e9"
)

// Types of file systems of /usr.
const (
	UsrX86         GUID = "75250d76-8cc6-458e-bd66-bd47cc81a812"
	UsrX86_64      GUID = "8484680c-9521-48c6-9c11-b0720656f69e"
	UsrARM         GUID = "7d0359a3-02b3-4f0a-865c-654403e70625"
	UsrARM64       GUID = "b0e01050-ee5f-4390-949a-9101b17104e9"
	UsrLoongArch64 GUID = "e611c702-575c-4cbe-9a46-434fa0bf7e3f"
	UsrMIPS64LE    GUID = "c97c1f32-ba06-40b4-9f22-236061b08aa8"
	UsrPPC64LE     GUID = "15bb03af-77e7-4d4a-b12b-c0d084f7491c"
	UsrRISCV64     GUID = "beaec34b-8442-439b-a40b-984381ed097d"
	UsrS390X       GUID = "8a4f5770-50aa-4ed3-874a-99b710db6fea"
)

// Types of hash trees of /usr.
const (
	UsrVerityX86         GUID = "8f461b0d-14ee-4e81-9aa9-049b6fb97abd"
	UsrVerityX86_64      GUID = "77ff5f63-e7b6-4633-acf4-1565b864c0e6"
	UsrVerityARM         GUID = "c215d751-7bcd-4649-be90-6627490a4c05"
	UsrVerityARM64       GUID = "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"
	UsrVerityLoongArch64 GUID = "f46b2c26-59ae-48f0-9106-c50ed47f673d"
	UsrVerityMIPS64LE    GUID = "3c3d61fe-b5f3-414d-bb71-8739a694a4ef"
	UsrVerityPPC64LE     GUID = "ee2b9983-21e8-4153-86d9-b6901a54d1ce"
	UsrVerityRISCV64     GUID = "8f1056be-9b05-47c4-81d6-be53128e5b54"
	UsrVerityS390X       GUID = "31741cc4-1a2a-4111-a581-e00b447d2d06"
)

// Types of signatures of the hash trees of /usr.
const (
	UsrVeritySigX86         GUID = "974a71c0-de41-43c3-be5d-5c5ccd1ad2c0"
	UsrVeritySigX86_64      GUID = "e7bb33fb-06cf-4e81-8273-e543b413e2e2"
	UsrVeritySigARM         GUID = "d7ff812f-37d1-4902-a810-d76ba57b975a"
	UsrVeritySigARM64       GUID = "c23ce4ff-44bd-4b00-b2d4-b41b3419e02a"
	UsrVeritySigLoongArch64 GUID = "b024f315-d330-444c-8461-44bbde524e99"
	UsrVeritySigMIPS64LE    GUID = "f2c2c7ee-adcc-4351-b5c6-ee9816b66e16"
	UsrVeritySigPPC64LE     GUID = "c8bfbd1e-268e-4521-8bba-bf314c399557"
	UsrVeritySigRISCV64     GUID = "d2f9000a-7a18-453f-b5cd-4d32f77a7b32"
	UsrVeritySigS390X       GUID = "3f324816-667b-46ae-86ee-9b0c0c6c11b4"
)

// Types are those that an architecture has of its own.
type Types struct{ Root, RootVerity, RootVeritySig, Usr, UsrVerity, UsrVeritySig GUID }

var types = map[string]Types{
	"386":      {RootX86, RootVerityX86, RootVeritySigX86, UsrX86, UsrVerityX86, UsrVeritySigX86},
	"amd64":    {RootX86_64, RootVerityX86_64, RootVeritySigX86_64, UsrX86_64, UsrVerityX86_64, UsrVeritySigX86_64},
	"arm":      {RootARM, RootVerityARM, RootVeritySigARM, UsrARM, UsrVerityARM, UsrVeritySigARM},
	"arm64":    {RootARM64, RootVerityARM64, RootVeritySigARM64, UsrARM64, UsrVerityARM64, UsrVeritySigARM64},
	"loong64":  {RootLoongArch64, RootVerityLoongArch64, RootVeritySigLoongArch64, UsrLoongArch64, UsrVerityLoongArch64, UsrVeritySigLoongArch64},
	"mips64el": {RootMIPS64LE, RootVerityMIPS64LE, RootVeritySigMIPS64LE, UsrMIPS64LE, UsrVerityMIPS64LE, UsrVeritySigMIPS64LE},
	"ppc64el":  {RootPPC64LE, RootVerityPPC64LE, RootVeritySigPPC64LE, UsrPPC64LE, UsrVerityPPC64LE, UsrVeritySigPPC64LE},
	"riscv64":  {RootRISCV64, RootVerityRISCV64, RootVeritySigRISCV64, UsrRISCV64, UsrVerityRISCV64, UsrVeritySigRISCV64},
	"s390x":    {RootS390X, RootVerityS390X, RootVeritySigS390X, UsrS390X, UsrVerityS390X, UsrVeritySigS390X},
}

// TypesOf are the types of an architecture by Debian's or by Go's name of it,
// and whether it is known.
func TypesOf(architecture string) (Types, bool) {
	switch architecture {
	case "i386":
		architecture = "386"
	case "armhf", "armel":
		architecture = "arm"
	case "ppc64le":
		architecture = "ppc64el"
	case "mips64le":
		architecture = "mips64el"
	}
	t, known := types[architecture]
	return t, known
}

// TypeName is a word for a type, such as "esp" or "root-amd64", and "" for one
// that has none here.
func TypeName(g GUID) string {
	for name, known := range map[string]GUID{
		"esp": ESP, "xbootldr": XBOOTLDR, "swap": Swap, "home": Home, "srv": Srv, "var": Var, "tmp": Tmp,
		"user-home": UserHome, "linux-generic": LinuxGeneric, "bios-boot": BIOSBoot, "microsoft-data": MicrosoftData,
	} {
		if g == known {
			return name
		}
	}
	for architecture, t := range types {
		for name, known := range map[string]GUID{
			"root-": t.Root, "root-verity-": t.RootVerity, "root-verity-sig-": t.RootVeritySig,
			"usr-": t.Usr, "usr-verity-": t.UsrVerity, "usr-verity-sig-": t.UsrVeritySig,
		} {
			if g == known {
				return name + architecture
			}
		}
	}
	return ""
}
