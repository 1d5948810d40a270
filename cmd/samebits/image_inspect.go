package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/urfave/cli/v2"
)

func (p *program) imageInspect() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in an image",
		ArgsUsage: "FILE",
		Description: "Tells what a file or directory is, and all that is in it: disks (GPT, MBR, qcow2) with their partitions, file systems (ext4, squashfs, erofs, FAT, ISO 9660), verity hash trees, unified kernel images and initramfs, archives, OCI layouts, docker archives, manifests and directories. " +
			"What it is follows from its bytes, not from its name. Of images that others made, as much is told as can be read.\n\n" +
			"--part goes to a partition, section or file inside, by number, name, type or format, and may be repeated to go on from there. " +
			"What cannot be read to its end is told, and ends with exit code 1. --verify ends with exit code 3 where something does not match.\n\n" +
			"Examples:\n" +
			"  samebits image inspect disk.raw\n" +
			"  samebits image inspect --files root.tar.zst\n" +
			"  samebits image inspect --part root --cat /etc/os-release disk.qcow2\n" +
			"  samebits image inspect --part esp --part .initrd --files disk.raw\n" +
			"  samebits image inspect --verify disk.raw",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "part", Usage: "go to the part `N|NAME` of the image; may be repeated, each time further inside"},
			&cli.BoolFlag{Name: "files", Usage: "list all files with their attributes and digests, as an mtree manifest"},
			&cli.StringFlag{Name: "cat", Usage: "write the content of the file at `PATH` in the image to standard output; links are followed inside the image"},
			&cli.BoolFlag{Name: "verify", Usage: "check sums, digests and hash trees, and read everything"},
			jsonFlag(),
		},
		Action: p.verb((*session).imageInspect),
	}
}

// largeImage is what takes so long that a person wants to know why.
const largeImage = 4 << 30

func (s *session) imageInspect() (err error) {
	if n := len(s.given("files", "cat", "verify")); n > 1 {
		return s.usagef("--files, --cat and --verify are three different questions; ask one")
	}
	s.boundMemory()
	name := s.Args().First()
	file, err := inspect.Open(s.ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if file.Size == 0 {
		return fmt.Errorf("%s is empty", name)
	}
	if file.Size >= largeImage {
		s.say("reading %s, %s", name, size(file.Size))
	}
	part := file.Part
	for _, want := range s.StringSlice("part") {
		if part, err = part.Find(want); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	switch {
	case part.Format == "data" && part == file.Part && part.Problem == nil && !s.Bool("json"):
		return fmt.Errorf("%s is of no format that is known here", name)
	case s.Bool("files"):
		err = s.listImage(part)
	case s.IsSet("cat"):
		err = s.catImage(part, s.String("cat"))
	case s.Bool("verify"):
		return s.verifyImage(name, part)
	default:
		err = s.showImage(name, part)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// given are those of some flags that were.
func (s *session) given(names ...string) (list []string) {
	for _, name := range names {
		if s.IsSet(name) {
			list = append(list, name)
		}
	}
	return list
}

// partTree is the tree of the files that a part is about, and the part of these.
func (s *session) partTree(part *inspect.Part) (*inspect.Part, *tree.Tree, error) {
	if part.Problem != nil && !part.HasTree() {
		return nil, nil, part.Problem
	}
	files, err := part.Files()
	if err != nil {
		return nil, nil, fmt.Errorf("%w (--part goes to one)", err)
	}
	t, err := files.Tree(s.ctx)
	return files, t, err
}

// listImage lists files. It is an error where these need not be all.
func (s *session) listImage(part *inspect.Part) error {
	files, t, err := s.partTree(part)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		list := []listedFile{}
		for n := range t.All() {
			list = append(list, listedOf(n))
		}
		err = s.writeJSON(list)
	} else {
		err = tree.WriteManifest(s.stdout, t)
	}
	return cmp.Or(err, files.Problem)
}

// listedFile is what --files --json prints of a path.
type listedFile struct {
	Path   string            `json:"path"` // with a leading slash
	Type   string            `json:"type"`
	Mode   string            `json:"mode"`
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Time   string            `json:"time"` // seconds since 1970
	Size   *int64            `json:"size,omitempty"`
	SHA256 string            `json:"sha256,omitempty"`
	Link   string            `json:"link,omitempty"`
	Device string            `json:"device,omitempty"`
	Same   string            `json:"hard_link_to,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"` // in base64
}

func listedOf(n tree.Node) listedFile {
	i := n.Inode()
	f := listedFile{
		Path: "/" + n.Path(), Type: i.Mode.TypeName(), Mode: fmt.Sprintf("%04o", uint32(i.Mode.Bits())), UID: i.UID, GID: i.GID,
		Time: decimal(i.ModTime), Link: i.Target,
	}
	if i.Mode.IsRegular() {
		f.Size, f.SHA256 = &i.Size, i.Digest.String()
	}
	if i.Mode.IsDevice() {
		f.Device = fmt.Sprintf("%d,%d", i.Major, i.Minor)
	}
	if !n.IsFirst() {
		f.Same = "/" + n.First().Path()
	}
	for _, x := range i.Xattrs {
		if f.Xattrs == nil {
			f.Xattrs = map[string][]byte{}
		}
		f.Xattrs[x.Name] = []byte(x.Value)
	}
	return f
}

// decimal is a time in seconds since 1970 as a number. The tree counts nanoseconds
// upwards also before then.
func decimal(t tree.Time) string {
	sign := ""
	if t.Sec < 0 {
		sign, t.Sec = "-", -t.Sec
		if t.Nsec > 0 {
			t.Sec, t.Nsec = t.Sec-1, 1e9-t.Nsec
		}
	}
	return fmt.Sprintf("%s%d.%09d", sign, t.Sec, t.Nsec)
}

// catImage writes the content of a file.
func (s *session) catImage(part *inspect.Part, path string) error {
	_, t, err := s.partTree(part)
	if err != nil {
		return err
	}
	n, err := t.Resolve(strings.TrimLeft(path, "/"))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(s.stdout, 1<<20)
	if err := n.CopyTo(w); err != nil {
		return err
	}
	return w.Flush()
}

// checked is what --verify --json prints of a check.
type checked struct {
	Part    []string `json:"part"` // the labels down to it
	What    string   `json:"what"`
	OK      bool     `json:"ok"`
	Problem string   `json:"problem,omitempty"`
}

// verifyImage checks what the image says of itself.
func (s *session) verifyImage(name string, part *inspect.Part) error {
	checks, err := part.Verify(s.ctx)
	if err != nil {
		return err
	}
	list, failed := []checked{}, 0
	var b strings.Builder
	for _, c := range checks {
		line := checked{Part: append([]string{}, c.Path...), What: c.What, OK: c.Err == nil}
		where := oneLine(strings.Join(append([]string{name}, c.Path...), ": "))
		if c.Err == nil {
			fmt.Fprintf(&b, "ok   %s: %s\n", where, c.What)
		} else {
			failed++
			line.Problem = c.Err.Error()
			fmt.Fprintf(&b, "bad  %s: %s: %v\n", where, c.What, oneLine(c.Err.Error()))
		}
		list = append(list, line)
	}
	if s.Bool("json") {
		err = s.writeJSON(list)
	} else {
		_, err = io.WriteString(s.stdout, printable(b.String()))
	}
	switch {
	case err != nil:
		return err
	case failed > 0:
		return missingf("%s is not what it says: %d of %s failed", name, failed, count(len(checks), "check"))
	case len(checks) == 0:
		s.say("%s has nothing that could be checked", name)
	}
	return nil
}
