package initramfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// ErrNoKernel says that an image has no kernel, or none with its modules.
var ErrNoKernel = errors.New("the image has no kernel")

// A Kernel is one of an image, and what belongs to it.
type Kernel struct {
	// Release is what "uname -r" says, and the name of the modules' directory.
	Release string
	Image   tree.Node
	// Modules is the path of the directory of its modules.
	Modules string
	// Initramfs is the one that the distribution's own generator made, and
	// HasInitramfs whether there is one.
	Initramfs    tree.Node
	HasInitramfs bool
}

// moduleDirs are where the directories of modules are.
var moduleDirs = []string{"usr/lib/modules", "lib/modules"}

// Kernels finds the kernels of an image that have modules there, in the order
// of their releases' bytes.
func Kernels(t *tree.Tree) []Kernel {
	var found []Kernel
	seen := map[string]bool{}
	for _, dir := range moduleDirs {
		n, err := t.Resolve(dir)
		if err != nil || !n.Mode().IsDir() {
			continue
		}
		for child := range n.Children() {
			release := child.Name()
			if !child.Mode().IsDir() || seen[release] {
				continue
			}
			seen[release] = true
			if k, ok := kernel(t, dir, release); ok {
				found = append(found, k)
			}
		}
	}
	slices.SortFunc(found, func(a, b Kernel) int { return strings.Compare(a.Release, b.Release) })
	return found
}

// kernel finds the image of a release. Debian and Fedora name it after the
// release, Fedora and Arch put it beside the modules, Alpine names it after
// the flavour, which a release ends in, and Arch its initramfs after the
// package, which pkgbase names.
func kernel(t *tree.Tree, dir, release string) (Kernel, bool) {
	flavour := release[strings.LastIndexByte(release, '-')+1:]
	k := Kernel{Release: release, Modules: dir + "/" + release}
	var ok bool
	k.Image, _, ok = firstFile(t, "boot/vmlinuz-"+release, "boot/vmlinux-"+release, k.Modules+"/vmlinuz", "boot/vmlinuz-"+flavour)
	if !ok {
		return k, false
	}
	names := []string{"boot/initrd.img-" + release, "boot/initramfs-" + release + ".img", "boot/initramfs-" + flavour}
	if n, ok := t.File(k.Modules + "/pkgbase"); ok {
		if text, err := read(n, tree.MaxName); err == nil {
			names = append(names, "boot/initramfs-"+strings.TrimSpace(string(text))+".img")
		}
	}
	k.Initramfs, _, k.HasInitramfs = firstFile(t, names...)
	return k, true
}

// FindKernel finds the kernel of a release, or the only one where release is
// empty. The error wraps ErrNoKernel where there is none.
func FindKernel(t *tree.Tree, release string) (Kernel, error) {
	all := Kernels(t)
	var releases []string
	for _, k := range all {
		if k.Release == release {
			return k, nil
		}
		releases = append(releases, k.Release)
	}
	switch {
	case len(all) == 0:
		return Kernel{}, fmt.Errorf("%w with modules in /usr/lib/modules; lock a kernel's package too, such as Debian's linux-image-cloud-amd64 or Alpine's linux-virt", ErrNoKernel)
	case release != "":
		return Kernel{}, fmt.Errorf("%w %s, but %s", ErrNoKernel, release, strings.Join(releases, ", "))
	case len(all) > 1:
		return Kernel{}, fmt.Errorf("the image has the kernels %s; say which is to boot", strings.Join(releases, ", "))
	}
	return all[0], nil
}
