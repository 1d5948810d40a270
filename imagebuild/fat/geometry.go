package fat

import "fmt"

const (
	numFATs         = 2
	rootEntries     = 512   // of FAT16, at least
	maxRootEntries  = 65520 // a multiple of 16 that 16 bits hold
	minFAT16        = 4085 + 16
	maxFAT16        = 65524 - 16 // some readers are off by some
	minFAT32        = 65525 + 16
	maxFAT32        = 0x0FFFFFF0 - 16
	maxSectors      = 1<<32 - 1
	reserved16      = 1
	reserved32      = 32
	auto32          = 512 << 20 // the size from which on Auto is FAT32
	sectorsPerTrack = 63
	heads           = 255
)

// geometry is where what is.
type geometry struct {
	fat         Type
	cluster     int64 // bytes
	reserved    int64 // sectors before the first table
	table       int64 // sectors of one table
	rootEntries int64 // of FAT16's root directory
	clusters    int64
	sectors     int64
}

// entrySize is the number of bytes of an entry of the table.
func (g *geometry) entrySize() int64 { return int64(g.fat) / 8 }

func (g *geometry) rootStart() int64 { return (g.reserved + numFATs*g.table) * sectorSize }

func (g *geometry) rootSize() int64 { return g.rootEntries * entrySize }

// dataStart is the byte at which cluster 2 begins.
func (g *geometry) dataStart() int64 { return g.rootStart() + g.rootSize() }

func (g *geometry) size() int64 { return g.sectors * sectorSize }

// minClusters is the least number of clusters that the type is known by.
func (g *geometry) minClusters() int64 {
	if g.fat == FAT16 {
		return minFAT16
	}
	return minFAT32
}

func (g *geometry) maxClusters() int64 {
	if g.fat == FAT16 {
		return maxFAT16
	}
	return maxFAT32
}

// align makes clusters begin at a multiple of their size.
func (g *geometry) align() {
	g.reserved = reserved32
	if g.fat == FAT16 {
		g.reserved = reserved16
	}
	g.reserved += -(g.dataStart() / sectorSize) & (g.cluster/sectorSize - 1)
}

// holding sets the sizes for a number of clusters.
func (g *geometry) holding(clusters int64) {
	g.clusters = max(clusters, g.minClusters())
	g.table = blocks((g.clusters+2)*g.entrySize(), sectorSize)
	g.align()
	g.sectors = g.dataStart()/sectorSize + g.clusters*g.cluster/sectorSize
}

// filling sets the sizes for a number of sectors. The tables grow until they
// have an entry for each cluster that they leave room for.
func (g *geometry) filling(sectors int64) {
	g.sectors = sectors
	for g.table = 1; ; {
		g.align()
		g.clusters = max(0, (sectors*sectorSize-g.dataStart())/g.cluster)
		need := blocks((g.clusters+2)*g.entrySize(), sectorSize)
		if need <= g.table {
			return
		}
		g.table = need
	}
}

// advised is the size of clusters that Microsoft advises for FAT32.
func advised(size int64) int64 {
	switch {
	case size <= 260<<20:
		return 512
	case size <= 8<<30:
		return 4 << 10
	case size <= 16<<30:
		return 8 << 10
	case size <= 32<<30:
		return 16 << 10
	}
	return 32 << 10
}

// plan chooses type, clusters and size for what needs so many clusters.
func plan(o Options, root int64, need func(cluster int64, fat Type) int64) (*geometry, error) {
	types := []Type{o.Type}
	if o.Type == Auto {
		types = []Type{FAT16, FAT32}
	}
	var last error
	for _, fat := range types {
		g, err := planType(o, fat, root, need)
		if err == nil && (o.Type != Auto || fat == FAT32 || g.size() < auto32) {
			return g, nil
		}
		if last == nil || fat == FAT32 && o.Size >= auto32 {
			last = err
		}
	}
	return nil, last
}

// planType tries the sizes of clusters, the least first.
func planType(o Options, fat Type, root int64, need func(int64, Type) int64) (*geometry, error) {
	var why error
	for cluster := int64(sectorSize); cluster <= maxCluster; cluster *= 2 {
		if o.ClusterSize != 0 && cluster != int64(o.ClusterSize) {
			continue
		}
		g := &geometry{fat: fat, cluster: cluster}
		if fat == FAT16 {
			g.rootEntries = max(rootEntries, (root+15)/16*16)
		}
		used := need(cluster, fat)
		if o.Size > 0 {
			g.filling(o.Size / sectorSize)
		} else {
			g.holding(used + blocks(o.Free, cluster))
		}
		if err := g.check(used); err != nil {
			if why == nil || g.clusters >= g.minClusters() {
				why = err // of the largest clusters that there may be
			}
			continue
		}
		if fat == FAT32 && o.ClusterSize == 0 && cluster < advised(g.size()) && g.roomier(o, used, need) {
			continue
		}
		return g, nil
	}
	return nil, why
}

// roomier reports whether clusters of twice the size are possible.
func (g *geometry) roomier(o Options, used int64, need func(int64, Type) int64) bool {
	if o.Size == 0 {
		return blocks(g.clusters, 2) >= g.minClusters()
	}
	next := &geometry{fat: g.fat, cluster: 2 * g.cluster}
	next.filling(g.sectors)
	return next.check(need(next.cluster, g.fat)) == nil
}

func (g *geometry) check(used int64) error {
	switch {
	case g.clusters < g.minClusters():
		return fmt.Errorf("%s has at least %d clusters, and %d bytes have room for %d of %d bytes", g.fat, g.minClusters(), g.size(), g.clusters, g.cluster)
	case g.clusters > g.maxClusters():
		return fmt.Errorf("%s has at most %d clusters, and this takes %d of %d bytes", g.fat, g.maxClusters(), g.clusters, g.cluster)
	case used > g.clusters:
		return fmt.Errorf("the tree takes %d clusters of %d bytes, and %d bytes have room for %d: make it larger", used, g.cluster, g.size(), g.clusters)
	case g.sectors > maxSectors:
		return fmt.Errorf("%s has at most %d sectors, and this takes %d", g.fat, int64(maxSectors), g.sectors)
	}
	return nil
}

// blocks is how many blocks of a size hold n bytes.
func blocks(n, size int64) int64 { return (n + size - 1) / size }
