// Package yum reads the configuration and the metadata of the repositories of
// dnf and yum: repository files with their variables, metalinks and mirror
// lists, repomd.xml, primary.xml and modules.yaml. The chain is
//
//	signature or metalink → repomd.xml → checksum of primary.xml → record → checksum of the .rpm
//
// and [ReadData] hands on nothing of a metadata file whose checksum is not the
// one that repomd.xml tells.
//
// The package refuses to choose among mirrors or keys, reaches no network and
// opens no files: bytes come from its caller, who also checks repomd.xml with
// the OpenPGP of package rpm. It refuses checksums of MD5 and SHA-1, files in
// zchunk's format (every repository that has them has others beside them), the
// SQLite databases of old, document type definitions in XML, and sizes and
// counts that no real repository has.
package yum
