package alpine

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// An acl is what apk notes of the attributes of a file or directory.
type acl struct {
	mode, uid, gid uint32
	xattrs         string // the sum over them, empty where there are none
}

// What apk does not spell out.
var (
	defaultDir  = acl{mode: 0o755}
	defaultFile = acl{mode: 0o644}
)

func aclOf(f distro.File) acl {
	a := acl{mode: f.Mode, uid: f.UID, gid: f.GID}
	if len(f.Xattrs) > 0 {
		h := sha1.New()
		for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
			for _, s := range []string{name, f.Xattrs[name]} {
				h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
				h.Write([]byte(s))
			}
		}
		a.xattrs = ":" + spellSum(h.Sum(nil))
	}
	return a
}

func (a acl) String() string { return fmt.Sprintf("%d:%d:%o%s", a.uid, a.gid, a.mode, a.xattrs) }

// spellSum spells a SHA-1 as apk does.
func spellSum(sum []byte) string { return "Q1" + base64.StdEncoding.EncodeToString(sum) }

// An ownedDir is a directory of a package, as it stands in the database.
type ownedDir struct {
	name  string
	acl   acl
	files []*owned
}

// writeDatabase writes all that apk keeps of what is installed.
func (as *assembling) writeDatabase() error {
	var installed, triggers bytes.Buffer
	held := ""
	for _, p := range as.sorted() {
		p.writeRecord(&installed)
		// What a package without directories replaces stands in the record of
		// the next that has any: so apk writes it, and reads it back.
		held += p.replacing()
		if len(p.dirs) > 0 {
			installed.WriteString(held)
			held = ""
		}
		p.writeFiles(&installed)
		installed.WriteByte('\n')
	}
	for _, p := range as.parcels {
		if len(p.Triggers) > 0 {
			fmt.Fprintf(&triggers, "%s %s\n", spellSum(p.Identity), strings.Join(p.Triggers, " "))
		}
	}
	for _, f := range []struct {
		name string
		text []byte
	}{
		{worldFile, []byte(strings.Join(as.world, "\n") + "\n")},
		{installedFile, installed.Bytes()},
		{scriptsFile, as.scripts()},
		{"lib/apk/db/triggers", triggers.Bytes()},
	} {
		if err := as.write(f.name, 0o644, f.text); err != nil {
			return err
		}
	}
	return nil
}

// sorted returns the packages in the order of the database.
func (as *assembling) sorted() []*parcel {
	return slices.SortedFunc(slices.Values(as.parcels), func(a, b *parcel) int { return compareNames(a.Name, b.Name) })
}

// writeRecord writes what an index says of a package too.
func (p *parcel) writeRecord(b *bytes.Buffer) {
	fmt.Fprintf(b, "C:%s\nP:%s\nV:%s\nA:%s\nS:%d\nI:%d\nT:%s\nU:%s\nL:%s\n",
		spellSum(p.Identity), p.Name, p.Version, p.Arch, p.Size, p.InstalledSize, p.Description, p.URL, p.License)
	optional := func(letter, value string) {
		if value != "" {
			fmt.Fprintf(b, "%s:%s\n", letter, value)
		}
	}
	optional("o", p.Origin)
	optional("m", p.Maintainer)
	if !p.BuildTime.IsZero() {
		fmt.Fprintf(b, "t:%d\n", p.BuildTime.Unix())
	}
	optional("c", p.Commit)
	if p.ProviderPriority != 0 {
		fmt.Fprintf(b, "k:%d\n", p.ProviderPriority)
	}
	optional("D", spellList(p.Depends))
	optional("p", spellList(p.Provides))
	optional("i", spellList(p.InstallIf))
}

// replacing is what the database says of what a package replaces.
func (p *parcel) replacing() string {
	out := ""
	if len(p.Replaces) > 0 {
		out = "r:" + spellList(p.Replaces) + "\n"
	}
	if p.ReplacesPriority != 0 {
		out += fmt.Sprintf("q:%d\n", p.ReplacesPriority)
	}
	return out
}

// spellList spells dependencies as apk does, whatever the package has them in.
func spellList(list []string) string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = text
		if d, err := apk.ParseDependency(text); err == nil {
			out[i] = d.String()
		}
	}
	return strings.Join(out, " ")
}

// writeFiles writes the directories and files of a package, but for files that
// another has taken over.
func (p *parcel) writeFiles(b *bytes.Buffer) {
	for _, d := range p.dirs {
		fmt.Fprintf(b, "F:%s\n", d.name)
		if d.acl != defaultDir {
			fmt.Fprintf(b, "M:%s\n", d.acl)
		}
		for _, f := range d.files {
			if f.gone {
				continue
			}
			fmt.Fprintf(b, "R:%s\n", f.name)
			if f.acl != defaultFile {
				fmt.Fprintf(b, "a:%s\n", f.acl)
			}
			if f.sum != nil {
				fmt.Fprintf(b, "Z:%s\n", spellSum(f.sum))
			}
		}
	}
}

const scriptsFile = "lib/apk/db/scripts.tar"

// scripts is the archive of all scripts, in the order of installation.
func (as *assembling) scripts() []byte {
	var b bytes.Buffer
	for _, p := range as.parcels {
		for _, kind := range apk.ScriptKinds {
			text, ok := p.Scripts[kind]
			if !ok {
				continue
			}
			name := p.Name + "-" + p.Version + "." + spellSum(p.Identity) + "." + kind
			when := as.Epoch.Unix()
			if !p.BuildTime.IsZero() {
				when = p.BuildTime.Unix()
			}
			b.Write(scriptHeader(name, len(text), when))
			b.Write(text)
			b.Write(make([]byte, -len(text)&(tarBlock-1)))
		}
	}
	b.Write(make([]byte, 2*tarBlock))
	return b.Bytes()
}

// Where tar's header has what, in bytes.
const (
	tarBlock    = 512
	tarTime     = 136
	tarTimeEnd  = 148
	tarSum      = 148
	tarSumEnd   = 156
	tarNameSize = 100
)

// scriptHeader is a header as apk writes it, which archive/tar does not: times
// and sizes fill their fields.
func scriptHeader(name string, size int, when int64) []byte {
	h := make([]byte, tarBlock)
	copy(h, name[:min(len(name), tarNameSize-1)])
	copy(h[100:], "0000755\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%012o%012o", size, when))
	h[156] = '0'
	copy(h[257:], "ustar  \x00")
	copy(h[265:], "root")
	copy(h[297:], "root")
	sumHeader(h)
	return h
}

// sumHeader sets the sum of a header.
func sumHeader(h []byte) {
	copy(h[tarSum:tarSumEnd], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[tarSum:], fmt.Sprintf("%06o\x00", sum))
}

// sortInstalled puts the packages of a database in apk's order.
func sortInstalled(text []byte) []byte {
	var records []string
	for r := range strings.SplitSeq(string(text), "\n\n") {
		if r = strings.Trim(r, "\n"); r != "" {
			records = append(records, r+"\n\n")
		}
	}
	name := func(record string) string {
		for line := range strings.Lines(record) {
			if n, ok := strings.CutPrefix(line, "P:"); ok {
				return strings.TrimSpace(n)
			}
		}
		return ""
	}
	slices.SortStableFunc(records, func(a, b string) int { return cmp.Or(compareNames(name(a), name(b)), cmp.Compare(a, b)) })
	return []byte(strings.Join(records, ""))
}
