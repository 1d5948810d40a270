package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/rootfs"
)

// maxConfig bounds a file of configuration, in bytes. Lists of mirrors have
// some 40 kB.
const maxConfig = 4 << 20

// readConfig reads pacman.conf and what it includes. A root without one has
// pacman's defaults and no repository.
func readConfig(files *rootfs.Root) (*pacman.Config, error) {
	read := func(name string) ([]byte, error) { return files.ReadFile(name, maxConfig) }
	if _, err := files.Stat(configFile); errors.Is(err, fs.ErrNotExist) {
		read = func(string) ([]byte, error) { return nil, nil }
	}
	config, err := pacman.ParseConfig(read, func(pattern string) ([]string, error) { return glob(files, pattern) }, "/"+configFile)
	if err != nil {
		return nil, fmt.Errorf("the configuration of pacman in %s: %w", files.Path(), err)
	}
	return config, nil
}

// glob lists what a pattern of the root stands for, sorted.
func glob(files *rootfs.Root, pattern string) ([]string, error) {
	found := []string{"/"}
	for _, element := range strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(element, `*?[\`) {
				next = append(next, path.Join(dir, element))
				continue
			}
			entries, err := files.ReadDir(dir)
			if err != nil {
				continue // a pattern need not be of anything
			}
			for _, e := range entries {
				ok, err := path.Match(element, e.Name())
				if err != nil {
					return nil, fmt.Errorf("%q: %w", pattern, err)
				}
				if ok && (strings.HasPrefix(element, ".") || !strings.HasPrefix(e.Name(), ".")) {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		found = next
	}
	found = slices.DeleteFunc(found, func(name string) bool {
		_, err := files.Stat(name)
		return err != nil
	})
	return found, nil
}
