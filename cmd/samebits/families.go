package main

import (
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian"
)

// families are the distributions that samebits knows, a line each.
var families = []distro.Distro{
	debian.Distro{},
}
