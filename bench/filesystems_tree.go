package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	filesystemTree = 250_000_000 // bytes of contents
	filesystemSize = 512 << 20   // bytes of those file systems that are told one
	largestFile    = 32 << 20
)

// filesystemFiles chooses some of what this machine has below /usr, by a hash of
// the paths: real files of all kinds and sizes, the same for the same system.
func filesystemFiles(roots []string, size int64) ([]string, error) {
	type file struct {
		path string
		size int64
		hash uint64
	}
	var all []file
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Size() <= largestFile && (info.Mode().IsRegular() || info.Mode().Type() == fs.ModeSymlink) {
				h := fnv.New64a()
				io.WriteString(h, path)
				all = append(all, file{path, info.Size(), h.Sum64()})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.hash, b.hash) })
	var chosen []string
	for _, f := range all {
		if size -= f.size; size < 0 {
			break
		}
		chosen = append(chosen, f.path)
	}
	slices.Sort(chosen)
	return chosen, nil
}

// copySome copies some of a directory, and prints how many files those are.
func copySome(from, to string) error {
	files, err := filesystemFiles([]string{filepath.Join(from, "bin"), filepath.Join(from, "lib"), filepath.Join(from, "share")}, filesystemTree)
	if err != nil {
		return err
	}
	fmt.Println(len(files))
	return copyFiles(files, to)
}

// copyFiles copies files with all that they have to below a directory.
func copyFiles(paths []string, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `tar -C / --null -T - -cf - | tar -C "$1" -xpf -`, "bash", to)
	var list bytes.Buffer
	for _, p := range paths {
		list.WriteString(strings.TrimPrefix(p, "/") + "\x00")
	}
	cmd.Stdin = &list
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w\n%s", err, tail(out, 2000))
	}
	return nil
}

// linkForFAT makes another tree of those files that FAT can hold.
func linkForFAT(from, to string) error {
	met := map[string]bool{}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		key := strings.ToLower(rel)
		switch {
		case met[key] || !fatName(rel):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			met[key] = true
			return os.Mkdir(filepath.Join(to, rel), 0o755)
		case d.Type().IsRegular():
			met[key] = true
			return os.Link(path, filepath.Join(to, rel))
		}
		return nil
	})
}

func fatName(name string) bool {
	return name == "." || utf8.ValidString(name) && !strings.ContainsAny(name, `"*:<>?\|`) && !strings.HasSuffix(name, ".") && !strings.HasSuffix(name, " ")
}

// filesystemWriters are ours, by what the program's argument has.
var filesystemWriters = map[string]func(context.Context, io.WriterAt, *tree.Tree) (int64, error){
	"ext4": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return ext4.Write(ctx, w, t, ext4.Options{Size: filesystemSize})
	},
	"fat": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return fat.Write(ctx, w, t, fat.Options{Size: filesystemSize, Type: fat.FAT32, DropModes: true, DropOwners: true, DropXattrs: true, DropLinks: true, ClampTimes: true})
	},
	"erofs": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return erofs.Write(ctx, w, t, erofs.Options{})
	},
	"erofs-lz4": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return erofs.Write(ctx, w, t, erofs.Options{Compression: erofs.LZ4})
	},
	"squashfs-zstd": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return squashfs.Write(ctx, w, t, squashfs.Options{DropACLs: true})
	},
	"squashfs-gzip": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		return squashfs.Write(ctx, w, t, squashfs.Options{Compression: squashfs.Gzip, Level: 6, DropACLs: true})
	},
	"iso": func(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
		l, err := iso.Write(ctx, w, t, iso.Options{DropXattrs: true})
		if err != nil {
			return 0, err
		}
		return l.Size, nil
	},
}

// writeFilesystem is what this program does when it is its own child, so that
// the memory of one writer can be told: it writes a directory as a file system.
// With a manifest of it, whose digests builds have at hand, the directory is not
// hashed before; the kind "manifest" writes that, and "tree" a smaller directory.
func writeFilesystem(kind, source, manifest, to string) (err error) {
	ctx := context.Background()
	if kind == "tree" {
		return copySome(source, to)
	}
	var t *tree.Tree
	if manifest == "" {
		t, err = dir.Read(ctx, source, dir.ReadOptions{})
	} else {
		t, err = recordedTree(ctx, source, manifest)
	}
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if kind == "manifest" {
		return tree.WriteManifest(f, t)
	}
	write, found := filesystemWriters[kind]
	if !found {
		return fmt.Errorf("no file system %q", kind)
	}
	size, err := write(ctx, f, t)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// hostFile is a content in a directory.
type hostFile string

func (f hostFile) Open() (io.ReadCloser, error) { return os.Open(string(f)) }

func recordedTree(ctx context.Context, source, manifest string) (*tree.Tree, error) {
	f, err := os.Open(manifest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := tree.ReadManifest(f, nil)
	if err != nil {
		return nil, err
	}
	return tree.Map(ctx, t, func(n tree.Node, inode tree.Inode) (tree.Inode, error) {
		if inode.Mode.IsRegular() {
			inode.Content = hostFile(filepath.Join(source, n.Path()))
		}
		return inode, nil
	})
}
