// Package imagebuild makes images of nothing but locked packages and what a
// spec adds to them, the same bits wherever it is done.
//
// [Build] has a family's assembler lay the packages into an empty root, with
// their scripts run in a sandbox; adds the accounts, files and settings of the
// spec; reads the root into a tree; and takes the known accidents out of it by
// rules that have names and reasons ([CommonRules] and those of the family).
// What is left is the image, which writers turn into the outputs that are
// wanted.
//
// The package refuses to fetch: all packages are at hand when it begins. It
// takes nothing from the host, and hides no difference that no rule names.
package imagebuild
