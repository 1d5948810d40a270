// Package debian knows Debian, Ubuntu and what derives from them: dpkg's
// database, apt's configuration and indexes, and how to install with either.
//
// Nothing that only reads runs a subprocess, and the network is reached through
// [distro.Fetcher] alone.
package debian

import (
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Distro is the family of Debian, a [distro.Distro].
type Distro struct{}

// A System is one root with dpkg's database in it, a [distro.System].
type System struct {
	// Root is the absolute path of the root directory.
	Root string
	// Files reads below Root, following links as the system itself would.
	Files *rootfs.Root
	// Config is apt's configuration of the root.
	Config *apt.Config

	events *distro.Events
	id     lockfile.System
}

// open is Distro.Open.
func open(root string, events *distro.Events) (*System, error) {
	files, err := rootfs.Open(root)
	if err != nil {
		return nil, err
	}
	config, err := apt.Load(files, events)
	if err != nil {
		return nil, err
	}
	return &System{Root: root, Files: files, Config: config, events: events}, nil
}

// ID names the system as its locks do.
func (s *System) ID() lockfile.System { return s.id }

// Access tells what apt's configuration says of the network.
func (s *System) Access() distro.Access {
	return distro.Access{Proxy: s.Config.Proxy, Login: s.Config.Login}
}
