package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds on an answer of the machine-readable interface. Real ones have a
// dozen architectures with one or two places each, some 10 kB.
const (
	maxJSON  = 1 << 20
	maxFiles = 1000
)

// A File is a place where a service has seen a file of a package.
type File struct {
	Archive   string    // what the service calls the archive, such as "debian"
	Arch      string    // the package's architecture, such as "amd64" or "all"
	Path      string    // below the archive's root, such as "pool/main/h/hello/hello_2.10-3_amd64.deb"
	Size      int64     // bytes
	FirstSeen time.Time // the first state that has it
}

// binFiles is the answer's form. The keys of FileInfo are SHA-1 digests, as are
// the hashes of Result.
type binFiles struct {
	Result []struct {
		Hash         string `json:"hash"`
		Architecture string `json:"architecture"`
	} `json:"result"`
	FileInfo map[string][]struct {
		ArchiveName string `json:"archive_name"`
		FirstSeen   string `json:"first_seen"`
		Name        string `json:"name"`
		Path        string `json:"path"`
		Size        int64  `json:"size"`
	} `json:"fileinfo"`
}

// BinFiles asks the machine-readable interface at api, as [Service.API] gives
// it, for the files of a package at a version, epoch included. A package that
// the service does not know is an error that wraps fs.ErrNotExist.
func (c *Client) BinFiles(ctx context.Context, api, pkg, version string) ([]File, error) {
	url := binFilesURL(api, pkg, version)
	body, err := c.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	files, err := readBinFiles(body)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s cannot be used: %w", url, err)
	}
	return files, nil
}

// readBinFiles reads an answer. The files come sorted by time, then by the
// other fields, each once.
func readBinFiles(r io.Reader) ([]File, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("it has more than %d bytes", maxJSON)
	}
	var answer binFiles
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	var files []File
	for _, r := range answer.Result {
		for _, info := range answer.FileInfo[r.Hash] {
			seen, err := time.Parse(Layout, info.FirstSeen)
			if err != nil {
				return nil, fmt.Errorf("first_seen %.40q is not a time of the form %s", info.FirstSeen, Layout)
			}
			f := File{
				Archive:   info.ArchiveName,
				Arch:      r.Architecture,
				Path:      strings.TrimPrefix(info.Path, "/") + "/" + info.Name,
				Size:      info.Size,
				FirstSeen: seen,
			}
			if err := f.check(); err != nil {
				return nil, err
			}
			if files = append(files, f); len(files) > maxFiles {
				return nil, fmt.Errorf("it names more than %d files", maxFiles)
			}
		}
	}
	slices.SortFunc(files, File.compare)
	return slices.Compact(files), nil
}

var word = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`)

func (f File) check() error {
	switch {
	case !word.MatchString(f.Archive):
		return fmt.Errorf("archive_name %.40q is not a name", f.Archive)
	case !word.MatchString(f.Arch):
		return fmt.Errorf("architecture %.40q is not a name", f.Arch)
	case !fs.ValidPath(f.Path) || strings.ContainsFunc(f.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("path %.200q does not lie below an archive", f.Path)
	case f.Size < 0:
		return fmt.Errorf("size %d of %s is negative", f.Size, f.Path)
	}
	return nil
}

func (f File) compare(g File) int {
	return cmp.Or(f.FirstSeen.Compare(g.FirstSeen), strings.Compare(f.Archive, g.Archive),
		strings.Compare(f.Path, g.Path), strings.Compare(f.Arch, g.Arch), cmp.Compare(f.Size, g.Size))
}
