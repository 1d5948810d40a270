package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

func (p *program) lockResolve() *cli.Command {
	return &cli.Command{
		Name:      "resolve",
		Usage:     "lock named packages and what they need, with no system",
		ArgsUsage: "[PACKAGE…]",
		Description: "Writes a lock of the named packages, what they depend on and the base of a system, for any distribution and architecture on any host. " +
			"The distribution's own package manager decides: it is fetched as a package of the same suite, verified, and run in a sandbox without a network. " +
			"Each line's SHA-256 comes from an index that a trusted key signed; the keys of Debian, Ubuntu, Alpine and Arch Linux are built in.\n\n" +
			"Who is not root needs subordinate ids (subuid(5)) and the package uidmap.\n\n" +
			"Examples:\n" +
			"  samebits lock resolve --distro debian --suite trixie --arch arm64 systemd openssh-server > SHA256SUMS-arm64\n" +
			"  samebits lock resolve --distro debian --suite bookworm --snapshot 20240101T000000Z -o SHA256SUMS nginx-light\n" +
			"  samebits lock resolve --distro alpine --suite v3.20 --base none -o SHA256SUMS chrony\n" +
			"  samebits lock resolve --distro arch -o SHA256SUMS openssh",
		Flags: []cli.Flag{
			outputFlag(),
			&cli.StringFlag{Name: "distro", Usage: "resolve for the distribution with the os-release `ID`; by default that of this system"},
			&cli.StringSliceFlag{Name: "suite", Usage: "take packages from the suite or branch `NAME`, such as trixie or v3.20; may be repeated"},
			&cli.BoolFlag{Name: "only-suite", Usage: "leave out the updates and security updates that belong to a suite"},
			&cli.StringFlag{Name: "arch", Usage: "resolve for the architecture `ARCH`; by default that of this machine"},
			&cli.StringFlag{Name: "base", Usage: "what a system has besides the named packages: `BASE` is none, essential (base for Arch), or for Debian required, important or standard"},
			&cli.BoolFlag{Name: "recommends", Usage: "take also what packages only recommend"},
			&cli.StringFlag{Name: "snapshot", Usage: "resolve as of `TIME`, such as 20240101T000000Z, from an archive that keeps snapshots"},
			&cli.StringSliceFlag{Name: "mirror", Usage: "take indexes and packages from `URL` alone; {{.Timestamp}} in it is the time of the snapshot; may be repeated"},
			&cli.StringSliceFlag{Name: "components", Usage: "use the parts `LIST` of the archive, such as main,contrib, or core,extra"},
			&cli.StringSliceFlag{Name: "keyring", Usage: "trust the keys in `FILE` in place of those built in; may be repeated"},
			&cli.BoolFlag{Name: "offline", Usage: "use no network: the indexes are those of an earlier run, also if they have expired since"},
			allowMissingFlag("exit with 0 also where files could not be had"),
			jsonFlag(), sourceFlag(), noCacheFlag(), cacheFlag(),
		},
		Action: p.verb((*session).lockResolve),
	}
}

func (s *session) lockResolve() error {
	req, family, err := s.resolveRequest()
	if err != nil {
		return err
	}
	if err := checkOutput(s.String("output")); err != nil {
		return err
	}
	if req.Base == "none" && len(req.Packages) == 0 { // before indexes are fetched for that
		return s.usagef("nothing is asked for: name packages, or a --base other than none")
	}
	if s.Bool("offline") && s.Bool("no-cache") {
		return s.usagef("--offline takes indexes from the cache, which --no-cache leaves aside")
	}
	resolver, ok := family.(distro.Resolver)
	if !ok {
		return fmt.Errorf("packages of %s cannot be resolved yet; \"samebits lock generate\" locks an installed system of it", req.Distro)
	}
	if err := s.asRoot(); err != nil {
		return err
	}
	s.boundMemory()
	dir, end, err := s.scratch()
	if err != nil {
		return err
	}
	defer end()
	var access distro.Access
	if host := s.hostOf(family); host != nil {
		access = host.Access()
		req.Near = access.Mirrors
	}
	blobs := &lateCache{session: s}
	defer blobs.close()
	offline := s.Bool("offline")
	f := &fetcher{session: s, client: s.client(access), cache: blobs}
	req.Dir, req.Events = dir, s.distroEvents()
	req.Fetcher = &kept{fetcher: f, offline: offline, off: s.Bool("no-cache")}
	if offline {
		f = nil
	} else {
		req.Now = time.Now()
	}
	keepers := slices.DeleteFunc(family.Traits().Mirrors, func(m distro.Mirror) bool { return !m.Keeper })
	req.Identifier = s.newIdentifier(f, blobs, keepers)
	req.Workshop = &workshop{session: s, family: family, cache: blobs, access: access, past: !req.Snapshot.IsZero(), dir: dir}
	begun := time.Now()
	located, err := resolver.Resolve(s.ctx, req)
	if err != nil {
		return s.resolveError(err)
	}
	if err := s.writeResolved(located); err != nil {
		return err
	}
	s.say("%s, resolved in %s", summary(located.Lock), took(time.Since(begun)))
	if offline {
		located.Hints = []string{"without --offline, files that the cache does not have are fetched"}
	}
	return s.tellUnlocated(located.Lock, located)
}

// resolveError gives an error the exit code of its kind.
func (s *session) resolveError(err error) error {
	var bad *distro.RequestError
	var unknown *distro.UnknownPackageError
	switch {
	case errors.As(err, &bad):
		return s.usagef("%v", err)
	case errors.As(err, &unknown):
		return missingf("%v", err)
	}
	return err
}

// writeResolved writes the lock, or tells of it with --json.
func (s *session) writeResolved(located *distro.Located) error {
	lock := located.Lock
	if output := s.String("output"); output != "" || !s.Bool("json") {
		if err := s.writeLock(output, lock); err != nil {
			return err
		}
	}
	if !s.Bool("json") {
		return nil
	}
	out := inspected{System: &lock.System, Packages: []inspectedEntry{}, Missing: append([]lockfile.Missing{}, lock.Missing...)}
	if !lock.Date.IsZero() {
		out.Date = &lock.Date
	}
	for _, e := range lock.Entries {
		out.Packages = append(out.Packages, inspectedEntry{Package: describe(e), Entry: e})
	}
	return s.writeJSON(out)
}

// resolveRequest is what the flags ask for.
func (s *session) resolveRequest() (distro.ResolveRequest, distro.Distro, error) {
	req := distro.ResolveRequest{
		Distro: s.String("distro"), Suites: s.StringSlice("suite"), OnlySuites: s.Bool("only-suite"),
		Arch: s.String("arch"), Host: runtime.GOARCH, Packages: s.Args().Slice(), Base: s.String("base"),
		Recommends: s.Bool("recommends"), Mirrors: s.StringSlice("mirror"), Keyrings: map[string][]byte{},
	}
	if req.Distro == "" {
		release, err := distro.ReadOSRelease("/")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return req, nil, err
		}
		if req.Distro = release.ID; req.Distro == "" {
			return req, nil, s.usagef("name the distribution with --distro, such as debian")
		}
	}
	req.Distro = strings.ToLower(req.Distro) // IDs are; names are not
	i := slices.IndexFunc(families, func(d distro.Distro) bool { return slices.Contains(d.Traits().IDs, req.Distro) })
	if i < 0 {
		return req, nil, s.usagef("no distribution %q is known; there are such as debian, ubuntu, alpine and arch", req.Distro)
	}
	for _, list := range s.StringSlice("components") {
		req.Components = append(req.Components, strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	for _, name := range req.Mirrors {
		if u, err := url.Parse(strings.ReplaceAll(name, "{{.Timestamp}}", "")); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return req, nil, s.usagef("%q is no mirror's URL of http or https", withoutLogin(name))
		}
	}
	if text := s.String("snapshot"); text != "" {
		at, err := parseSnapshot(text)
		if err != nil {
			return req, nil, s.usagef("%v", err)
		}
		req.Snapshot = at
	}
	for _, name := range s.StringSlice("keyring") {
		data, err := readKeyring(name)
		if err != nil {
			return req, nil, fmt.Errorf("read the keyring: %w", err)
		}
		req.Keyrings[filepath.Base(name)] = data
	}
	return req, families[i], nil
}

// maxKeyring bounds a keyring, in bytes. That of Arch Linux has 2 MB.
const maxKeyring = 64 << 20

func readKeyring(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyring+1))
	if err == nil && len(data) > maxKeyring {
		err = fmt.Errorf("%s has more than %d bytes", name, maxKeyring)
	}
	return data, err
}

// parseSnapshot reads a time as archives of snapshots write it, or as people
// do.
func parseSnapshot(text string) (time.Time, error) {
	for _, form := range []string{distro.Stamp, "20060102", "2006-01-02", "2006/01/02", time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time of a snapshot; one is written as 20240101T000000Z", text)
}

// hostOf opens the system that samebits runs in, for its mirrors, proxies and
// logins; nil where that is of another family.
func (s *session) hostOf(family distro.Distro) distro.System {
	if host, err := distro.Detect("/", families); err != nil || host.Traits().Family != family.Traits().Family {
		return nil
	}
	sys, err := family.Open("/", s.distroEvents())
	if err != nil {
		s.detail("the configuration of this system is not used: %v", err)
		return nil
	}
	return sys
}

// scratch makes a directory to work in, which builds of images sweep away
// where its process was killed. It is in memory where there is plenty of it.
func (s *session) scratch() (dir string, end func(), err error) {
	temp := ""
	if s.getenv("TMPDIR") == "" && unix.Access(shm, unix.W_OK) == nil && availableMemory() > scratchMemory {
		temp = shm
	}
	dir, err = os.MkdirTemp(temp, "samebits-root-resolve-")
	if err != nil {
		return "", nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // whoever sweeps looks at it
	return dir, func() {
		if err := cmp.Or(os.RemoveAll(dir), f.Close()); err != nil {
			s.warn("%v", err)
		}
	}, nil
}

// scratchMemory is how much memory must be free for the work to be done there,
// in bytes: indexes and a package manager take some 300 MB.
const scratchMemory = 2 << 30
