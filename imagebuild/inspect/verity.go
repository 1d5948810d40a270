package inspect

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/verity"
)

func (o *opener) verity(p *Part, _ int) {
	s, root, err := verity.Root(p.source.at)
	if err != nil && !errors.Is(err, verity.ErrNoRoot) {
		p.fail(err)
		return
	}
	p.add("uuid", uuid(s.UUID))
	p.add("salt", hex.EncodeToString(s.Salt))
	p.add("data_size", s.DataSize)
	p.add("tree_size", verity.Size(s.DataSize))
	if err == nil {
		p.add("root_hash", hex.EncodeToString(root[:]))
	}
	if need := verity.Size(s.DataSize); need > p.source.size {
		p.fail(fmt.Errorf("the hash tree of %d bytes would have %d, and there are %d", s.DataSize, need, p.source.size))
	}
}

// guarded finds, for each hash tree of a disk, the partition that it is of, and
// the command lines that name its root hash.
func (o *opener) guarded(disk *Part) {
	var trees []*Part
	for _, p := range disk.Parts {
		if p.Format != "verity" || p.Problem != nil {
			continue
		}
		trees = append(trees, p)
		data := dataOf(disk, p)
		if data == nil {
			continue
		}
		p.add("data", data.Label())
		root, _ := p.Attribute("root_hash").(string)
		size := p.Attribute("data_size").(int64)
		if root == "" {
			continue
		}
		p.check("the data of "+quoted(data)+" are those of the hash tree", func(ctx context.Context) error {
			var want verity.Digest
			if _, err := hex.Decode(want[:], []byte(root)); err != nil {
				return err
			}
			return verity.Verify(ctx, data.source.at, size, p.source.at, want)
		})
		ids := strings.ReplaceAll(fmt.Sprint(data.Attribute("partition_id"), p.Attribute("partition_id")), "-", "")
		p.add("root_hash_in_ids", ids == root)
	}
	o.commandLines(disk, trees)
}

func quoted(p *Part) string { return fmt.Sprintf("%q", p.Label()) }

// dataOf is the partition that a hash tree is of: the one whose type says so, or
// else the only one that has enough bytes and is before it.
func dataOf(disk, hashes *Part) *Part {
	kind, _ := hashes.Attribute(typeAttribute).(string)
	size, _ := hashes.Attribute("data_size").(int64)
	fits := slices.DeleteFunc(slices.Clone(disk.Parts), func(p *Part) bool { return p == hashes || p.Size < size || p.Format == "verity" })
	if i := slices.IndexFunc(fits, func(p *Part) bool {
		data, _ := p.Attribute(typeAttribute).(string)
		return strings.Contains(kind, "-verity") && strings.Replace(kind, "-verity", "", 1) == data
	}); i >= 0 {
		return fits[i]
	}
	fits = slices.DeleteFunc(fits, func(p *Part) bool { return p.Size != size })
	if len(fits) == 1 {
		return fits[0]
	}
	return nil
}

// commandLines holds the root hashes of command lines against the trees.
func (o *opener) commandLines(disk *Part, trees []*Part) {
	disk.All(func(path []string, p *Part) bool {
		cmdline, _ := p.Attribute("cmdline").(string)
		for word := range strings.FieldsSeq(cmdline) {
			name, hash, _ := strings.Cut(word, "=")
			if name != "roothash" && name != "usrhash" {
				continue
			}
			p.check("the root hash on the command line is that of a hash tree of the disk", func(context.Context) error {
				for _, t := range trees {
					if t.Attribute("root_hash") == strings.ToLower(hash) {
						return nil
					}
				}
				return fmt.Errorf("no hash tree has %s", hash)
			})
		}
		return true
	})
}
