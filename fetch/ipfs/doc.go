// Package ipfs computes the addresses (CIDs) that IPFS gives to files, for the
// ways of cutting a file into blocks that are in use.
//
// It refuses to be an IPFS node: it speaks to gateways and to kubo's API by
// plain HTTP, and trusts neither, as everything is checked by its SHA-256.
package ipfs
