// Package pacman reads pacman's own formats: its configuration, the databases
// of its repositories and of what is installed, packages and their file names,
// dependencies, and the order of versions. It follows pacman 6 and 7, and the
// older forms that are still met: databases with separate depends files,
// packages without %BASE%.
//
// The package refuses to judge: which signatures are good is the affair of the
// trust package, which repository comes first that of the caller. It opens no
// file by itself, and it refuses input that is larger than any real one, file
// names that lead elsewhere, and values that do not have the form of what they
// stand for.
package pacman
