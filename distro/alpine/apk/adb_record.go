package apk

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"math"
	"time"
)

// Slots of the objects of a database.
const (
	slotIndexDescription = 1
	slotIndexPackages    = 2
	slotIndexPath        = 3

	slotPackageInfo     = 1
	slotPackagePaths    = 2
	slotPackageReplaces = 5 // priority

	slotDependencyName    = 1
	slotDependencyVersion = 2
	slotDependencyMatch   = 3
)

// Slots of what is said of a package.
const (
	slotName = iota + 1
	slotVersion
	slotIdentity
	slotDescription
	slotArch
	slotLicense
	slotOrigin
	slotMaintainer
	slotURL
	slotCommit
	slotBuildTime
	slotInstalledSize
	slotSize
	slotProviderPriority
	slotDepends
	slotProvides
	slotReplaces
	slotInstallIf
)

// opConflict is the bit of a dependency's match that means "!".
const opConflict = 16

// readIndexADB reads an index of apk 3.
func readIndexADB(data []byte, keys *Keys) (*Index, error) {
	f, err := openADB(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, err
	}
	defer f.close()
	if f.schema != schemaIndex {
		return nil, malformed("it is an ADB file, but no index")
	}
	database, err := f.database()
	if err != nil {
		return nil, err
	}
	verdict, _, block, err := f.signatures(database, keys)
	if err != nil {
		return nil, err
	}
	if block != nil {
		return nil, malformed("an index has no data blocks")
	}
	x := &Index{Signer: verdict.unknown}
	if keys != nil {
		if err := verdict.err(); err != nil {
			return nil, err
		}
		x.Signer = verdict.signer
	}
	t := newADBTree(database)
	root := t.root()
	x.Description = root.blob(slotIndexDescription)
	x.PackagePath = root.blob(slotIndexPath)
	packages := root.object(slotIndexPackages)
	if packages.len() > maxIndexEntries {
		return nil, malformed("more than %d packages", maxIndexEntries)
	}
	x.Records = make([]Record, 0, packages.len())
	for i := 1; i <= packages.len() && t.err == nil; i++ {
		r, err := packages.object(i).record()
		if err != nil {
			return nil, err
		}
		// apk passes over packages that the index gives no identity.
		r.Unsupported = len(r.Identity) == 0
		x.Records = append(x.Records, r)
	}
	return x, t.err
}

// record reads what is said of a package.
func (o adbObject) record() (Record, error) {
	t := o.tree
	r := Record{
		Name: o.blob(slotName), Version: o.blob(slotVersion), Arch: o.blob(slotArch), Origin: o.blob(slotOrigin),
		Description: o.blob(slotDescription), License: o.blob(slotLicense), URL: o.blob(slotURL),
		Maintainer: o.blob(slotMaintainer), Commit: hex.EncodeToString([]byte(o.blob(slotCommit))),
		Size: o.size(slotSize), InstalledSize: o.size(slotInstalledSize),
		ProviderPriority: int(min(o.uint(slotProviderPriority), math.MaxInt32)),
		Depends:          o.dependencies(slotDepends), Provides: o.dependencies(slotProvides),
		Replaces: o.dependencies(slotReplaces), InstallIf: o.dependencies(slotInstallIf),
	}
	if at := o.uint(slotBuildTime); at != 0 {
		r.BuildTime = time.Unix(int64(min(at, 1<<40)), 0).UTC()
	}
	switch id := o.blob(slotIdentity); len(id) {
	case 20, 32, 64:
		r.Identity = []byte(id)
	}
	if t.err != nil {
		return r, t.err
	}
	return r, r.check()
}

// size returns a number of bytes.
func (o adbObject) size(slot int) int64 { return int64(min(o.uint(slot), math.MaxInt64)) }

// dependencies spells the dependencies of a slot as the text form does.
func (o adbObject) dependencies(slot int) []string {
	t := o.tree
	list := o.object(slot)
	if list.len() == 0 {
		return nil
	}
	t.spend(32 * list.len())
	if t.err != nil {
		return nil
	}
	out := make([]string, 0, list.len())
	for i := 1; i <= list.len(); i++ {
		d := list.object(i)
		name, version, match := d.blob(slotDependencyName), d.blob(slotDependencyVersion), d.uint(slotDependencyMatch)
		if len(name)+len(version) > maxDependency {
			t.fail("a dependency has %d bytes", len(name)+len(version))
		}
		s := name
		if version != "" {
			if match&^opConflict == 0 {
				match |= opEqual
			}
			const anyVersion = opEqual | opLess | opGreater
			op, ok := operators[int(match&^opConflict)]
			switch {
			case ok:
				s += op + version
			case match&anyVersion != anyVersion:
				t.fail("a dependency has the operator %#x", match)
			}
		}
		if match&opConflict != 0 {
			s = "!" + s
		}
		t.spend(len(s))
		if t.err != nil {
			return nil
		}
		out = append(out, s)
	}
	return out
}
