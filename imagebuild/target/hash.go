package target

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

// A hashed is what is known of a file as long as it was not changed since.
type hashed struct {
	changed unix.Timespec // the time of its last change, in status or content
	size    int64
	digest  tree.Digest
	origin  distro.Origin // of the content; zero for none
}

// A fresh is a file whose content has been written, and nobody has hashed it.
type fresh struct {
	name    string
	changed unix.Timespec // the time of its last change then
	origin  distro.Origin // of what was written
}

// Originated is a [tree.Content] that may be had elsewhere, too.
type Originated interface {
	tree.Content
	// Origin is zero where nothing is known of one.
	Origin() distro.Origin
}

type originated struct {
	tree.Content
	origin distro.Origin
}

// Origin implements [Originated].
func (o originated) Origin() distro.Origin { return o.origin }

func (d *Dir) hashLater(f ...fresh) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh = append(d.fresh, f...)
}

// hashingNice is how much hashing gives way to others; see nice(2).
const hashingNice = 10

// HashAhead hashes what was put since it was last called, while others work,
// for [Dir.Freeze] to have less to do. It ends at the end of ctx, or when stop
// is called, which waits for that. Others may change the root meanwhile.
func (d *Dir) HashAhead(ctx context.Context) (stop func()) {
	// What is changed from now on has a time of now or later, so that it is
	// told from what was changed before now.
	now, err := clock(d.path)
	if err != nil {
		return func() {}
	}
	d.mu.Lock()
	all := d.fresh
	d.fresh = nil
	d.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Others' work goes first. The thread ends with this.
		runtime.LockOSThread()
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, hashingNice)
		h := sha256.New()
		for i, f := range all {
			if ctx.Err() != nil {
				d.hashLater(all[i:]...)
				return
			}
			d.hashOne(ctx, h, f, now.UnixNano())
		}
	}()
	return func() { cancel(); <-done }
}

// hashOne hashes a file that was last changed before a moment, in nanoseconds.
// What cannot be read now is left to Freeze.
func (d *Dir) hashOne(ctx context.Context, h hash.Hash, f fresh, before int64) {
	fd, err := d.open(f.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return
	}
	in := plain{fd, f.name}
	defer in.Close()
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if st.Ctim.Nano() >= before {
		// A file that was changed in this very moment has its turn the next
		// time, and nobody knows then whether it was changed twice.
		d.hashLater(fresh{name: f.name})
		return
	}
	if st.Ctim != f.changed {
		f.origin = distro.Origin{}
	}
	h.Reset()
	buf := copies.Get().(*[256 << 10]byte)
	defer copies.Put(buf)
	for {
		n, err := in.Read(buf[:])
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		if ctx.Err() != nil {
			d.hashLater(f)
			return
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.digests[st.Ino] = hashed{st.Ctim, st.Size, tree.Digest(h.Sum(nil)), f.origin}
}

// known is what was found out of a file, if it was not changed since; else
// zero.
func (d *Dir) known(st *unix.Stat_t) hashed {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.digests[st.Ino]; h.changed == st.Ctim && h.size == st.Size {
		return h
	}
	return hashed{}
}
