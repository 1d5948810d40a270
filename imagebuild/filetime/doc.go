// Package filetime sets and reads when files were changed, on all machines
// alike. On 32-bit ones the structures of the kernel end in 2038, and what is
// read of later times is another time, without an error; there, this package
// uses the system calls that have 64 bits (utimensat_time64, of Linux 5.1, and
// statx).
//
// It knows nothing of what a file system can hold: one that cannot hold a time
// keeps another, which [Modified] tells.
package filetime
