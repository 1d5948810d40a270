// Package treetest has what the tests of every writer of a tree share: a tree
// with all oddities that real ones have ([Odd]), one with a file that 32 bits
// cannot measure ([Large]), a comparison of trees that knows what a format can
// hold ([Compare]), the suite that each writer passes ([Run]), and disks that fail
// ([RunBroken], [Untouched]).
//
// It makes no files but in the test's temporary directory.
package treetest
