// Package uki puts a kernel, its initramfs, its command line and what else a
// boot needs behind an EFI stub, as the UAPI group's specification of unified
// kernel images has it, and reads such images.
//
// Stub and kernel are inputs, from a distribution's packages: systemd-boot's
// linuxx64.efi.stub and its like for other machines, and a kernel that is an EFI
// program itself. Format version 1: the sections are .osrel, .cmdline, .uname,
// .ucode, .splash, .dtb as often as there are some, .initrd and .linux, those of
// them that are given, in this order behind the stub's, in pages of 4096 bytes
// of their own. Where the stub's headers have no room for them, what comes after
// the headers is moved. Size, sizes of code and data, and the checksum are set;
// times are left as the stub has them. Several initramfs become one, each from
// a multiple of 4 bytes on, as the kernel wants it.
//
// It refuses stubs that are signed, have debug information that says where it
// is, or have such sections already; kernels that are no EFI programs, such as
// compressed ones of arm64, or are for another machine; and more than 2 GiB.
// Signatures are not made here: they are over the finished image, and package
// secureboot makes them.
package uki
