// Package xz decompresses xz files whose blocks are of LZMA2 alone, as those of
// distributions' packages are, and does so faster than other decoders in Go:
// decompression is most of the work of laying a package into a root. The format
// is that of "The .xz File Format", version 1.2.1.
//
// Everything is checked that the format has a check for, and a window of more
// bytes than the caller allows is refused. How much comes out is for the caller
// to bound. The package refuses to compress, and to read files with other
// filters: [Fits] tells them apart.
package xz
