package ext4

import (
	"cmp"
	"slices"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	leafRoom  = blockSize - 12 // without the checksum
	rootLimit = (blockSize - 32 - 8) / 8
	nodeLimit = (blockSize - 8 - 8) / 8
)

type entry struct {
	name         string
	ino          uint32
	kind         byte
	major, minor uint32
}

func (e *entry) size() int { return 8 + round4(len(e.name)) }

var kinds = map[tree.Mode]byte{tree.Regular: 1, tree.Directory: 2, tree.CharDev: 3, tree.BlockDev: 4, tree.Fifo: 5, tree.Socket: 6, tree.Symlink: 7}

// fillLeaf writes entries as a block, and checks it.
func fillLeaf(seed uint32, list []entry) []byte {
	b := make([]byte, blockSize)
	at := 0
	for i, e := range list {
		size := e.size()
		if i == len(list)-1 {
			size = leafRoom - at
		}
		putEntry(b[at:], e, size)
		at += size
	}
	le.PutUint16(b[leafRoom+4:], 12)
	b[leafRoom+7] = 0xDE
	le.PutUint32(b[leafRoom+8:], crc(seed, b[:leafRoom]))
	return b
}

func putEntry(b []byte, e entry, size int) {
	le.PutUint32(b, e.ino)
	le.PutUint16(b[4:], uint16(size))
	b[6], b[7] = byte(len(e.name)), e.kind
	copy(b[8:], e.name)
}

// directory is the blocks of a directory, nil if there are too many entries.
// list begins with "." and "..".
func directory(seed uint32, hashSeed [16]byte, list []entry) (blocks [][]byte, hashed bool) {
	total := 0
	for i := range list {
		total += list[i].size()
	}
	if total <= leafRoom {
		return [][]byte{fillLeaf(seed, list)}, false
	}
	dots, list := list[:2], list[2:]
	for i := range list {
		list[i].major, list[i].minor = nameHash(hashSeed, list[i].name)
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.major, b.major), cmp.Compare(a.minor, b.minor), cmp.Compare(a.name, b.name))
	})
	leaves, hashes := packLeaves(seed, list)
	return index(seed, dots, leaves, hashes), true
}

// packLeaves fills leaves, and tells the least hash of each; an odd one says that
// the leaf before has names of that hash, too.
func packLeaves(seed uint32, list []entry) (leaves [][]byte, hashes []uint32) {
	for len(list) > 0 {
		n, used := 0, 0
		for n < len(list) && used+list[n].size() <= leafRoom {
			used += list[n].size()
			n++
		}
		leaves = append(leaves, fillLeaf(seed, list[:n]))
		hashes = append(hashes, list[0].major)
		if n < len(list) && list[n].major == list[n-1].major {
			list[n].major |= 1
			for i := n + 1; i < len(list) && list[i].major == list[n-1].major; i++ {
				list[i].major |= 1
			}
		}
		list = list[n:]
	}
	return leaves, hashes
}

// index puts a tree over the leaves: a root, and nodes below it if it has to be.
func index(seed uint32, dots []entry, leaves [][]byte, hashes []uint32) [][]byte {
	root := make([]byte, blockSize)
	putEntry(root, dots[0], 12)
	putEntry(root[12:], dots[1], blockSize-12)
	root[28], root[29] = 1, 8 // half MD4, and the size of this
	if len(leaves) <= rootLimit {
		putIndex(seed, root, 32, rootLimit, hashes, 1)
		return append([][]byte{root}, leaves...)
	}
	root[30] = 1
	count := (len(leaves) + nodeLimit - 1) / nodeLimit
	if count > rootLimit {
		return nil
	}
	blocks := [][]byte{root}
	var nodes []uint32
	for i := range count {
		part := hashes[i*nodeLimit : min((i+1)*nodeLimit, len(hashes))]
		node := make([]byte, blockSize)
		le.PutUint16(node[4:], blockSize)
		putIndex(seed, node, 8, nodeLimit, part, 1+count+i*nodeLimit)
		blocks, nodes = append(blocks, node), append(nodes, part[0])
	}
	putIndex(seed, root, 32, rootLimit, nodes, 1)
	return append(blocks, leaves...)
}

func putIndex(seed uint32, b []byte, at, limit int, hashes []uint32, first int) {
	for i, h := range hashes {
		le.PutUint32(b[at+8*i:], h)
		le.PutUint32(b[at+8*i+4:], uint32(first+i))
	}
	le.PutUint16(b[at:], uint16(limit)) // in place of the first one's hash
	le.PutUint16(b[at+2:], uint16(len(hashes)))
	sum := crc(crc(seed, b[:at+8*len(hashes)]), make([]byte, 8))
	le.PutUint32(b[at+8*limit+4:], sum)
}

// directoryBlocks is the most blocks that a directory takes.
func directoryBlocks(n tree.Node, extra int) int64 {
	total := int64(24 + extra)
	for c := range n.Children() {
		total += int64(8 + round4(len(c.Name())))
	}
	if total <= leafRoom {
		return 1
	}
	leaves := (total + leafRoom - 265) / (leafRoom - 264)
	return 2 + leaves + (leaves+nodeLimit-1)/nodeLimit
}
