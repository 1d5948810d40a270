package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockInspect() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in a lock",
		ArgsUsage: "FILE",
		Description: "Shows a lock as a table: what system it is of, and each package with its version, architecture, archive, its size where it is in the cache, and the head of its SHA-256. " +
			"With --json, everything.\n\n" +
			"Examples:\n" +
			"  samebits lock inspect SHA256SUMS\n" +
			"  samebits lock inspect --json SHA256SUMS",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).lockInspect),
	}
}

// inspected is what --json prints of a lock.
type inspected struct {
	System   *lockfile.System   `json:"system,omitempty"`
	Date     *time.Time         `json:"date,omitempty"`
	Packages []inspectedEntry   `json:"packages"`
	Missing  []lockfile.Missing `json:"missing"`
}

type inspectedEntry struct {
	distro.Package
	lockfile.Entry
	CID  string `json:"cid,omitempty"`
	Size *int64 `json:"size,omitempty"` // of the file in the cache
}

func (s *session) lockInspect() error {
	lock, err := s.readLock(s.Args().First())
	if err != nil {
		return err
	}
	out := inspected{Packages: []inspectedEntry{}, Missing: []lockfile.Missing{}}
	if !lock.System.IsZero() {
		out.System = &lock.System
	}
	if !lock.Date.IsZero() {
		out.Date = &lock.Date
	}
	out.Missing = append(out.Missing, lock.Missing...)
	var c *cache.Cache
	if c, err = s.openExistingCache(); err == nil {
		defer c.Close()
	}
	for _, e := range lock.Entries {
		row := inspectedEntry{Package: describe(e), Entry: e, CID: lock.CIDs[e.Digest]}
		if c != nil {
			if n, err := c.Size(e.Digest); err == nil {
				row.Size = &n
			}
		}
		out.Packages = append(out.Packages, row)
	}
	if s.Bool("json") {
		return s.writeJSON(out)
	}
	return s.writeOutput("-", []byte(out.table()))
}

func (in *inspected) table() string {
	var b strings.Builder
	if in.System != nil {
		fmt.Fprintf(&b, "System:    %s\n", in.System)
	}
	if in.Date != nil {
		fmt.Fprintf(&b, "Date:      %s\n", in.Date.Format("2006-01-02 15:04:05 UTC"))
	}
	fmt.Fprintf(&b, "Packages:  %d\n", len(in.Packages))
	cached, bytes := 0, int64(0)
	for _, p := range in.Packages {
		if p.Size != nil {
			cached++
			bytes += *p.Size
		}
	}
	fmt.Fprintf(&b, "In cache:  %d, %s\n", cached, size(bytes))
	if n := len(in.Missing); n > 0 {
		fmt.Fprintf(&b, "Missing:   %d, this lock does not describe its whole system\n", n)
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PACKAGE\tVERSION\tARCH\tARCHIVE\tSIZE\tSHA256")
	byName := slices.SortedStableFunc(slices.Values(in.Packages), func(a, b inspectedEntry) int { return a.Package.Compare(b.Package) })
	for _, p := range byName {
		length := "-"
		if p.Size != nil {
			length = size(*p.Size)
		}
		archive := p.Entry.Archive.Name
		if p.Unsigned {
			archive = strings.TrimSpace(archive + " (unsigned)")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, dash(p.Version), dash(p.Package.Arch), dash(archive), length, p.Digest.String()[:12])
	}
	for _, m := range in.Missing {
		fmt.Fprintf(w, "%s\t%s\t%s\tmissing\t-\t-\n", m.Name, m.Version, m.Arch)
	}
	w.Flush()
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
