package main

import (
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine"
	"github.com/samebits/samebits/distro/arch"
	"github.com/samebits/samebits/distro/debian"
	"github.com/samebits/samebits/distro/fedora"
)

// families are the distributions that samebits knows, a line each.
var families = []distro.Distro{
	debian.Distro{},
	alpine.Distro{},
	arch.Distro{},
	fedora.Distro{},
}
