package imagebuild

import (
	"slices"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/spec"
)

// Specs are read without the package that writes disks, so that each has the
// words for itself: they are the same.
func TestWordsOfDisks(t *testing.T) {
	if !slices.Equal(slices.Sorted(slices.Values(spec.PartitionTypes)), slices.Sorted(slices.Values(disk.PartitionTypes()))) {
		t.Errorf("types of partitions: %q and %q", spec.PartitionTypes, disk.PartitionTypes())
	}
	if !slices.Equal(spec.PartitionFileSystems, disk.PartitionFileSystems) {
		t.Errorf("file systems of partitions: %q and %q", spec.PartitionFileSystems, disk.PartitionFileSystems)
	}
	var settings []string
	for _, l := range disk.Loaders {
		settings = append(settings, "boot="+string(l))
	}
	for _, i := range disk.InitramfsKinds {
		settings = append(settings, "initramfs="+string(i))
	}
	for _, f := range append(slices.Clone(disk.FileSystems), disk.NoRoot) {
		settings = append(settings, "root="+f)
	}
	for _, s := range settings {
		if _, err := spec.ParseOutput("type=disk,dest=x," + s); err != nil {
			t.Error(err)
		}
	}
}
