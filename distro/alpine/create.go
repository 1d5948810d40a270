package alpine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// Create makes a system without packages of an empty directory, as apk does
// with --initdb, for the installation of a lock of the given system. It
// refuses a directory that has anything in it.
func (d Distro) Create(root string, system lockfile.System, events *distro.Events) (distro.System, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty, so no system is made there", root)
	}
	if !isWord(system.Arch, "_-") || system.Arch == "-" {
		return nil, fmt.Errorf("the lock names no architecture, so no system can be made for it in %s; its first line should be like %q", root, "#: distro alpine 3.19.1 x86_64")
	}
	for _, dir := range []struct {
		name string
		mode fs.FileMode
	}{
		{"tmp", 0o777 | fs.ModeSticky}, {"dev", 0o755}, {"etc", 0o755}, {"etc/apk", 0o755}, {"lib", 0o755}, {"lib/apk", 0o755}, {"lib/apk/db", 0o755},
		{"var", 0o755}, {"var/cache", 0o755}, {"var/cache/apk", 0o755}, {"var/cache/misc", 0o755},
	} {
		path := filepath.Join(root, dir.name)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, dir.mode)); err != nil {
			return nil, err
		}
	}
	makeDevices(filepath.Join(root, "dev"))
	for name, text := range map[string]string{"etc/apk/arch": system.Arch + "\n", "etc/apk/world": "", installedFile: ""} {
		if err := writeFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return d.Open(root, events)
}

// makeDevices makes the devices that apk makes. Without the right to make them
// the root has none, as with apk.
func makeDevices(dev string) {
	for _, d := range []struct {
		name         string
		mode         uint32
		major, minor uint32
	}{{"null", 0o666, 1, 3}, {"zero", 0o666, 1, 5}, {"random", 0o666, 1, 8}, {"urandom", 0o666, 1, 9}, {"console", 0o600, 5, 1}} {
		path := filepath.Join(dev, d.name)
		if unix.Mknod(path, unix.S_IFCHR|d.mode, int(unix.Mkdev(d.major, d.minor))) == nil {
			_ = os.Chmod(path, fs.FileMode(d.mode)) // whatever the umask
		}
	}
}

// writeFile writes a new file with exactly these permissions.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
