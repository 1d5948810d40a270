package inspect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
)

func uuid(b [16]byte) string {
	if b == ([16]byte{}) {
		return ""
	}
	return string(gpt.FormatGUID(b))
}

func (o *opener) ext4(p *Part, _ int) {
	at, size := p.source.at, p.source.size
	s, err := ext4.ReadSuper(at, size)
	if err != nil {
		p.fail(err)
		return
	}
	p.Format = s.Kind
	p.add("label", s.Label)
	p.add("uuid", uuid(s.UUID))
	p.add("created", s.Created)
	p.add("written", s.Written)
	p.add("mounted_at", s.MountedAt)
	p.add("fs_size", s.Size)
	p.add("free", s.Free*s.BlockSize)
	p.add("block_size", s.BlockSize)
	p.add("inodes", s.Inodes)
	p.add("free_inodes", s.FreeInodes)
	if s.Journal > 0 {
		p.add("journal", s.Journal)
	}
	p.add("features", s.Features)
	p.add("clean", s.Clean)
	p.holds = holdsAll
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		v, err := ext4.Read(ctx, at, size)
		if err != nil {
			return nil, nil, err
		}
		return v.Tree, nil, nil
	}
}

func (o *opener) squashfs(p *Part, _ int) {
	at, size := p.source.at, p.source.size
	s, err := squashfs.ReadSuper(at, size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("created", tree.Time{Sec: int64(s.Time)})
	p.add("fs_size", s.Used)
	p.add("compression", s.Compression)
	p.add("block_size", s.BlockSize)
	p.add("inodes", s.Inodes)
	p.add("fragments", s.Fragments)
	p.holds = holdsAll
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		i, err := squashfs.Read(ctx, at, size)
		if err != nil {
			return nil, nil, err
		}
		return i.Tree, nil, nil
	}
}

func (o *opener) erofs(p *Part, _ int) {
	at, size := p.source.at, p.source.size
	s, err := erofs.ReadSuper(at, size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("label", s.Label)
	p.add("uuid", uuid(s.UUID))
	p.add("created", s.BuildTime)
	p.add("fs_size", s.Size)
	p.add("compression", s.Compression)
	p.add("block_size", s.BlockSize)
	p.add("inodes", int64(s.Inodes))
	p.add("features", s.Features)
	p.holds = holdsAll
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		i, err := erofs.Read(ctx, at, size)
		if err != nil {
			return nil, nil, err
		}
		return i.Tree, nil, nil
	}
}

// maxInside is how many files of one volume are looked into.
const maxInside = 32

// What is looked into is told by the names' endings, in small letters: EFI
// programs of a system partition, and the file systems and initramfs of a live
// medium, too.
var (
	programs = []string{".efi"}
	media    = []string{".efi", ".squashfs", ".sfs", ".erofs", ".ext4", ".img"}
)

func (o *opener) fat(p *Part, depth int) {
	at, size := p.source.at, p.source.size
	s, err := fat.ReadSuper(at, size)
	if err != nil {
		p.fail(err)
		return
	}
	p.Format = strings.ToLower(s.Type.String())
	v, readErr := fat.Read(o.ctx, at, size)
	label := s.Label
	if readErr == nil {
		label = v.Label
	}
	p.add("label", label)
	p.add("volume_id", fmt.Sprintf("%04x-%04x", s.VolumeID>>16, s.VolumeID&0xFFFF))
	p.add("fs_size", s.Size)
	p.add("cluster_size", s.ClusterSize)
	p.add("clusters", s.Clusters)
	p.holds = holdsTime | holdsContent
	p.load = func(context.Context) (*tree.Tree, []Attribute, error) {
		if readErr != nil {
			return nil, nil, readErr
		}
		return v.Tree, nil, nil
	}
	if readErr == nil {
		o.inside(p, v.Tree, programs, depth)
	}
}

// inside opens the files of a volume that have one of some endings.
func (o *opener) inside(p *Part, t *tree.Tree, endings []string, depth int) {
	left := maxInside
	for n := range t.All() {
		inode, name := n.Inode(), strings.ToLower(n.Name())
		if !inode.Mode.IsRegular() || left == 0 || !n.IsFirst() || !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) }) {
			continue
		}
		left--
		digest := inode.Digest
		o.child(p, &Part{Name: n.Path(), source: sourceOf(inode).random(), digest: &digest}, depth)
	}
}

func (o *opener) iso(p *Part, depth int) {
	at, size := p.source.at, p.source.size
	s, err := iso.ReadSuper(at, size)
	if err != nil {
		p.fail(err)
		return
	}
	p.add("label", s.VolumeID)
	p.add("created", s.Created)
	p.add("modified", s.Modified)
	p.add("fs_size", s.Size)
	p.add("system", s.System)
	p.add("volume_set", s.VolumeSet)
	p.add("publisher", s.Publisher)
	p.add("preparer", s.Preparer)
	p.add("application", s.Application)
	p.add("joliet", s.Joliet)
	if s.Size > size { // of which files need not be a part
		p.fail(fmt.Errorf("it has %d bytes, and says to have %d: it is cut off", size, s.Size))
	}
	o.hybrid(p)
	p.holds = holdsAll &^ holdsXattrs
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		v, err := iso.Read(ctx, at, size)
		if err != nil {
			return nil, nil, err
		}
		return v.Tree, []Attribute{{"rock_ridge", v.RockRidge}}, nil
	}
	t, err := p.Tree(o.ctx)
	if s.Catalog > 0 {
		p.check("the sum of the boot catalog is right", func(context.Context) error { return nil })
	}
	for i, b := range s.Boot {
		o.bootImage(p, i, b, depth)
	}
	if err == nil { // else who asks for the tree is told
		o.inside(p, t, media, depth)
	}
}

// bootImage opens an image of El Torito. What is for UEFI may be longer than the
// catalog can tell, and then is as long as its file system.
func (o *opener) bootImage(p *Part, i int, b iso.Boot, depth int) {
	name, length := "boot/bios", int64(b.Sectors)*512
	if b.UEFI {
		name = "boot/uefi"
	}
	q := &Part{Name: fmt.Sprintf("%s/%d", name, i+1)}
	if b.Offset <= 0 || b.Offset >= p.source.size {
		q.Format, q.Size = unknownFormat, length
		q.fail(fmt.Errorf("it would be at byte %d of %d", b.Offset, p.source.size))
		p.Parts = append(p.Parts, q)
		return
	}
	rest := p.source.size - b.Offset
	if v, err := fat.ReadSuper(sourceAt(p.source.at, b.Offset, rest).at, rest); b.UEFI && err == nil {
		length = v.Size
	}
	q.source = sourceAt(p.source.at, b.Offset, min(length, rest))
	q.add("start", b.Offset)
	o.child(p, q, depth)
}

// hybrid tells of the partition table that is on an ISO so that it boots as a
// disk, too. What its partitions have is in the ISO already.
func (o *opener) hybrid(p *Part) {
	head, err := p.source.head(headSize)
	if err != nil {
		return
	}
	var lines []string
	switch {
	case isGPT(head, p.source):
		t, err := gpt.Read(p.source.at, p.source.size)
		if err != nil {
			p.add("partition_table", "gpt: "+err.Error())
			return
		}
		p.add("partition_table", "gpt")
		p.add("disk_id", string(t.ID))
		for i, e := range t.Partitions {
			q := o.partition(p, i+1, e)
			lines = append(lines, fmt.Sprintf("%d %s %s at %d, %d bytes", i+1, q.Attribute(typeAttribute), e.Name, e.Start, e.Size))
		}
	case isMBR(head, p.source):
		m, err := gpt.ReadMBR(p.source.at, p.source.size)
		if err != nil {
			return
		}
		p.add("partition_table", "mbr")
		p.add("disk_id", fmt.Sprintf("%08x", m.Signature))
		for i, e := range m.Partitions {
			lines = append(lines, fmt.Sprintf("%d %#02x at %d, %d bytes", i+1, e.Type, e.Start, e.Size))
		}
	}
	p.add("partitions", lines)
}
