package ipfs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/samebits/samebits/lockfile"
)

// A Profile is a way to cut a file into blocks. The address of a file depends
// on it as soon as the file has more than one block.
type Profile struct {
	Name  string
	Chunk int // bytes in a leaf
	Links int // children of an inner node, at most
}

var (
	// UnixFS2025 is the profile unixfs-v1-2025 of IPIP-499: leaves of 1 MiB,
	// 1024 children a node.
	UnixFS2025 = Profile{Name: "unixfs-v1-2025", Chunk: 1 << 20, Links: 1024}
	// CIDv1 is what "ipfs add --cid-version=1" has long done: leaves of 256
	// KiB, 174 children a node.
	CIDv1 = Profile{Name: "cid-v1", Chunk: 256 << 10, Links: 174}
)

// Profiles lists the known profiles, the default first.
var Profiles = []Profile{UnixFS2025, CIDv1}

// ProfileNamed returns the profile with that name.
func ProfileNamed(name string) (Profile, error) {
	for _, p := range Profiles {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("unknown IPFS profile %q; there are %s and %s", name, UnixFS2025.Name, CIDv1.Name)
}

// RawCID returns the address that follows from the digest alone: that of a
// file which is a single leaf. It is right in a profile for files of at most
// one chunk; of larger files it is the address of their bytes as one raw
// block, which gateways can serve where somebody has stored them so.
func RawCID(d lockfile.Digest) string {
	return rawCID(d).String()
}

func rawCID(d [sha256.Size]byte) cid.Cid {
	return cid.NewCidV1(cid.Raw, sum(d))
}

func sum(d [sha256.Size]byte) multihash.Multihash {
	mh, err := multihash.Encode(d[:], multihash.SHA2_256)
	if err != nil {
		panic("ipfs: SHA-256 cannot be encoded: " + err.Error()) // the code and the length are constants
	}
	return mh
}

// CID returns the address that IPFS gives the bytes of r in the profile:
// version 1, raw leaves, a balanced tree of UnixFS nodes above them. It reads
// one chunk at a time.
func CID(r io.Reader, p Profile) (string, error) {
	leaves, err := readLeaves(r, p.Chunk)
	if err != nil {
		return "", err
	}
	level := leaves
	for len(level) > 1 {
		var above []node
		for len(level) > 0 {
			n := min(p.Links, len(level))
			above = append(above, join(level[:n]))
			level = level[n:]
		}
		level = above
	}
	return level[0].cid.String(), nil
}

// A node is a block of the tree: what its parent has to know of it.
type node struct {
	cid  cid.Cid
	file uint64 // bytes of the file below this node
	tree uint64 // bytes of all blocks of this subtree
}

// readLeaves cuts r into leaves. An empty file is one empty leaf.
func readLeaves(r io.Reader, chunk int) ([]node, error) {
	buf := make([]byte, chunk)
	var leaves []node
	for {
		n, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		if n > 0 || len(leaves) == 0 {
			leaves = append(leaves, node{cid: rawCID(sha256.Sum256(buf[:n])), file: uint64(n), tree: uint64(n)})
		}
		if err != nil {
			return leaves, nil
		}
	}
}

// join makes the parent of children: a dag-pb node whose data is a UnixFS
// record of type file.
func join(children []node) node {
	var links, unixfs bytes.Buffer
	out := node{}
	for _, c := range children {
		out.file += c.file
		out.tree += c.tree
	}
	putVarintField(&unixfs, 1, 2) // type: file
	putVarintField(&unixfs, 3, out.file)
	for _, c := range children {
		putVarintField(&unixfs, 4, c.file) // size of this child's part

		var link bytes.Buffer
		putBytesField(&link, 1, c.cid.Bytes())
		putBytesField(&link, 2, nil) // name: empty, but present
		putVarintField(&link, 3, c.tree)
		putBytesField(&links, 2, link.Bytes())
	}
	// The dag-pb specification wants the links before the data.
	putBytesField(&links, 1, unixfs.Bytes())
	out.tree += uint64(links.Len())
	out.cid = cid.NewCidV1(cid.DagProtobuf, sum(sha256.Sum256(links.Bytes())))
	return out
}

// putVarintField writes a protobuf field of wire type 0.
func putVarintField(b *bytes.Buffer, field, v uint64) {
	b.WriteByte(byte(field << 3))
	putVarint(b, v)
}

// putBytesField writes a protobuf field of wire type 2.
func putBytesField(b *bytes.Buffer, field uint64, v []byte) {
	b.WriteByte(byte(field<<3 | 2))
	putVarint(b, uint64(len(v)))
	b.Write(v)
}

func putVarint(b *bytes.Buffer, v uint64) {
	for v >= 0x80 {
		b.WriteByte(byte(v) | 0x80)
		v >>= 7
	}
	b.WriteByte(byte(v))
}
