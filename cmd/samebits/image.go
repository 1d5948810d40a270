package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) imageBuild() *cli.Command {
	return &cli.Command{
		Name:      "build",
		Usage:     "assemble an image from locked packages",
		ArgsUsage: "[SPEC]",
		Description: "Assembles a root file system from nothing but the packages of a lock, adds what the spec names, and writes it in every form that is wanted: the same bits on any host, whoever builds. " +
			"The packages' scripts run in a sandbox without a network. A spec is a YAML file; flags alone will do where nothing is added.\n\n" +
			"It works in TMPDIR, or in /dev/shm where that is not set and memory is plenty. Who is not root needs subordinate ids (subuid(5)) and the package uidmap.\n\n" +
			"Examples:\n" +
			"  samebits image build image.yaml\n" +
			"  samebits image build --lock SHA256SUMS --output type=oci,dest=out\n" +
			"  samebits image build --lock SHA256SUMS --output root.tar.zst --output initramfs.cpio.gz\n" +
			"  samebits image build --lock SHA256SUMS --output live.iso --output type=disk,dest=web.qcow2,size=8GiB,cmdline=console=ttyS0",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "lock", Usage: "assemble the packages of the lock `FILE`; one for each architecture"},
			&cli.StringSliceFlag{Name: "output", Aliases: []string{"o"}, Usage: "write `type=TYPE,dest=PATH`, or a PATH whose ending says the type: dir, tar, oci, docker, cpio, manifest, disk, iso, ext4, squashfs, erofs, kernel+initrd or uki; or push to oci://HOST/REPOSITORY:TAG; may be repeated"},
			&cli.StringFlag{Name: "epoch", Usage: "the `TIME` of all that has none of its own, in RFC 3339 or in seconds; by default SOURCE_DATE_EPOCH, then the lock's date"},
			&cli.BoolFlag{Name: "no-scripts", Usage: "run no script of any package: an image of files alone"},
			&cli.StringFlag{Name: "secure-boot-key", Usage: "sign what EFI firmware starts with the private key in `FILE`, of RSA in PEM"},
			&cli.StringFlag{Name: "secure-boot-certificate", Usage: "the certificate of that key in `FILE`, in PEM"},
			noCacheFlag(),
			&cli.BoolFlag{Name: "check", Usage: "build twice, and end with exit code 3 where a file differs; nothing is written then"},
			allowMissingFlag("build also from a lock that is missing packages"),
		}, sourceFlags()...),
		Action: p.verb((*session).imageBuild),
	}
}

func (s *session) imageBuild() error {
	sp, dir, err := s.imageSpec()
	if err != nil {
		return err
	}
	if len(sp.Outputs) == 0 && !s.Bool("check") {
		return s.usagef("an image wants an output, such as --output root.tar or --output type=oci,dest=out")
	}
	for _, o := range sp.Outputs {
		if _, err := s.imageSink(o); err != nil {
			return err
		}
		if err := imagebuild.CheckOutput(o); err != nil {
			return s.usagef("%v", err)
		}
	}
	if _, err := imagebuild.Signer(sp, dir); err != nil {
		return err
	}
	if err := s.asOwner(sp); err != nil {
		return err
	}
	if err := s.checkPlaces(sp, dir); err != nil {
		return err
	}
	images, end, err := s.assemble(sp, dir)
	defer end()
	if err != nil {
		return err
	}
	for _, o := range sp.Outputs {
		begun := time.Now()
		sink, err := s.imageSink(o)
		if err != nil {
			return err
		}
		if sink != nil {
			if err := s.pushImages(images, o, sink); err != nil {
				return err
			}
			continue
		}
		if lost := imagebuild.Lost(images[0], o); lost != "" {
			s.warn("%s: %s", o.Dest, lost)
		}
		if err := imagebuild.Write(s.ctx, images, o, s.stdout); err != nil {
			return err
		}
		s.say("wrote %s as %s in %s", o.Dest, o.Type, took(time.Since(begun)))
	}
	return nil
}

// imageSpec reads the spec and lets flags decide over it. dir is where the
// spec's files are.
func (s *session) imageSpec() (sp *spec.Spec, dir string, err error) {
	sp, dir = &spec.Spec{Version: 1}, "."
	if name := s.Args().First(); name != "" {
		data, err := readSmall(name)
		if err != nil {
			return nil, "", fmt.Errorf("read the spec: %w", err)
		}
		if sp, err = spec.Parse(name, data); err != nil {
			return nil, "", &usageError{reason: err.Error()}
		}
		dir = filepath.Dir(name)
		for _, locks := range [][]string{sp.Locks, sp.OCI.Layers} {
			for i, l := range locks {
				if !filepath.IsAbs(l) {
					locks[i] = filepath.Join(dir, l)
				}
			}
		}
	}
	if locks := s.StringSlice("lock"); len(locks) > 0 {
		sp.Locks = locks
	}
	if len(sp.Locks) == 0 {
		return nil, "", s.usagef("an image wants a lock: name one with --lock, or in a spec")
	}
	for _, text := range s.StringSlice("output") {
		o, err := spec.ParseOutput(text)
		if err != nil {
			return nil, "", s.usagef("%v", err)
		}
		sp.Outputs = append(sp.Outputs, o)
	}
	sp.NoScripts = sp.NoScripts || s.Bool("no-scripts")
	if text := cmp.Or(s.String("epoch"), s.getenv("SOURCE_DATE_EPOCH")); text != "" && (s.IsSet("epoch") || sp.Epoch.IsZero()) {
		if sp.Epoch.Time, err = parseEpoch(text); err != nil {
			return nil, "", s.usagef("%v", err)
		}
	}
	if err := s.secureBoot(sp); err != nil {
		return nil, "", err
	}
	if err := sp.Check(); err != nil {
		return nil, "", s.usagef("%v", err)
	}
	return sp, dir, nil
}

// secureBoot lets flags decide what is signed with.
func (s *session) secureBoot(sp *spec.Spec) (err error) {
	for flag, field := range map[string]*string{"secure-boot-key": &sp.SecureBoot.Key, "secure-boot-certificate": &sp.SecureBoot.Certificate} {
		if name := s.String(flag); name != "" {
			// Other files of a spec are relative to that.
			if *field, err = filepath.Abs(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseEpoch(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		return time.Unix(seconds, 0).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is no time; one is written as 2026-11-15T09:12:33Z, or in seconds since 1970", text)
	}
	return t.UTC(), nil
}

// asRoot goes on as root of a user namespace where an ordinary user calls: the
// owners of the image's files are then the user's subordinate ids. The process
// that it ends up in does not return from here.
func (s *session) asRoot() error {
	if os.Geteuid() == 0 {
		return nil
	}
	dir, err := s.cacheDir()
	if err != nil {
		return err
	}
	// Root's cache would be another.
	if err := os.Setenv("SAMEBITS_CACHE", dir); err != nil {
		return err
	}
	ran, code, err := sandbox.Enter()
	if err != nil {
		return err
	}
	if ran {
		return &exitError{code}
	}
	return nil
}

// assemble builds the image of each lock. end is to be called when the images
// have been written, also after an error.
func (s *session) assemble(sp *spec.Spec, dir string) (images []*imagebuild.Image, end func(), err error) {
	s.boundMemory()
	var closers []func() error
	end = func() {
		for _, c := range slices.Backward(closers) {
			if err := c(); err != nil {
				s.warn("%v", err)
			}
		}
	}
	locks, err := s.readLocks(sp.Locks)
	if err != nil {
		return nil, end, err
	}
	layers, err := s.layerLocks(sp.OCI.Layers, locks)
	if err != nil {
		return nil, end, err
	}
	c, err := s.openCache()
	if err != nil {
		return nil, end, err
	}
	closers = append(closers, c.Close)
	for i, lock := range locks {
		img, err := s.assembleOne(c, sp, dir, sp.Locks[i], lock, layers[i])
		if err != nil {
			return nil, end, err
		}
		closers = append(closers, img.Close)
		images = append(images, img)
	}
	return images, end, nil
}

func (s *session) assembleOne(c *cache.Cache, sp *spec.Spec, dir, name string, lock *lockfile.Lock, layers []*lockfile.Lock) (*imagebuild.Image, error) {
	if len(lock.Missing) > 0 && !s.Bool("allow-missing") {
		return nil, missingFrom(name, lock)
	}
	family := distro.ByLock(lock, families)
	if family == nil {
		return nil, fmt.Errorf("%s is of no known distribution", name)
	}
	assembler, ok := family.(distro.Assembler)
	if !ok {
		return nil, fmt.Errorf("%s: images of %s cannot be built yet; into an empty directory they can be installed with samebits lock install --root", name, family.Traits().Family)
	}
	for _, l := range append([]*lockfile.Lock{lock}, layers...) {
		reqs := slices.DeleteFunc(requests(l, l.Entries), func(r fetch.Request) bool { return c.Has(r.Entry.Digest) })
		if len(reqs) == 0 {
			continue
		}
		if err := s.get(c, reqs, []*lockfile.Lock{l}, s.hostFor(l)); err != nil {
			return nil, err
		}
	}
	begun := time.Now()
	temp, limit, err := s.workDir(c, lock)
	if err != nil {
		return nil, err
	}
	plan := imagebuild.Plan{
		Spec: sp, Lock: lock, Layers: layers, Assembler: assembler, Blobs: c, Sources: dir,
		Events: s.distroEvents(), Output: s.scriptOutput(), Temp: temp, Limits: sandbox.Limits{Bytes: limit},
	}
	if err := s.keepFor(&plan, c); err != nil {
		return nil, err
	}
	img, err := imagebuild.Build(s.ctx, plan)
	var over *sandbox.LimitError
	if limit > 0 && errors.As(err, &over) && strings.Contains(over.Limit, "bytes") {
		err = fmt.Errorf("%w; the image is made in memory: for more, set TMPDIR to a directory on a disk", err)
	}
	var foreign *sandbox.ArchError
	if errors.As(err, &foreign) {
		err = fmt.Errorf("%w; or leave all scripts out, with --no-scripts", err)
	}
	if errors.Is(err, os.ErrPermission) && os.Geteuid() != 0 {
		err = fmt.Errorf("%w; build as root", err)
	}
	if err != nil {
		return nil, err
	}
	s.say("assembled %s in %s", count(len(lock.Entries), "package"), took(time.Since(begun)))
	if s.Bool("check") {
		if err := s.checkAgain(img, plan, name); err != nil {
			return nil, errors.Join(err, img.Close())
		}
	}
	return img, nil
}

// scriptOutput is where the scripts of packages print: to stderr with
// --verbose, else nowhere unless one fails.
func (s *session) scriptOutput() io.Writer {
	if s.verbose {
		return s.stderr
	}
	return nil
}
