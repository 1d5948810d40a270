package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch/ipfs"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockPull() *cli.Command {
	return &cli.Command{
		Name:      "pull",
		Usage:     "get back a lock that was pushed with its files",
		ArgsUsage: "SOURCE",
		Description: "Writes the lock that \"cache push\" published at SOURCE, or \"cache export --layout oci\" in a directory: oci://HOST/REPO, with a tag or a digest; ipfs://CID; s3://BUCKET with lock=NAME; DIR or DIR:TAG. " +
			"What is named by a digest or a CID is checked by it; a tag or a name is what the store says it is. Of several locks that of --arch is written, else that of this machine.\n\n" +
			"Examples:\n" +
			"  samebits lock pull -o SHA256SUMS oci://registry.example/team/packages:web\n" +
			"  samebits lock pull --arch arm64 ./layout:web\n" +
			"  samebits lock pull 's3://bucket/packages?endpoint=s3.example&lock=web'",
		Flags: []cli.Flag{
			outputFlag(),
			&cli.StringFlag{Name: "arch", Usage: "the lock for the architecture `ARCH`, as the lock or Go calls it"},
		},
		Action: p.verb((*session).lockPull),
	}
}

// A pulledLock is a lock, with its bytes as they were stored.
type pulledLock struct {
	*lockfile.Lock
	data []byte
}

func (s *session) lockPull() error {
	if err := checkOutput(s.String("output")); err != nil {
		return err
	}
	if err := checkSource(s.Args().First()); err != nil {
		return s.usagef("%v", err)
	}
	locks, err := s.newOpener(distro.Access{}).pull(s.Args().First())
	if isNotExist(err) {
		return missingf("%v", err)
	}
	if err != nil {
		return err
	}
	lock, err := chooseLock(locks, s.String("arch"))
	if err != nil {
		return err
	}
	s.noteMissing("the lock", lock.Lock)
	if err := s.writeOutput(s.String("output"), lock.data); err != nil {
		return err
	}
	s.say("%s", summary(lock.Lock))
	return nil
}

// pull gets the locks that are at an address.
func (o *opener) pull(rawURL string) ([]pulledLock, error) {
	switch schemeOf(rawURL) {
	case "":
		dir, tag := layoutName(rawURL)
		return unwrapped(oci.PullLayout(o.session.ctx, dir, tag))
	case "oci", "oci+http":
		client, err := o.registries()
		if err != nil {
			return nil, err
		}
		return unwrapped(client.Pull(o.session.ctx, rawURL))
	case "ipfs", "ipfs+https", "ipfs+gateway":
		lock, data, err := ipfs.PullLock(o.session.ctx, o.others(), rawURL)
		return []pulledLock{{lock, data}}, err
	case "s3", "s3+http":
		return o.pullFromBucket(rawURL)
	}
	return nil, o.session.usagef("%s has no lock: there are oci://, ipfs://, s3:// and directories", withoutLogin(rawURL))
}

// pullFromBucket gets the lock that a URL names. A name that several locks were
// pushed under stands for those with an architecture added.
func (o *opener) pullFromBucket(rawURL string) ([]pulledLock, error) {
	config, err := o.session.bucket(rawURL)
	if err != nil {
		return nil, err
	}
	lock, err := o.bucketLock(config)
	if config.Lock == "" || !isNotExist(err) {
		return []pulledLock{lock}, err
	}
	for _, arch := range machineNames(cmp.Or(o.session.String("arch"), runtime.GOARCH)) {
		other := config
		other.Lock += "-" + arch
		if lock, otherErr := o.bucketLock(other); !isNotExist(otherErr) {
			return []pulledLock{lock}, otherErr
		}
	}
	return nil, err
}

func (o *opener) bucketLock(config s3.Config) (pulledLock, error) {
	bucket, err := s3.Open(o.others(), config)
	if err != nil {
		return pulledLock{}, err
	}
	lock, data, err := bucket.Lock(o.session.ctx)
	return pulledLock{lock, data}, err
}

func unwrapped(pulled []oci.Pulled, err error) ([]pulledLock, error) {
	var out []pulledLock
	for _, p := range pulled {
		out = append(out, pulledLock{p.Lock, p.Data})
	}
	return out, err
}

// layoutName parts DIR:TAG. A directory of that whole name goes before.
func layoutName(name string) (dir, tag string) {
	if _, err := os.Stat(name); err == nil {
		return name, ""
	}
	if i := strings.LastIndexByte(name, ':'); i > 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// machines are the names that Go gives to processors, by those of
// distributions where they differ.
var machines = map[string]string{
	"i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386",
	"x86_64": "amd64",
	"armhf":  "arm", "armv7": "arm", "armv7h": "arm", "armv7hl": "arm",
	"aarch64":     "arm64",
	"loongarch64": "loong64",
	"mips64el":    "mips64le",
	"mipsel":      "mipsle",
	"ppc64el":     "ppc64le",
}

// machine is Go's name of a processor that has any of its names.
func machine(name string) string { return cmp.Or(machines[name], name) }

// machineNames lists all names of a processor that has this one, sorted.
func machineNames(name string) []string {
	names := []string{machine(name)}
	for other, of := range machines {
		if of == machine(name) {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	return names
}

// chooseLock picks the lock of the architecture that is asked for, or of this
// machine where there are several.
func chooseLock(locks []pulledLock, arch string) (pulledLock, error) {
	if arch == "" && len(locks) == 1 {
		return locks[0], nil
	}
	remedy := ""
	if arch == "" {
		arch, remedy = runtime.GOARCH, ", which this machine is of; choose with --arch"
	}
	var fits []pulledLock
	var has []string
	for _, l := range locks {
		if machine(l.System.Arch) == machine(arch) {
			fits = append(fits, l)
		}
		has = append(has, l.System.String())
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		return pulledLock{}, missingf("none of the locks is for %s%s: they are for %s", arch, remedy, strings.Join(has, ", "))
	}
	return pulledLock{}, fmt.Errorf("several of the locks are for %s: they are for %s; pull one by the digest of its manifest", arch, strings.Join(has, ", "))
}
