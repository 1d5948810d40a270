package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
)

// writeDir writes a directory. Root of a user namespace cannot make devices,
// which are left out then (see [Lost]); who is not root at all gets a record of
// what the directory cannot hold beside it.
func writeDir(ctx context.Context, path string, images []*Image, _ spec.Output) error {
	t := images[0].Tree
	if os.Geteuid() == 0 {
		if !devicesHere() {
			t = tree.Filter(t, func(n tree.Node) bool { return !n.Mode().IsDevice() })
		}
		return dir.Write(ctx, path, t, dir.Options{})
	}
	record, err := os.Create(path + ".mtree")
	if err != nil {
		return err
	}
	return errors.Join(dir.Write(ctx, path, t, dir.Options{Record: record}), record.Close())
}

// devicesHere reports whether root may make devices: in no user namespace but
// the first.
func devicesHere() bool {
	ids, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || isWhole(string(ids))
}

// isWhole reports whether a mapping is that of the first user namespace: of all
// ids to themselves.
func isWhole(ids string) bool {
	return strings.Join(strings.Fields(ids), " ") == "0 0 4294967295"
}

// lostDevices says which devices a directory goes without.
func lostDevices(t *tree.Tree) string {
	n, first := 0, ""
	for node := range t.All() {
		if node.Mode().IsDevice() {
			if n++; n == 1 {
				first = tree.Display(node.Path())
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("only root can make devices in a directory; %d are left out, first %s", n, first)
}
