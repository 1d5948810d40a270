package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// A Plan is all that an image follows from, and where to work on it.
type Plan struct {
	Spec      *spec.Spec
	Lock      *lockfile.Lock
	Assembler distro.Assembler
	Blobs     distro.Blobs
	// Layers are locks, whose images alone are layers of their own in outputs
	// that have layers, the first the lowest. The image's tree does not depend
	// on them.
	Layers []*lockfile.Lock
	// Sources is the directory that the spec's files are relative to.
	Sources string
	// Temp is a directory for the root while it is made; empty for the
	// system's.
	Temp string
	// Parallel is how many packages to unpack at once; 0 for 2. The image does
	// not depend on it.
	Parallel int
	Events   *distro.Events
	// Output receives what scripts print; nil keeps it for the error of one
	// that fails.
	Output io.Writer
	// Limits bound each command that runs in the sandbox. Bytes bound the
	// contents of the root as they are laid out, too; where they are 0, those
	// have seven eighths of what the file system has free.
	Limits sandbox.Limits
	// Store keeps assembled roots for other builds; nil for none. The image
	// does not depend on it.
	Store Store
	// Unpacked keeps what packages unpack to; nil for none.
	Unpacked distro.Unpacked
	// Program identifies the code that assembles, such as the digest of the
	// program: only what the same has stored is used.
	Program string
}

// An Image is a finished tree and where it comes from. Its contents lie in the
// assembled root, or where that is stored, until Close.
type Image struct {
	Tree *tree.Tree
	// Applied tells what the rules did.
	Applied []Applied
	// Epoch is the time of all that has no other.
	Epoch time.Time
	Lock  *lockfile.Lock
	Spec  *spec.Spec

	temp string
	lock *os.File // of temp
	// signer signs what EFI firmware starts; nil for no signature.
	signer *secureboot.Signer
	below  []*Image // those of the plan's layers
	roots  []io.Closer
	files  []io.Closer
	// saving ends when the assembled root has been stored.
	saving sync.WaitGroup
}

// Close removes the assembled root. It waits until that has been stored.
func (i *Image) Close() error {
	i.saving.Wait()
	var errs []error
	for _, b := range i.below {
		errs = append(errs, b.Close())
	}
	for _, r := range i.roots {
		errs = append(errs, r.Close())
	}
	for _, f := range i.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(i.temp), i.lock.Close())...)
}

// Build makes the image. The caller closes it.
func Build(ctx context.Context, p Plan) (img *Image, err error) {
	if err := p.Spec.Check(); err != nil {
		return nil, err
	}
	epoch, err := p.epoch()
	if err != nil {
		return nil, err
	}
	signer, err := Signer(p.Spec, p.Sources)
	if err != nil {
		return nil, err
	}
	temp, lock, err := scratch(p.Temp)
	if err != nil {
		return nil, err
	}
	img = &Image{Epoch: epoch, Lock: p.Lock, Spec: p.Spec, temp: temp, lock: lock, signer: signer}
	if err := p.fill(ctx, img); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

// epoch is the spec's, else the date of the lock.
func (p *Plan) epoch() (time.Time, error) {
	switch {
	case !p.Spec.Epoch.IsZero():
		return p.Spec.Epoch.Time, nil
	case !p.Lock.Date.IsZero():
		return p.Lock.Date, nil
	}
	return time.Time{}, errors.New("the lock has no date and the spec no epoch; give one, such as SOURCE_DATE_EPOCH")
}

// environment is what every command in the sandbox sees.
func environment(epoch time.Time) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "TERM=dumb",
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(epoch.Unix(), 10),
	}
}

// hostname is what the system calls itself while scripts run, whatever it will
// be called.
const hostname = "localhost"

// tail keeps the end of what is written to it.
type tail struct{ data []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.data = append(t.data, b...)
	if len(t.data) > most {
		t.data = append(t.data[:0], t.data[len(t.data)-most:]...)
	}
	return len(b), nil
}

func indent(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s\n", strings.ToValidUTF8(string(l), "�"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
