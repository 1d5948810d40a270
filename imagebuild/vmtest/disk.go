package vmtest

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
)

// EFIDisk is a disk whose EFI system partition has only a program of size bytes,
// which firmware of amd64 starts.
func EFIDisk(t testing.TB, program tree.Content, size int64) string {
	t.Helper()
	var b tree.Builder
	now := tree.Time{Sec: 1772323200}
	for _, dir := range []string{"EFI", "EFI/BOOT"} {
		if err := b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add("EFI/BOOT/BOOTX64.EFI", tree.Inode{Mode: tree.Regular | 0o644, ModTime: now, Content: program, Size: size}); err != nil {
		t.Fatal(err)
	}
	esp, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Table{ID: gpt.FormatGUID([16]byte{1}), Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: gpt.FormatGUID([16]byte{2}), Name: "esp", Size: 64 << 20},
	}}.Layout()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(table.Size); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	place := table.Partitions[0]
	options := fat.Options{Type: fat.FAT32, Size: place.Size, Start: place.Start, VolumeID: 1, Label: "ESP"}
	if _, err := fat.Write(t.Context(), io.NewOffsetWriter(f, place.Start), esp, options); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
