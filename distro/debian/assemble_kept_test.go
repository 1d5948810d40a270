package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/lockfile"
)

// keeper keeps what packages unpack to in memory. It may refuse to.
type keeper struct {
	mu      sync.Mutex
	kept    map[lockfile.Digest][]byte
	opened  int
	refuses bool
}

func (k *keeper) Open(_ context.Context, d lockfile.Digest) (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	data, ok := k.kept[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	k.opened++
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (k *keeper) Keep(_ context.Context, d lockfile.Digest, r io.Reader) error {
	if k.refuses {
		return errors.New("the disk is full")
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept[d] = data
	return nil
}

// assembleKept assembles with a keeper.
func assembleKept(t *testing.T, k *keeper, packages ...made) error {
	t.Helper()
	var debs [][]byte
	for _, p := range packages {
		debs = append(debs, p.deb())
	}
	lock, blobs := madeLock(t, debs...)
	root := target.NewMemory(target.NewSpool(nil))
	err := (Distro{}).Assemble(t.Context(), distro.Assembly{Lock: lock, Blobs: blobs, Root: root, Epoch: lock.Date, Parallel: 2, Unpacked: k})
	if err != nil {
		return err
	}
	for name, want := range map[string]string{"usr/large": strings.Repeat("x", 700_000), "usr/small": "s"} {
		r, err := root.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s has %d bytes, not the %d of the package: %v", name, len(got), len(want), err)
		}
	}
	return nil
}

func TestUnpackedIsKept(t *testing.T) {
	large := made{control: "Package: large", members: []tar.Header{folder("./usr"), plain("./usr/large", strings.Repeat("x", 700_000))}}
	small := made{control: "Package: small", members: []tar.Header{folder("./usr"), plain("./usr/small", "s")}}
	k := &keeper{kept: map[lockfile.Digest][]byte{}}
	for round := range 2 {
		if err := assembleKept(t, k, large, small); err != nil {
			t.Fatal(err)
		}
		if len(k.kept) != 2 || k.opened != 2*round {
			t.Errorf("round %d: %d packages are kept, %d were opened", round, len(k.kept), k.opened)
		}
	}
	if err := assembleKept(t, &keeper{refuses: true}, large, small); err != nil {
		t.Errorf("where nothing can be kept: %v", err)
	}
}

// What is damaged is not kept, and is an error wherever the damage is.
func TestDamagedIsNotKept(t *testing.T) {
	good := made{control: "Package: p", members: []tar.Header{folder("./usr"), plain("./usr/f", strings.Repeat("x", 700_000))}}
	data := packed(append([]tar.Header{folder(".")}, good.members...))
	for name, damage := range map[string]func([]byte) []byte{
		"cut off":        func(b []byte) []byte { return b[:len(b)/2] },
		"sum of the end": func(b []byte) []byte { b[len(b)-8] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			k := &keeper{kept: map[lockfile.Digest][]byte{}}
			bad := good
			bad.data = damage(bytes.Clone(data))
			if err := assembleKept(t, k, bad); err == nil {
				t.Error("it was assembled")
			}
			if len(k.kept) != 0 {
				t.Error("it was kept")
			}
		})
	}
}

// What was not read to its end is not kept.
func TestPartsAreNotKept(t *testing.T) {
	m := made{control: "Package: p", members: []tar.Header{folder("./usr"), plain("./usr/f", strings.Repeat("x", 700_000))}}
	lock, blobs := madeLock(t, m.deb())
	p, err := openParcel(t.Context(), blobs, lock.Entries[0])
	if err != nil {
		t.Fatal(err)
	}
	defer p.file.Close()
	k := &keeper{kept: map[lockfile.Digest][]byte{}}
	r, err := openData(t.Context(), p, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if len(k.kept) != 0 {
		t.Error("a part was kept as the whole")
	}
}

// noting notes where files say that their contents are from.
type noting struct {
	*target.Memory
	origins map[string]distro.Origin
}

func (n noting) Put(f distro.File, r io.Reader) error {
	n.origins[f.Path] = f.Origin
	return n.Memory.Put(f, r)
}

// Files tell where in what is kept of their package their bytes are.
func TestOrigins(t *testing.T) {
	long := strings.Repeat("long/", 40) + "name"
	p := made{control: "Package: p\nEssential: yes", members: []tar.Header{
		folder("./usr"), plain("./usr/one", "first"), plain("./usr/"+strings.ReplaceAll(long, "/", "-"), "second"), plain("./usr/three", strings.Repeat("third", 1000)),
	}}
	k := &keeper{kept: map[lockfile.Digest][]byte{}}
	lock, blobs := madeLock(t, p.deb())
	root := noting{target.NewMemory(target.NewSpool(nil)), map[string]distro.Origin{}}
	a := distro.Assembly{Lock: lock, Blobs: blobs, Root: root, Epoch: lock.Date, Parallel: 2, Unpacked: k}
	if err := (Distro{}).Assemble(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"usr/one": "first", "usr/" + strings.ReplaceAll(long, "/", "-"): "second", "usr/three": strings.Repeat("third", 1000)} {
		from := root.origins[name]
		if data := k.kept[from.Package]; !bytes.HasPrefix(data[min(from.Offset, int64(len(data))):], []byte(want)) {
			t.Errorf("%s is not at %d of what is kept of its package", name, from.Offset)
		}
	}
	if root.origins["var/lib/dpkg/status"] != (distro.Origin{}) || root.origins["usr"] != (distro.Origin{}) {
		t.Errorf("what is of no package is said to be from one: %v", root.origins)
	}
	clear(root.origins)
	root.Memory, a.Unpacked = target.NewMemory(target.NewSpool(nil)), nil
	a.Root = root
	if err := (Distro{}).Assemble(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if from := root.origins["usr/one"]; from != (distro.Origin{}) {
		t.Errorf("nothing is kept, and yet it is said to be in %v", from)
	}
}
