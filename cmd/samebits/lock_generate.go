package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockGenerate() *cli.Command {
	return &cli.Command{
		Name:      "generate",
		Usage:     "lock the packages that are installed",
		ArgsUsage: "[PACKAGE…]",
		Description: "Writes a lock of all installed packages, or of the named ones and what they depend on, at exactly the installed versions. " +
			"Each line's SHA-256 comes from an index that a trusted key signed. A package that cannot be located becomes a \"missing\" line, and the exit code is 3.\n\n" +
			"Examples:\n" +
			"  samebits lock generate -o SHA256SUMS\n" +
			"  samebits lock generate --since SHA256SUMS -o SHA256SUMS-tools\n" +
			"  samebits lock generate --root /mnt/system hello curl",
		Flags: append([]cli.Flag{
			outputFlag(), rootFlag(),
			&cli.StringFlag{Name: "since", Usage: "leave out what the lock `OLD` has"},
			&cli.BoolFlag{Name: "no-deps", Usage: "only the named packages, not what they depend on"},
			&cli.BoolFlag{Name: "update", Usage: "fetch fresh indexes; the system's own are not touched"},
			allowMissingFlag("exit with 0 also where packages are missing"),
			packagesFlag(), cacheFlag(),
		}, networkFlags()...),
		Action: p.verb((*session).lockGenerate),
	}
}

func (s *session) lockGenerate() error {
	switch {
	case s.Bool("no-deps") && !s.Args().Present():
		return s.usagef("--no-deps is about named packages, and none is named")
	case s.Bool("update") && s.Bool("offline"):
		return s.usagef("--update wants the network that --offline forbids")
	}
	if err := checkOutput(s.String("output")); err != nil {
		return err
	}
	old := &lockfile.Lock{}
	if name := s.String("since"); name != "" {
		var err error
		if old, err = s.readLock(name); err != nil {
			return err
		}
	}
	sys, family, err := s.system()
	if err != nil {
		return err
	}
	if other := distro.ByLock(old, families); other != nil && other.Traits().Family != family.Traits().Family {
		return fmt.Errorf("--since %s: a lock of %s says nothing of a system of %s", s.String("since"), old.System.Distro, family.Traits().Family)
	}
	var packages []distro.Package
	if names := s.Args().Slice(); len(names) > 0 {
		packages, err = sys.Select(s.ctx, names, !s.Bool("no-deps"))
	} else {
		packages, err = sys.Installed(s.ctx)
	}
	if err != nil {
		return err
	}
	blobs := &lateCache{session: s}
	defer blobs.close()
	req, err := s.locateRequest(family, sys, blobs)
	if err != nil {
		return err
	}
	req.Packages = newerThan(old, packages, family)
	req.Fresh = s.Bool("update")
	located, err := sys.Locate(s.ctx, req)
	if err != nil {
		return err
	}
	s.askHistory(located)
	lock := located.Lock.Without(old)
	if err := s.writeLock(s.String("output"), lock); err != nil {
		return err
	}
	s.say("%s", summary(lock))
	return s.tellUnlocated(lock, located)
}

// newerThan leaves out the packages that old names, as entries or as missing:
// they need not be looked for.
func newerThan(old *lockfile.Lock, packages []distro.Package, family distro.Distro) []distro.Package {
	had := map[distro.Package]bool{}
	for _, e := range old.Entries {
		if p, ok := family.Describe(e.Path); ok {
			had[p] = true
		}
	}
	for _, m := range old.Missing {
		had[distro.Package(m)] = true
	}
	return slices.DeleteFunc(slices.Clone(packages), func(p distro.Package) bool {
		if had[p] {
			return true
		}
		// A file's name may lack the version's epoch.
		_, version, ok := strings.Cut(p.Version, ":")
		return ok && had[distro.Package{Name: p.Name, Version: version, Arch: p.Arch}]
	})
}

// summary is what is in a lock, in a line.
func summary(l *lockfile.Lock) string {
	archives := map[lockfile.Archive]bool{}
	unsigned := 0
	for _, e := range l.Entries {
		archives[e.Archive] = true
		if e.Unsigned {
			unsigned++
		}
	}
	text := count(len(l.Entries), "package") + " locked"
	if len(archives) > 0 {
		text += ", from " + count(len(archives), "archive")
	}
	if !l.Date.IsZero() {
		text += ", as of " + l.Date.Format("2006-01-02 15:04 UTC")
	}
	if unsigned > 0 {
		text += fmt.Sprintf("; %d without a signature", unsigned)
	}
	return text
}

// tellUnlocated sums up what a lock is missing, by reason, with what would
// help. Its error is a [*missingError], or nil with --allow-missing.
func (s *session) tellUnlocated(l *lockfile.Lock, located *distro.Located) error {
	if len(l.Missing) == 0 {
		return nil
	}
	s.tellReasons(l.Missing, located.Reasons)
	for _, hint := range located.Hints {
		s.say("hint: %s", hint)
	}
	if s.Bool("allow-missing") {
		return nil
	}
	return missingf("%s could not be located and %s in the lock as missing; --allow-missing accepts that", count(len(l.Missing), "package"), are(len(l.Missing)))
}

// tellReasons tells why packages are missing, the reasons that most of them
// share first; with --verbose, what there is to say of each.
func (s *session) tellReasons(missing []lockfile.Missing, reasons map[lockfile.Missing]distro.Reason) {
	byKind := map[string][]lockfile.Missing{}
	for _, m := range missing {
		byKind[reasons[m].Kind] = append(byKind[reasons[m].Kind], m)
	}
	label := s.paint("33", "missing:")
	for _, kind := range slices.SortedFunc(maps.Keys(byKind), func(a, b string) int {
		return cmp.Or(len(byKind[b])-len(byKind[a]), strings.Compare(a, b))
	}) {
		group := byKind[kind]
		if !s.verbose {
			s.line(fmt.Sprintf("%s %s (%s): %s", label, count(len(group), "package"), printable(kind), printable(s.some(missingNames(group)))))
			continue
		}
		for _, m := range group {
			s.line(fmt.Sprintf("%s %s, %s", label, printable(m.String()), printable(reasons[m].String())))
		}
	}
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
