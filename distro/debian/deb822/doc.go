// Package deb822 reads the paragraphs of "Name: value" lines that Debian keeps
// its data in: dpkg's status, Packages, Release and the .sources of apt.
//
// [Scan] streams large files and hands out only the wanted fields; [Read]
// takes small ones whole. The package refuses to interpret values: what a
// field means is its reader's affair.
package deb822
