package spec

import (
	"time"
)

// A Spec describes an image. Its zero value is the image of what the locks
// hold and nothing else.
type Spec struct {
	// Version of the format: 1.
	Version int `yaml:"version"`
	// Locks are files relative to the spec, one an architecture.
	Locks []string `yaml:"locks"`
	// Epoch is the time of all that has no time of its own; zero for the
	// lock's date.
	Epoch Time `yaml:"epoch"`
	// Hostname is what etc/hostname says; empty leaves the packages' own.
	Hostname string `yaml:"hostname"`
	// Locale is LANG of the system, such as "C.UTF-8".
	Locale string `yaml:"locale"`
	// Timezone is a name of the time zone database, such as "Europe/Berlin".
	Timezone string  `yaml:"timezone"`
	Groups   []Group `yaml:"groups"`
	Users    []User  `yaml:"users"`
	Files    []File  `yaml:"files"`
	// Services to enable or disable, by the names that the init system knows
	// them by.
	Services Services `yaml:"services"`
	// Run are commands to run in the root, in the sandbox, after all else.
	Run []Command `yaml:"run"`
	// Remove are patterns of paths that the image goes without.
	Remove []string `yaml:"remove"`
	// NoScripts leaves out the packages' scripts and Run: an image of files.
	NoScripts bool `yaml:"no-scripts"`
	OCI       OCI  `yaml:"oci"`
	// SecureBoot is what the EFI programs of outputs are signed with; empty for
	// no signature.
	SecureBoot SecureBoot `yaml:"secure-boot"`
	Outputs    []Output   `yaml:"outputs"`
}

// A Group is a group to add.
type Group struct {
	Name string `yaml:"name"`
	ID   ID     `yaml:"id"`
}

// A User is a user to add. The group of the same name and number is made too
// where Group is empty.
type User struct {
	Name    string   `yaml:"name"`
	ID      ID       `yaml:"id"`
	Group   string   `yaml:"group"`
	Groups  []string `yaml:"groups"` // in which the user is besides
	Comment string   `yaml:"comment"`
	Home    string   `yaml:"home"`
	Shell   string   `yaml:"shell"`
	// Password is the crypt(5) hash; empty for one that fits nothing.
	Password string `yaml:"password"`
}

// A File is a file, directory or link to add. One of Content, Source, Link and
// Directory says which.
type File struct {
	Path string `yaml:"path"`
	// Content is the text of the file.
	Content *string `yaml:"content"`
	// Source is a file, or a directory with all below it, relative to the spec.
	Source string `yaml:"source"`
	// Link is the target of a symbolic link.
	Link string `yaml:"link"`
	// Directory makes a directory.
	Directory bool `yaml:"directory"`
	// Template has {{.Epoch}}, {{.Arch}}, {{.Distro}}, {{.Version}} and
	// {{.Hostname}} filled in.
	Template bool `yaml:"template"`
	// Mode is the permissions in octal; by default 0644, 0755 for directories,
	// and for a source whether it is executable.
	Mode Mode `yaml:"mode"`
	// Owner and Group are names of the image or numbers; by default root.
	Owner string `yaml:"owner"`
	Group string `yaml:"group"`
}

// Services says which services start with the system.
type Services struct {
	Enable  []string `yaml:"enable"`
	Disable []string `yaml:"disable"`
}

// A Command is what to run: Args, or a Script for /bin/sh.
type Command struct {
	Args   []string `yaml:"args"`
	Script string   `yaml:"script"`
}

// OCI is what an OCI image says of itself beyond its files.
type OCI struct {
	Entrypoint   []string          `yaml:"entrypoint"`
	Cmd          []string          `yaml:"cmd"`
	Env          map[string]string `yaml:"env"`
	Labels       map[string]string `yaml:"labels"`
	User         string            `yaml:"user"`
	WorkingDir   string            `yaml:"working-dir"`
	ExposedPorts []string          `yaml:"exposed-ports"`
	Volumes      []string          `yaml:"volumes"`
	StopSignal   string            `yaml:"stop-signal"`
	// Layers are locks whose images alone are layers of their own, the lowest
	// first; relative to the spec.
	Layers []string `yaml:"layers"`
}

// An Output is a form in which to write the image.
type Output struct {
	Type string `yaml:"type"` // one of OutputTypes
	Dest string `yaml:"dest"` // a path
	// Compress is "none", "gzip" or "zstd"; by default what the type is mostly
	// had with.
	Compress string `yaml:"compress"`
	// Tag names the image in layouts and archives.
	Tag string `yaml:"tag"`

	// Format is that of a disk: "raw" or "qcow2"; by default the ending of Dest
	// decides.
	Format string `yaml:"format"`
	// Size is that of a disk or an ext4 file system, Free what is free in it.
	Size Size `yaml:"size"`
	Free Size `yaml:"free"`
	// Label names the file system of the root.
	Label string `yaml:"label"`
	// Root is the file system of a disk's root, and RootCompress what it, or the
	// initramfs that is the root, is compressed with.
	Root         string `yaml:"root"`
	RootCompress string `yaml:"root-compress"`
	// Verity guards the root by a hash tree, Overlay puts memory over it.
	Verity  bool `yaml:"verity"`
	Overlay bool `yaml:"overlay"`
	// Grow has an ext4 root become as large as its disk when it boots; nil where
	// the image has the tools for that.
	Grow *bool `yaml:"grow"`
	// Boot is what the firmware starts, Initramfs where that comes from.
	Boot      string `yaml:"boot"`
	Initramfs string `yaml:"initramfs"`
	// Kernel is the release to boot where there are several, and Cmdline what it
	// is told besides what it has to be.
	Kernel  string `yaml:"kernel"`
	Cmdline string `yaml:"cmdline"`
	// BIOS has BIOSes boot a disk, too.
	BIOS bool `yaml:"bios"`
	// Partitions are those of a disk besides its own.
	Partitions []Partition `yaml:"partitions"`
}

// A Partition is one of a disk besides its own.
type Partition struct {
	// Type is one of PartitionTypes, or an identifier.
	Type string `yaml:"type"`
	// Size is that of the partition; by default what its contents take.
	Size Size `yaml:"size"`
	// FileSystem is one of PartitionFileSystems; by default that of the type.
	FileSystem string `yaml:"filesystem"`
	// Label names the partition and its file system.
	Label string `yaml:"label"`
	// Mount is where the image mounts it, or "none"; by default that of the type.
	Mount string `yaml:"mount"`
	// From is the directory of the image whose contents it has; by default Mount.
	From string `yaml:"from"`
}

// PartitionTypes are the words for types of partitions.
var PartitionTypes = []string{"home", "srv", "var", "tmp", "swap", "linux", "data"}

// PartitionFileSystems are what can be in one.
var PartitionFileSystems = []string{"ext4", "erofs", "squashfs", "vfat", "swap", "none"}

// OutputTypes are the forms that images are written in.
var OutputTypes = []string{"dir", "tar", "oci", "docker", "cpio", "manifest", "disk", "iso", "ext4", "squashfs", "erofs", "kernel+initrd", "uki"}

// ID is a number of a user or group; nil where none is given.
type ID = *uint32

// Mode is twelve bits of permissions; nil where none are given.
type Mode struct {
	Bits uint32
	Set  bool
}

// Time is a moment in UTC; zero where none is given.
type Time struct{ time.Time }
