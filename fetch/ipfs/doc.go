// Package ipfs gets files from IPFS and puts them there: [NewSource] asks a
// gateway or the RPC API of a kubo node, [NewSink] adds files to a node, and
// [PullLock] brings back a lock that was put there with them.
//
// The addresses (CIDs) that IPFS gives to files are computed here, for the
// ways of cutting a file into blocks that are in use: see [Profile].
//
// It refuses to be an IPFS node: it speaks to gateways and to kubo's API by
// plain HTTP. It trusts neither, as files are checked by their SHA-256 and
// locks by their CID.
package ipfs
