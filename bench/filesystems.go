package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// filesystem is a kind of file system, and how others make it.
type filesystem struct {
	kind, title string
	tools       []string
	// native makes the file out of the directory in.
	native func(in, out string) *exec.Cmd
}

func shell(script string, arguments ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", "set -e\n" + script, "sh"}, arguments...)...)
}

var filesystems = []filesystem{
	{"ext4", "`mke2fs -d`", []string{"mke2fs"}, func(in, out string) *exec.Cmd {
		return exec.Command("mke2fs", "-q", "-t", "ext4", "-d", in, out, fmt.Sprint(filesystemSize>>10)+"k")
	}},
	{"erofs", "`mkfs.erofs`", []string{"mkfs.erofs"}, func(in, out string) *exec.Cmd {
		return exec.Command("mkfs.erofs", "--quiet", out, in)
	}},
	{"erofs-lz4", "`mkfs.erofs -zlz4`", []string{"mkfs.erofs"}, func(in, out string) *exec.Cmd {
		return exec.Command("mkfs.erofs", "--quiet", "-zlz4", out, in)
	}},
	{"fat", "`mkfs.vfat` and `mcopy`", []string{"mkfs.vfat", "mcopy"}, func(in, out string) *exec.Cmd {
		return shell(`mkfs.vfat -F 32 -C "$2" "$3" >/dev/null
mcopy -s -Q -m -i "$2" "$1"/* ::`, in, out, fmt.Sprint(filesystemSize>>10))
	}},
	{"squashfs-zstd", "`mksquashfs -comp zstd -Xcompression-level 3`", []string{"mksquashfs"}, func(in, out string) *exec.Cmd {
		return mksquashfs(in, out, "zstd", 3)
	}},
	{"squashfs-gzip", "`mksquashfs -comp gzip -Xcompression-level 6`", []string{"mksquashfs"}, func(in, out string) *exec.Cmd {
		return mksquashfs(in, out, "gzip", 6)
	}},
	{"iso", "`genisoimage -R`", []string{"genisoimage"}, func(in, out string) *exec.Cmd {
		return exec.Command("genisoimage", "-quiet", "-R", "-D", "-o", out, in)
	}},
}

func mksquashfs(in, out, compression string, level int) *exec.Cmd {
	return exec.Command("mksquashfs", in, out, "-comp", compression, "-Xcompression-level", strconv.Itoa(level),
		"-processors", strconv.Itoa(runtime.NumCPU()), "-quiet", "-no-progress", "-noappend")
}

// benchFilesystems writes the same directory as each kind of file system, with
// the tool that there is for it and with our writers, which this program runs
// in a child of its own.
func benchFilesystems(b *bench) error {
	in, fatIn, manifest := filepath.Join(b.dir, "tree"), filepath.Join(b.dir, "fat"), filepath.Join(b.dir, "manifest")
	// In a child, since this one's memory is the least that its children show.
	files, err := b.child("tree", "/usr", "", in).Output()
	if err != nil {
		return fmt.Errorf("copying files of /usr: %w", err)
	}
	if err := linkForFAT(in, fatIn); err != nil {
		return err
	}
	for dir, to := range map[string]string{in: manifest, fatIn: manifest + ".fat"} {
		if out, err := b.child("manifest", dir, "", to).CombinedOutput(); err != nil {
			return fmt.Errorf("reading %s: %w\n%s", dir, err, out)
		}
	}
	fmt.Fprintf(b.out, "%s files and links.\n\n", bytes.TrimSpace(files))
	b.comparisonHead()
	for _, f := range filesystems {
		if missing := missingTool(f.tools); missing != "" {
			fmt.Fprintf(b.out, "| %s: left out, there is no `%s` | | | | | | | |\n", f.kind, missing)
			continue
		}
		from, known, to := in, manifest, filepath.Join(b.dir, "image")
		if f.kind == "fat" {
			from, known = fatIn, manifest+".fat"
		}
		remove := func() error { return os.RemoveAll(to) }
		err := b.compare(to,
			contestant{f.title, remove, func() *exec.Cmd { return f.native(from, to) }},
			contestant{"ours, " + f.kind, remove, func() *exec.Cmd { return b.child(f.kind, from, known, to) }},
			contestant{"ours, hashing the directory first", remove, func() *exec.Cmd { return b.child(f.kind, from, "", to) }},
		)
		if err != nil {
			return fmt.Errorf("%s: %w", f.kind, err)
		}
	}
	fmt.Fprintln(b.out)
	return nil
}

func missingTool(names []string) string {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return name
		}
	}
	return ""
}

// child is this program, to write one file system.
func (b *bench) child(kind, in, manifest, out string) *exec.Cmd {
	return exec.Command("/proc/self/exe", childArgument, kind, in, manifest, out)
}

// childArgument is the first of a child that writes a file system.
const childArgument = "write-filesystem"

func (b *bench) comparisonHead() {
	fmt.Fprint(b.out, "| | median | ratio | CPU | ratio | on disk | ratio | peak memory |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
}

// compare has contestants take turns at making the file to. The ratios are the
// medians of those of each round to the first contestant's.
func (b *bench) compare(to string, contestants ...contestant) error {
	samples := make([][]sample, len(contestants))
	sizes := make([]int64, len(contestants))
	for round := range b.rounds {
		for i := range contestants {
			at := (round + i) % len(contestants)
			s, err := contestants[at].once()
			if err != nil {
				return fmt.Errorf("%s: %w", contestants[at].name, err)
			}
			samples[at] = append(samples[at], s)
			if sizes[at], err = allocated(to); err != nil {
				return err
			}
		}
	}
	cpu := func(s sample) time.Duration { return s.cpu }
	for i, c := range contestants {
		s := samples[i]
		fmt.Fprintf(b.out, "| %s | %s | %.2f | %s | %.2f | %.1f MB | %.2f | %d MiB |\n", c.name,
			seconds(median(s, wall)), pairs(samples[0], s, wall), seconds(median(s, cpu)), pairs(samples[0], s, cpu),
			float64(sizes[i])/1e6, float64(sizes[i])/float64(sizes[0]), median(s, func(s sample) int64 { return s.memory })>>20)
	}
	return nil
}

// pairs is the median of the ratios of each round.
func pairs(first, other []sample, value func(sample) time.Duration) float64 {
	ratios := make([]float64, len(first))
	for i := range first {
		ratios[i] = float64(value(other[i])) / float64(max(value(first[i]), 1))
	}
	slices.Sort(ratios)
	return ratios[(len(ratios)-1)/2]
}

// allocated is the bytes that a file takes on the disk, without its holes.
func allocated(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512, nil
}
