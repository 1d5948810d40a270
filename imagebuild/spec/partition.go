package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// identifiers are those of RFC 9562.
var identifiers = lazy(`^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$`)

// checkPartitions finds what is wrong with partitions, and the name of the
// setting that is. What depends on other settings is found by who writes them.
func checkPartitions(list []Partition) (name string, err error) {
	mounts := map[string]bool{}
	for i, p := range list {
		at := fmt.Sprintf("partitions[%d].", i)
		switch {
		case !slices.Contains(PartitionTypes, p.Type) && !identifiers().MatchString(p.Type):
			return at + "type", fmt.Errorf("%q is no type of a partition; there are %s, and identifiers of 32 digits with hyphens", p.Type, strings.Join(PartitionTypes, ", "))
		case p.FileSystem != "" && !slices.Contains(PartitionFileSystems, p.FileSystem):
			return at + "filesystem", fmt.Errorf("%q is no file system for a partition; there are %s", p.FileSystem, strings.Join(PartitionFileSystems, ", "))
		case p.Size.Int64()%(1<<20) != 0:
			return at + "size", fmt.Errorf("a partition of %d bytes: the size must be a multiple of 1 MiB", p.Size.Int64())
		case p.Mount != "" && p.Mount != "none" && !isDirectory(p.Mount):
			return at + "mount", fmt.Errorf("%q is no path of a directory, such as /srv/data; none is for no mount point", p.Mount)
		case p.From != "" && !isDirectory(p.From):
			return at + "from", fmt.Errorf("%q is no path of a directory, such as /srv/data", p.From)
		case p.Mount != "none" && mounts[p.Mount]:
			return at + "mount", fmt.Errorf("two partitions are mounted on %s", p.Mount)
		}
		mounts[p.Mount] = p.Mount != ""
	}
	return "", nil
}

func isDirectory(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && p != "/" && !strings.ContainsRune(p, 0)
}
