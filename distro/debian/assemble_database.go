package debian

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
)

const infoDir = "var/lib/dpkg/info"

// A database is what dpkg knows of a root that is being made.
type database struct {
	diversions []diversion
	overrides  map[string]override // by path without the leading slash
	triggers   map[string][]string // file triggers: path without the leading slash, packages with their options
}

// A diversion has the files of one name laid elsewhere, but those of a package.
type diversion struct{ from, to, by string }

// An override gives a file other owners and permissions than its package does.
type override struct {
	uid, gid, mode uint32
}

func newDatabase() *database {
	return &database{overrides: map[string]override{}, triggers: map[string][]string{}}
}

// readOverrides reads what the scripts so far have diverted and overridden.
func (db *database) readOverrides(as *assembling) error {
	data, err := as.read("var/lib/dpkg/diversions")
	if err != nil {
		return err
	}
	db.diversions = nil
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		db.diversions = append(db.diversions, diversion{strings.TrimPrefix(lines[i], "/"), strings.TrimPrefix(lines[i+1], "/"), lines[i+2]})
	}
	if data, err = as.read("var/lib/dpkg/statoverride"); err != nil {
		return err
	}
	clear(db.overrides)
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 {
			continue
		}
		mode, err := strconv.ParseUint(f[2], 8, 12)
		if err != nil {
			return fmt.Errorf("the statoverride of %s: %w", f[3], err)
		}
		uid, okU := numberOf(f[0], as.people.users)
		gid, okG := numberOf(f[1], as.people.groups)
		if !okU || !okG {
			return fmt.Errorf("the statoverride of %s is for %s and %s, of whom one is not in the root", f[3], f[0], f[1])
		}
		db.overrides[strings.TrimPrefix(f[3], "/")] = override{uid, gid, uint32(mode)}
	}
	return nil
}

// numberOf reads "#number" or a name.
func numberOf(text string, known map[string]uint32) (uint32, bool) {
	if digits, ok := strings.CutPrefix(text, "#"); ok {
		n, err := strconv.ParseUint(digits, 10, 32)
		return uint32(n), err == nil
	}
	n, ok := known[text]
	return n, ok
}

// diverted is where a file of the package is laid.
func (db *database) diverted(p *parcel, name string) string {
	for _, d := range db.diversions {
		if d.from == name && d.by != p.Package {
			return d.to
		}
	}
	return name
}

// override applies an override to a file.
func (db *database) override(f *distro.File) {
	if o, ok := db.overrides[f.Path]; ok && f.Type != distro.Symlink {
		f.UID, f.GID, f.Mode = o.uid, o.gid, o.mode
	}
}

// enter writes packages that have been unpacked into the database.
func (db *database) enter(as *assembling, parcels []*parcel) error {
	status, err := as.read(statusFile)
	if err != nil {
		return err
	}
	state := "install ok unpacked"
	if as.Run == nil {
		state = "install ok installed"
	}
	var b bytes.Buffer
	b.Write(status)
	for _, p := range parcels {
		b.WriteString(p.record(state))
		if err := as.info(p); err != nil {
			return err
		}
	}
	if err := as.write(statusFile, 0o644, b.Bytes()); err != nil {
		return err
	}
	return db.enterTriggers(as, parcels)
}

// record is the paragraph of a package in dpkg's status. dpkg writes the
// fields in its own order when it next changes anything.
func (p *parcel) record(state string) string {
	var b strings.Builder
	for _, f := range p.Paragraph.Fields {
		if f.Name == "Conffiles" || f.Name == "Status" {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
		if f.Name == "Package" {
			fmt.Fprintf(&b, "Status: %s\n", state)
		}
	}
	if list := p.confList(); list != "" {
		fmt.Fprintf(&b, "Conffiles:%s\n", list)
	}
	return b.String() + "\n"
}

// infoName is how dpkg names the files that it keeps of a package.
func (p *parcel) infoName() string {
	if p.Paragraph.Get("Multi-Arch") == "same" {
		return p.Package + ":" + p.Architecture
	}
	return p.Package
}

// info writes the files that dpkg keeps of a package: the list of its paths
// and all of its control archive but the control file.
func (as *assembling) info(p *parcel) error {
	base := path.Join(infoDir, p.infoName()) + "."
	files := maps.Clone(p.Files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := as.write(base+name, files[name].Mode, files[name].Content); err != nil {
			return err
		}
	}
	if len(p.sums) > 0 {
		if err := as.write(base+"md5sums", 0o644, []byte(strings.Join(p.sums, ""))); err != nil {
			return err
		}
	}
	return as.write(base+"list", 0o644, []byte(strings.Join(p.list, "\n")+"\n"))
}

// A trigger is a line of a package's triggers file; deb-triggers(5).
type trigger struct {
	interest bool
	await    bool
	name     string
}

func (p *parcel) triggers() []trigger {
	var out []trigger
	for line := range strings.Lines(string(p.Files["triggers"].Content)) {
		f := strings.Fields(line)
		if len(f) != 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		verb, noawait := strings.CutSuffix(f[0], "-noawait")
		verb = strings.TrimSuffix(verb, "-await")
		if verb == "interest" || verb == "activate" {
			out = append(out, trigger{verb == "interest", !noawait, f[1]})
		}
	}
	return out
}

// enterTriggers notes who is interested in what, and what has been activated
// by unpacking, for dpkg to see to when it next configures anything.
func (db *database) enterTriggers(as *assembling, parcels []*parcel) error {
	explicit := map[string][]string{}
	activated := map[string][]string{} // who waits for it, "-" for nobody
	for _, p := range parcels {
		for _, t := range p.triggers() {
			who := p.infoName()
			if !t.await {
				who += "/noawait"
			}
			switch {
			case !t.interest && t.await:
				activated[t.name] = append(activated[t.name], p.infoName())
			case !t.interest:
				activated[t.name] = append(activated[t.name], "-")
			case strings.HasPrefix(t.name, "/"):
				db.triggers[t.name[1:]] = append(db.triggers[t.name[1:]], who)
			default:
				explicit[t.name] = append(explicit[t.name], who)
			}
		}
	}
	for _, p := range parcels {
		db.activatedBy(p, activated)
	}
	return db.writeTriggers(as, explicit, activated)
}

// activatedBy adds the file triggers that the files of a package activate.
func (db *database) activatedBy(p *parcel, activated map[string][]string) {
	seen := map[string]bool{}
	for _, name := range p.list {
		for at := strings.TrimPrefix(name, "/"); at != "." && at != "/" && at != ""; at = path.Dir(at) {
			interested, ok := db.triggers[at]
			if !ok || seen[at] {
				continue
			}
			seen[at] = true
			who := "-"
			if slices.ContainsFunc(interested, func(i string) bool { return !strings.HasSuffix(i, "/noawait") }) {
				who = p.infoName()
			}
			activated["/"+at] = append(activated["/"+at], who)
		}
	}
}

func (db *database) writeTriggers(as *assembling, explicit, activated map[string][]string) error {
	const dir = "var/lib/dpkg/triggers/"
	var file strings.Builder
	for _, name := range slices.Sorted(maps.Keys(db.triggers)) {
		for _, who := range db.triggers[name] {
			fmt.Fprintf(&file, "/%s %s\n", name, who)
		}
	}
	if err := as.write(dir+"File", 0o644, []byte(file.String())); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(explicit)) {
		if strings.Contains(name, "/") || slices.Contains([]string{".", "..", "File", "Unincorp", "Lock"}, name) {
			return fmt.Errorf("the trigger %q is no name", name)
		}
		old, err := as.read(dir + name)
		if err != nil {
			return err
		}
		text := string(old) + strings.Join(explicit[name], "\n") + "\n"
		if err := as.write(dir+name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	var pending strings.Builder
	for _, name := range slices.Sorted(maps.Keys(activated)) {
		who := slices.Compact(slices.Sorted(slices.Values(activated[name])))
		fmt.Fprintf(&pending, "%s %s\n", name, strings.Join(who, " "))
	}
	if as.Run == nil {
		return nil // nobody will see to them
	}
	old, err := as.read(dir + "Unincorp")
	if err != nil {
		return err
	}
	return as.write(dir+"Unincorp", 0o644, append(old, pending.String()...))
}
