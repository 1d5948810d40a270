// Package secureboot signs EFI programs for firmware with UEFI Secure Boot, and
// tells who signed those that are signed.
//
// A signature is what the UEFI specification (2.10, 32.2.4) and Microsoft's
// "Windows Authenticode Portable Executable Signature Format" have: a PKCS #7
// SignedData (RFC 2315) in the table of certificates at the program's end, with
// SHA-256 and RSA, which all firmware takes. It has neither a time nor anything
// random in it (RSASSA-PKCS1-v1_5), so that the same program, key and
// certificate give the same bytes. Signatures that are there already stay.
//
// It refuses keys that are encrypted, are not RSA, or have fewer than 2048 bits
// or more than 4096; a certificate of another key; and programs of which it is not clear what a
// signature is over (see [uki.Image.Frame]). Whom to trust is the firmware's
// matter: no chain, date or usage of a certificate is checked.
package secureboot
