package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/distro/rootfs"
)

// architectures finds the native and the foreign architectures: what apt.conf
// says, else what dpkg keeps. The native one is that of the installed dpkg or
// libc6, since no file of dpkg names it on a system with one alone.
func architectures(root *rootfs.Root, o *Options) ([]string, error) {
	native := o.Find("APT::Architecture")
	var known []string
	data, err := root.ReadFile("var/lib/dpkg/arch", maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read dpkg's architectures: %w", err)
	}
	known = strings.Fields(string(data))
	if native == "" {
		if native, err = nativeFromStatus(root); err != nil {
			return nil, err
		}
	}
	if native == "" && len(known) > 0 {
		native = known[0]
	}
	if list := o.List("APT::Architectures"); len(list) > 0 {
		known = list
	}
	var out []string
	if native != "" {
		out = append(out, native)
	}
	for _, a := range known {
		if strings.Trim(a, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(a) > 64 {
			return nil, fmt.Errorf("%s has %q among the architectures", root.Path(), a)
		}
		if a != "all" && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, nil
}

// nativeFromStatus returns the architecture of dpkg, else of the C library,
// else of most packages.
func nativeFromStatus(root *rootfs.Root) (string, error) {
	names := []string{"var/lib/dpkg/status"}
	entries, err := root.ReadDir("var/lib/dpkg/status.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasSuffix(e.Name(), ".md5sums") {
			names = append(names, "var/lib/dpkg/status.d/"+e.Name())
		}
	}
	dpkg, libc, counts := "", "", map[string]int{}
	for _, name := range names {
		f, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		err = deb822.Scan(f, []string{"Package", "Architecture", "Status"}, func(v [][]byte) error {
			if v[1] == nil || string(v[1]) == "all" || v[2] != nil && !strings.HasSuffix(string(v[2]), " installed") {
				return nil
			}
			switch arch := string(v[1]); string(v[0]) {
			case "dpkg":
				dpkg = arch
			case "libc6", "libc6.1", "musl":
				if libc == "" {
					libc = arch
				}
				fallthrough
			default:
				counts[arch]++
			}
			return nil
		})
		f.Close()
		if err != nil {
			return "", fmt.Errorf("%s: %w", root.Join(name), err)
		}
	}
	if dpkg != "" {
		return dpkg, nil
	}
	most := ""
	for a, n := range counts {
		if n > counts[most] || n == counts[most] && a < most {
			most = a
		}
	}
	if libc != "" && counts[libc] >= counts[most] {
		return libc, nil
	}
	return most, nil
}
