package disk

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/swap"
	"github.com/samebits/samebits/imagebuild/tree"
)

// File systems of partitions besides those of roots.
const (
	VFAT         = "vfat"
	Swap         = "swap"
	NoFileSystem = "none"
)

// NoMount is the mount point of a partition that has none.
const NoMount = "none"

// MaxPartitions is how many a disk can have besides its own.
const MaxPartitions = 100

// A Partition is one of a disk besides those that it has in any case. What it
// holds is taken out of the root, which keeps an empty directory.
type Partition struct {
	// Type is a word of PartitionTypes or an identifier, such as
	// "bc13c2ff-59e6-4262-a352-b275fd6f7172".
	Type string
	// Size is in bytes, a multiple of 1 MiB. If it is 0, the partition is as
	// large as its contents, with DefaultFree bytes free where it can be written
	// to. Without contents, a size has to be given.
	Size int64
	// FileSystem is one of FileSystems, VFAT, Swap or NoFileSystem; "" is what
	// the type has mostly: Swap for "swap", VFAT for "data", Ext4 for others.
	FileSystem string
	// Label names the partition, by default as its type is called, and its file
	// system, by default not.
	Label string
	// Mount is the directory that etc/fstab tells to mount it on, or NoMount; ""
	// is that of the type: /home, /srv, /var and /var/tmp for "tmp".
	Mount string
	// From is the directory whose contents it has, "" is Mount.
	From string
}

// A knownType is one that has a word.
type knownType struct {
	name  string
	guid  gpt.GUID
	mount string
	mode  tree.Mode // of a mount point that is made
}

var knownTypes = []knownType{
	{"home", gpt.Home, "/home", 0o755},
	{"srv", gpt.Srv, "/srv", 0o755},
	{"var", gpt.Var, "/var", 0o755},
	{"tmp", gpt.Tmp, "/var/tmp", 0o1777},
	{"swap", gpt.Swap, "", 0},
	{"linux", gpt.LinuxGeneric, "", 0},
	{"data", gpt.MicrosoftData, "", 0},
}

// PartitionTypes are the words for types of partitions.
func PartitionTypes() (names []string) {
	for _, t := range knownTypes {
		names = append(names, t.name)
	}
	return names
}

// PartitionFileSystems are those that a partition can have.
var PartitionFileSystems = []string{Ext4, EROFS, Squashfs, VFAT, Swap, NoFileSystem}

var guids = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// A part is a partition with what is empty filled in.
type part struct {
	Partition
	guid gpt.GUID
	mode tree.Mode
}

// parts are the partitions, filled in and checked.
func (o Options) parts() ([]part, error) {
	if len(o.Partitions) == 0 {
		return nil, nil
	}
	if n := len(o.Partitions); n > MaxPartitions {
		return nil, fmt.Errorf("there are %d partitions, more than %d", n, MaxPartitions)
	}
	var list []part
	mounts, sources := map[string]int{}, map[string]int{}
	for i, given := range o.Partitions {
		p, err := given.filled()
		if err != nil {
			return nil, given.wrap(i, err)
		}
		for _, c := range []struct {
			seen map[string]int
			path string
			what string
		}{{mounts, p.Mount, "mounted on"}, {sources, p.From, "made of"}} {
			if first, twice := c.seen[c.path]; twice && c.path != "" {
				return nil, given.wrap(i, fmt.Errorf("it is %s %s, as partition %d is", c.what, c.path, first+1))
			}
			c.seen[c.path] = i
		}
		list = append(list, p)
	}
	return list, nil
}

// wrap has an error name the partition, which is the first where i is 0.
func (p Partition) wrap(i int, err error) error {
	return fmt.Errorf("partition %d (%s): %w", i+1, p.Type, err)
}

func (p Partition) filled() (part, error) {
	out := part{Partition: p}
	if i := slices.IndexFunc(knownTypes, func(t knownType) bool { return t.name == p.Type }); i >= 0 {
		known := knownTypes[i]
		out.guid, out.mode = known.guid, known.mode
		if p.Mount == "" && p.FileSystem != NoFileSystem && p.FileSystem != Swap {
			out.Mount = known.mount
		}
	} else if out.guid = gpt.GUID(strings.ToLower(p.Type)); !guids.MatchString(string(out.guid)) {
		return out, fmt.Errorf("%q is no type of a partition; there are %s, and identifiers such as %s", p.Type, strings.Join(PartitionTypes(), ", "), gpt.XBOOTLDR)
	}
	if out.mode == 0 {
		out.mode = 0o755
	}
	switch {
	case p.FileSystem != "":
	case p.Type == "swap":
		out.FileSystem = Swap
	case p.Type == "data":
		out.FileSystem = VFAT
	default:
		out.FileSystem = Ext4
	}
	if out.Mount == NoMount {
		out.Mount = ""
	}
	if out.From == "" {
		out.From = out.Mount
	}
	return out, out.check()
}

// needed are the directories that a system has to have before it mounts others.
var needed = []string{"/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"}

func (p part) check() error {
	for _, c := range []struct{ path, what string }{{p.Mount, "mounted on"}, {p.From, "made of"}} {
		switch {
		case c.path == "":
		case !path.IsAbs(c.path) || path.Clean(c.path) != c.path || strings.ContainsAny(c.path, "\x00\n"):
			return fmt.Errorf("it is to be %s %q, which is no path of a directory, such as /srv/data", c.what, c.path)
		case c.path == "/" || slices.ContainsFunc(needed, func(d string) bool {
			return c.path == d || strings.HasPrefix(c.path, d+"/") && d != "/usr" && d != "/etc"
		}):
			return fmt.Errorf("it is to be %s %s, which the system needs before it mounts others", c.what, c.path)
		}
	}
	holds := p.FileSystem != Swap && p.FileSystem != NoFileSystem
	switch {
	case !slices.Contains(PartitionFileSystems, p.FileSystem):
		return fmt.Errorf("%q is no file system for a partition; there are %s", p.FileSystem, strings.Join(PartitionFileSystems, ", "))
	case p.Size < 0 || p.Size%mebibyte != 0:
		return fmt.Errorf("%d bytes are no size: it must be a multiple of 1 MiB", p.Size)
	case p.Size == 0 && !holds:
		return errors.New("it has no contents, so that its size has to be given")
	case !holds && p.From != "":
		return fmt.Errorf("it holds no files, and cannot have those of %s", p.From)
	case p.FileSystem == Swap && len(p.Label) > swap.MaxLabel, (p.FileSystem == Ext4 || p.FileSystem == EROFS) && len(p.Label) > 16:
		return fmt.Errorf("the label %q is longer than one of %s can be", p.Label, p.FileSystem)
	}
	return nil
}

// name is that in the table of partitions.
func (p part) name() string {
	switch {
	case p.Label != "":
		return p.Label
	case string(p.guid) == strings.ToLower(p.Type):
		return gpt.TypeName(p.guid)
	}
	return p.Type
}
