package erofs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/samebits/samebits/imagebuild/tree"
	"golang.org/x/sync/errgroup"
)

// Write writes the tree as a file system to w, from its byte 0 on, and returns
// the size of it in bytes, a multiple of 4096. All of w reads as zeros before, or
// is a file that is empty; what is zero need not be written, so that the caller
// has to set a file's size. w is written by several goroutines at once. What
// EROFS cannot hold is found before a byte is written.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	size, err := write(ctx, w, t, &o)
	if err != nil {
		return 0, fmt.Errorf("writing an EROFS file system: %w", err)
	}
	return size, nil
}

func write(ctx context.Context, w io.WriterAt, t *tree.Tree, o *Options) (int64, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	l, err := newLayout(t, o)
	if err != nil {
		return 0, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	fixed := make(chan tree.Node, 64)
	group.Go(func() error {
		defer close(fixed)
		for n := range t.Inodes() {
			if l.places[n.InodeIndex()].streamed {
				continue
			}
			if groupCtx.Err() != nil {
				return context.Cause(groupCtx)
			}
			select {
			case fixed <- n:
			case <-groupCtx.Done():
				return context.Cause(groupCtx)
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return l.writeFixed(w, fixed) })
	}
	var blocks int64
	group.Go(func() (err error) {
		if o.Compression == None {
			blocks, err = l.writeLarge(groupCtx, w, t)
		} else {
			blocks, err = l.writeCompressed(groupCtx, w, t)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return 0, err
	}
	if err := l.checkSize(blocks); err != nil {
		return 0, err
	}
	root := uint16(l.places[0].id())
	if _, err := w.WriteAt(superblock(o, root, t.NumInodes(), blocks), 0); err != nil {
		return 0, err
	}
	return blocks * blockSize, nil
}

// writeFixed writes what has its place already.
func (l *layout) writeFixed(w io.WriterAt, nodes <-chan tree.Node) error {
	var head []byte
	var content bytes.Buffer
	for n := range nodes {
		inode, p := n.Inode(), &l.places[n.InodeIndex()]
		content.Reset()
		address := uint32(0)
		switch inode.Mode.Type() {
		case tree.Regular:
			if err := n.CopyTo(&content); err != nil {
				return err
			}
		case tree.Directory:
			content.Write(l.directory(n))
		case tree.Symlink:
			content.WriteString(inode.Target)
		case tree.CharDev, tree.BlockDev:
			address = deviceNumber(inode.Major, inode.Minor)
		}
		data := content.Bytes()
		if len(data) > int(p.inline) {
			address = uint32(p.start)
		}
		head = l.appendInode(head[:0], n, int64(len(data)), p.layout, address)
		full := len(data) - int(p.inline)
		head = append(head, data[full:]...)
		if _, err := w.WriteAt(head, p.at); err != nil {
			return err
		}
		if full > 0 {
			if _, err := w.WriteAt(data[:full], p.start*blockSize); err != nil {
				return err
			}
		}
	}
	return nil
}

// streamed goes through the files that are streamed, in order.
func (l *layout) streamed(ctx context.Context, t *tree.Tree, each func(tree.Node) error) error {
	for n := range t.Inodes() {
		if !l.places[n.InodeIndex()].streamed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(n); err != nil {
			return err
		}
	}
	return nil
}

// blockWriter writes blocks one after the other.
type blockWriter struct {
	w      io.WriterAt
	next   int64 // the block that the buffer's beginning goes to
	buffer []byte
}

const blockBuffer = 1 << 20

// block is the one that is written next.
func (b *blockWriter) block() int64 { return b.next + int64(len(b.buffer))/blockSize }

// write writes p, whose last block is filled with zeros.
func (b *blockWriter) write(p []byte) error {
	if b.buffer == nil {
		b.buffer = make([]byte, 0, blockBuffer)
	}
	for len(p) > 0 {
		n := min(len(p), cap(b.buffer)-len(b.buffer))
		b.buffer = append(b.buffer, p[:n]...)
		p = p[n:]
		if rest := len(b.buffer) % blockSize; len(p) == 0 && rest > 0 {
			b.buffer = append(b.buffer, zeros[:blockSize-rest]...)
		}
		if len(b.buffer) == cap(b.buffer) {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

var zeros [blockSize]byte

func (b *blockWriter) flush() error {
	if len(b.buffer) == 0 {
		return nil
	}
	_, err := b.w.WriteAt(b.buffer, b.next*blockSize)
	b.next = b.block()
	b.buffer = b.buffer[:0]
	return err
}
