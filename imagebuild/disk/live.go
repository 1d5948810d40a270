package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/initramfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
)

// A Live is a system that boots without a disk: its whole root is the
// initramfs, in memory.
type Live struct {
	Kernel, Initrd *io.SectionReader
	// Cmdline is what the kernel has to be told.
	Cmdline string
	Release string // of the kernel

	tree    *tree.Tree
	machine machine
	signing signing
}

// NewLive makes what boots a tree without a disk. The initramfs is written to
// spool, which is empty, and is read from there as long as the Live is used. It
// has all of the tree but what is in /boot, and but what initramfs cannot have:
// extended attributes. Of the options, Arch, Kernel, Cmdline, Signer and
// Compression count; the latter is "gzip", which "" stands for too, or "zstd".
func NewLive(ctx context.Context, t *tree.Tree, spool File, o Options) (*Live, error) {
	k, err := initramfs.FindKernel(t, o.Kernel)
	if err != nil {
		return nil, err
	}
	l := &Live{Release: k.Release, tree: t, signing: signing{o.Signer}}
	if l.machine, err = machineOf(o.Arch); err != nil {
		return nil, err
	}
	if l.Kernel, err = section(k.Image); err == nil {
		l.Kernel, err = l.signing.section(l.Kernel)
	}
	if err != nil {
		return nil, fmt.Errorf("the kernel %s: %w", k.Release, err)
	}
	profile, ok := map[string]compress.Profile{"": compress.Gzip, "gzip": compress.Gzip, "zstd": compress.Zstd}[o.Compression]
	if !ok {
		return nil, fmt.Errorf("an initramfs that is the root cannot be compressed by %s; there are gzip, zstd", o.Compression)
	}
	if l.Cmdline, err = liveCmdline(t, o.Cmdline); err != nil {
		return nil, err
	}
	root := tree.Filter(t, func(n tree.Node) bool { return !strings.HasPrefix(n.Path(), "boot/") })
	at := &counter{w: io.NewOffsetWriter(spool, 0)}
	w, err := profile.NewWriter(at)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(cpio.Write(ctx, w, root, cpio.Options{ClampTimes: true, DropXattrs: true}), w.Close()); err != nil {
		return nil, fmt.Errorf("the initramfs: %w", err)
	}
	l.Initrd = io.NewSectionReader(spool, 0, at.n)
	return l, nil
}

// liveCmdline names the init, which the kernel looks for at /init in an
// initramfs.
func liveCmdline(t *tree.Tree, more string) (string, error) {
	for _, init := range []string{"init", "sbin/init", "usr/lib/systemd/systemd"} {
		if _, ok := t.File(init); !ok {
			continue
		}
		words := []string{"rdinit=/" + init, more}
		if init == "init" {
			words = words[1:]
		}
		return strings.TrimSpace(strings.Join(words, " ")), nil
	}
	return "", errors.New("the image has no init to start: no /init, /sbin/init or /usr/lib/systemd/systemd; lock one, such as systemd-sysv (Debian), openrc and busybox (Alpine) or systemd-sysvcompat (Arch)")
}

// UKI is the system as one program for EFI firmware.
func (l *Live) UKI() (Program, error) {
	b := &booting{machine: l.machine, loader: UKI}
	if err := b.findLoader(l.tree); err != nil {
		return nil, err
	}
	stub, err := section(b.program)
	if err != nil {
		return nil, err
	}
	release, err := osRelease(l.tree)
	if err != nil {
		return nil, err
	}
	image, err := uki.New(uki.Options{Stub: stub, Linux: l.Kernel, Initrds: []*io.SectionReader{l.Initrd}, OSRelease: release, Uname: l.Release, Cmdline: l.Cmdline})
	if err != nil {
		return nil, err
	}
	return l.signing.program(image)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
