package rpm

// Tags of headers, as rpmtag.h numbers them.
const (
	regionSignatures = 62
	regionImmutable  = 63

	// In the signature header.
	tagDSAHeader       = 267
	tagRSAHeader       = 268
	tagSHA1Header      = 269
	tagLongSize        = 270
	tagLongArchive     = 271
	tagSHA256Header    = 273
	tagFileSignatures  = 274
	tagFileSigLength   = 275
	tagVeritySigs      = 276
	tagVerityAlgorithm = 277
	tagOpenPGP         = 278
	tagSHA3Header      = 279
	tagReserved        = 999
	sigTagSize         = 1000
	sigTagPGP          = 1002
	sigTagMD5          = 1004
	sigTagGPG          = 1005
	sigTagPayloadSize  = 1007
	sigTagReserved     = 1008

	// In the header.
	tagName             = 1000
	tagVersion          = 1001
	tagRelease          = 1002
	tagEpoch            = 1003
	tagBuildTime        = 1006
	tagSize             = 1009
	tagVendor           = 1011
	tagArch             = 1022
	tagSourceRPM        = 1044
	tagProvideName      = 1047
	tagRequireFlags     = 1048
	tagRequireName      = 1049
	tagRequireVersion   = 1050
	tagConflictFlags    = 1053
	tagConflictName     = 1054
	tagConflictVersion  = 1055
	tagObsoleteName     = 1090
	tagSourcePackage    = 1106
	tagProvideFlags     = 1112
	tagProvideVersion   = 1113
	tagObsoleteFlags    = 1114
	tagObsoleteVersion  = 1115
	tagCompressor       = 1125
	tagLongInstalled    = 5009
	tagPayloadDigest    = 5092
	tagPayloadAlgorithm = 5093
	tagModularityLabel  = 5096
	tagPayloadDigestAlt = 5097
	tagPayloadSHA512    = 5121
	tagPayloadSHA3      = 5123
)
