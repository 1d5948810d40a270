package debian

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/target"
)

func TestAssembleRefusesFilesOfAnother(t *testing.T) {
	a := made{control: "Package: a", members: []tar.Header{folder("./etc"), plain("./etc/x", "a")}}
	b := made{control: "Package: b", members: []tar.Header{folder("./etc"), plain("./etc/x", "b")}}
	_, err := assembleIn(t, nil, a, b)
	if err == nil || !strings.Contains(err.Error(), "/etc/x is in pool/p0.deb too") || !strings.Contains(err.Error(), "pool/p1.deb:") {
		t.Errorf("two packages with one file: %v", err)
	}
	for _, c := range []struct{ name, a, b, want string }{
		{"the later replaces", "", "\nReplaces: a", "b"},
		{"the earlier replaces", "\nReplaces: b", "", "a"},
		{"by version", "", "\nReplaces: a (<< 2)", "b"},
	} {
		x, y := a, b
		x.control += c.a
		y.control += c.b
		if got := textOf(t, whole(t, x, y), "etc/x"); got != c.want {
			t.Errorf("%s: the file is %s's, want %s's", c.name, got, c.want)
		}
		// The order of the lock means nothing.
		if got := textOf(t, whole(t, y, x), "etc/x"); got != c.want {
			t.Errorf("%s, the other way round: the file is %s's, want %s's", c.name, got, c.want)
		}
	}
	old := b
	old.control += "\nReplaces: a (<< 1)"
	if _, err := assembleIn(t, nil, a, old); err == nil {
		t.Error("a package that replaces an older version only took the file")
	}
}

func TestAssembleSharesFilesOfSamePackages(t *testing.T) {
	of := func(arch string) made {
		return made{control: "Package: lib\nMulti-Arch: same\nArchitecture: " + arch, members: []tar.Header{folder("./doc"), plain("./doc/x", "one"), plain("./"+arch, "")}}
	}
	root := whole(t, of("amd64"), of("i386"))
	for name, want := range map[string]string{
		"var/lib/dpkg/arch":                "amd64\ni386\n",
		"var/lib/dpkg/info/lib:amd64.list": "/.\n/doc\n/doc/x\n/amd64\n",
		"var/lib/dpkg/info/lib:i386.list":  "/.\n/doc\n/doc/x\n/i386\n",
		"doc/x":                            "one",
	} {
		if got := textOf(t, root, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, err := assembleIn(t, nil, of("amd64"), of("amd64")); err == nil || !strings.Contains(err.Error(), "versions of one package") {
		t.Errorf("a package twice: %v", err)
	}
}

// TestAssembleWithoutScriptsSatisfiesDpkg has dpkg itself judge the database.
func TestAssembleWithoutScriptsSatisfiesDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is needed")
	}
	root := whole(t,
		made{control: "Package: conf", files: map[string]string{"conffiles": "/etc/conf\nremove-on-upgrade /etc/gone\n"}, members: []tar.Header{folder("./etc"), plain("./etc/conf", "setting\n")}},
		made{control: "Package: sums", members: []tar.Header{folder("./usr"), plain("./usr/one", "1\n"), linked("./usr/two", "./usr/one", tar.TypeLink), linked("./usr/three", "one", tar.TypeSymlink)}},
	)
	command(t, "dpkg", "--root="+root.Path(), "--audit")
	if out := command(t, "dpkg", "--root="+root.Path(), "--verify"); out != "" {
		t.Errorf("dpkg --verify finds fault:\n%s", out)
	}
	if out := command(t, "dpkg-query", "--admindir="+root.Path()+"/var/lib/dpkg", "-W", "-f", "${Package} ${Status}\n"); out != "conf install ok installed\nsums install ok installed\n" {
		t.Errorf("dpkg-query has\n%s", out)
	}
	if got := textOf(t, root, "var/lib/dpkg/status"); !strings.Contains(got, fmt.Sprintf("\n /etc/conf %x\n", md5.Sum([]byte("setting\n")))) {
		t.Errorf("the status knows no configuration file:\n%s", got)
	}
	for _, change := range []string{"etc/conf", "usr/one"} {
		if err := os.WriteFile(filepath.Join(root.Path(), change), []byte("other"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("dpkg", "--root="+root.Path(), "--verify").CombinedOutput()
		if !strings.Contains(string(out), change) {
			t.Errorf("dpkg --verify does not see that /%s changed:\n%s", change, out)
		}
	}
}

// TestAssembleHeedsDiversions has a preinst divert a file and override another,
// as dpkg-divert and dpkg-statoverride write it down.
func TestAssembleHeedsDiversions(t *testing.T) {
	var steps []string
	run := func(root *target.Dir, s distro.Step) error {
		steps = append(steps, filepath.Base(s.Args[0])+" "+s.Args[len(s.Args)-1])
		if !strings.Contains(strings.Join(s.Args, " "), "install") {
			return nil
		}
		dir := filepath.Join(root.Path(), "var/lib/dpkg")
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "diversions"), []byte("/bin/tool\n/bin/tool.real\nmine\n"), 0o644),
			os.WriteFile(filepath.Join(dir, "statoverride"), []byte("#7 #8 4750 /bin/special\n"), 0o644),
		)
	}
	root, err := assembleIn(t, run,
		made{control: "Package: mine", files: map[string]string{"preinst": "#!/bin/sh\n"}, members: []tar.Header{folder("./bin"), plain("./bin/tool", "mine")}},
		made{control: "Package: other", members: []tar.Header{folder("./bin"), plain("./bin/tool", "other"), plain("./bin/special", "s"), linked("./bin/hard", "./bin/tool", tar.TypeLink)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"bin/tool": "mine", "bin/tool.real": "other", "bin/hard": "other"} {
		if got := textOf(t, root, name); got != want {
			t.Errorf("%s is %s's, want %s's", name, got, want)
		}
	}
	f, err := root.Stat("bin/special")
	if err != nil || f.UID != 7 || f.GID != 8 || f.Mode != 0o4750 {
		t.Errorf("the override was not heeded: %+v, %v", f, err)
	}
	if list := textOf(t, root, "var/lib/dpkg/info/other.list"); !strings.Contains(list, "/bin/tool\n") {
		t.Errorf("dpkg lists a diverted file by its own name, here it is\n%s", list)
	}
	if len(steps) != 2 || steps[1] != "dpkg -a" {
		t.Errorf("the steps were %q", steps)
	}
}

func TestAssembleNotesTriggers(t *testing.T) {
	keep := func(*target.Dir, distro.Step) error { return nil }
	root, err := assembleIn(t, keep,
		made{control: "Package: file-await", files: map[string]string{"triggers": "interest /usr/share/icons\n"}},
		made{control: "Package: file-noawait", files: map[string]string{"triggers": "interest-noawait /usr/lib\n# a comment\n"}},
		made{control: "Package: named", files: map[string]string{"triggers": "interest-await update-it\n"}},
		made{control: "Package: z-user", files: map[string]string{"triggers": "activate-noawait update-it\nactivate wait-for-it\n"},
			members: []tar.Header{folder("./usr"), folder("./usr/lib"), plain("./usr/lib/x.so", ""), folder("./usr/share"), folder("./usr/share/icons"), plain("./usr/share/icons/a", "")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"File":      "/usr/lib file-noawait/noawait\n/usr/share/icons file-await\n",
		"update-it": "named\n",
		"Unincorp":  "/usr/lib -\n/usr/share/icons z-user\nupdate-it -\nwait-for-it z-user\n",
	} {
		if got := textOf(t, root, "var/lib/dpkg/triggers/"+name); got != want {
			t.Errorf("triggers/%s is\n%swant\n%s", name, got, want)
		}
	}
	for _, name := range []string{"../../../etc/x", "a/b", "..", "File", "Unincorp"} {
		_, err := assembleIn(t, keep, made{control: "Package: a", files: map[string]string{"triggers": "interest " + name + "\n"}})
		if err == nil || !strings.Contains(err.Error(), "is no name") {
			t.Errorf("the trigger %s: %v", name, err)
		}
	}
}

// TestAssembleConfiguresInRounds wants what is pre-depended on configured
// before the preinst and the files of who wants it.
func TestAssembleConfiguresInRounds(t *testing.T) {
	var steps []string
	run := func(root *target.Dir, s distro.Step) error {
		what := strings.Join(s.Args[1:], " ")
		what = regexp.MustCompile(`(?m)^.*tmp\.ci/(.+?)\..*$`).ReplaceAllString(what, "preinst of $1;")
		what = regexp.MustCompile(`(?m)^.*'(--configure)' '(.*?)' \|\|.*$`).ReplaceAllString(what, "$1 $2;")
		what = strings.ReplaceAll(strings.ReplaceAll(what, "--force-confdef --force-confold ", ""), "\n", " ")
		for _, name := range []string{"base", "early", "late"} {
			if _, err := root.Stat(name); err == nil {
				what += " +" + name
			}
		}
		steps = append(steps, what)
		return nil
	}
	script := map[string]string{"preinst": "#!/bin/sh\n"}
	_, err := assembleIn(t, run,
		made{control: "Package: a-late\nPre-Depends: z-early", files: script, members: []tar.Header{plain("./late", "")}},
		made{control: "Package: z-early", members: []tar.Header{plain("./early", "")}},
		made{control: "Package: base\nEssential: yes", files: script, members: []tar.Header{plain("./base", "")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := "preinst of base; --configure -a;  +base|--configure z-early; preinst of a-late;  +base +early|--configure -a +base +early +late"
	if got := strings.Join(steps, "|"); got != want {
		t.Errorf("the steps were\n%s\nwant\n%s", got, want)
	}
}

func TestAssembleRefusesHostilePackages(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	evil := func(members ...tar.Header) made { return made{control: "Package: evil", members: members} }
	device := tar.Header{Name: "./x", Typeflag: tar.TypeCont, ModTime: folder("").ModTime}
	cut := packed([]tar.Header{folder("."), plain("./x", "text")})
	for name, c := range map[string]struct {
		made
		want string
	}{
		"absolute":        {evil(plain(outside, "evil")), "is no path within the root"},
		"dots":            {evil(plain("./../x", "evil")), "is no path within the root"},
		"dots inside":     {evil(folder("./a"), plain("./a/../../x", "evil")), "is no path within the root"},
		"hard link out":   {evil(linked("./x", "../../etc/passwd", tar.TypeLink)), "is no path within the root"},
		"hard to host":    {evil(linked("./x", "/etc/passwd", tar.TypeLink)), "is no path within the root"},
		"hard to nothing": {evil(linked("./x", "./nothing", tar.TypeLink)), "no such file"},
		"odd type":        {evil(device), "which packages do not have"},
		"file on a dir":   {evil(folder("./d"), plain("./d", "x")), "./d"[2:]},
		"the root":        {evil(linked("./", "x", tar.TypeSymlink)), "the root is no directory"},
		"cut off":         {made{control: "Package: evil", data: cut[:len(cut)/2]}, "read the data archive"},
		"not packed":      {made{control: "Package: evil", data: []byte("nonsense")}, "read data.tar.gz"},
		"no name":         {made{control: "Priority: high"}, "Package"},
		"name of a path":  {made{control: "Package: ../../x"}, ""},
		"architecture":    {made{control: "Package: evil\nArchitecture: ../../x"}, ""},
		"control script":  {made{control: "Package: evil", files: map[string]string{"a/../../b": ""}}, "has no place there"},
	} {
		_, err := assembleIn(t, nil, c.made)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		} else if !strings.Contains(err.Error(), "pool/p0.deb") {
			t.Errorf("%s: the error does not name the package: %v", name, err)
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "untouched" {
		t.Errorf("a file of the host is %q, %v", data, err)
	}
}

// TestAssembleStaysInside follows links that lead out of the root: they end
// within it.
func TestAssembleStaysInside(t *testing.T) {
	host := t.TempDir()
	_, err := assembleIn(t, nil, made{control: "Package: evil", members: []tar.Header{
		linked("./out", host, tar.TypeSymlink), plain("./out/planted", "evil"),
	}})
	if err == nil {
		t.Error("a link to a directory that the root does not have was followed")
	}
	if entries, _ := os.ReadDir(host); len(entries) > 0 {
		t.Errorf("the host has %v", entries)
	}
	up, err := assembleIn(t, nil, made{control: "Package: evil", members: []tar.Header{
		folder("./etc"), linked("./up", "../../../../etc", tar.TypeSymlink), plain("./up/planted", "evil"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := textOf(t, up, "etc/planted"); got != "evil" {
		t.Errorf("a link upwards led to %q", got)
	}
}

// TestAssembleKeepsDevicesOffTheDisk wants no device node and no set-id program
// with the powers that they have on the host.
func TestAssembleKeepsDevicesOffTheDisk(t *testing.T) {
	disk := tar.Header{Name: "./dev/disk", Mode: 0o666, Typeflag: tar.TypeBlock, Devmajor: 8, ModTime: folder("").ModTime}
	root := whole(t, made{control: "Package: evil", members: []tar.Header{folder("./dev"), disk}})
	if _, err := os.Lstat(filepath.Join(root.Path(), "dev/disk")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the device is on the disk: %v", err)
	}
	if f, err := root.Stat("dev/disk"); err != nil || f.Type != distro.BlockDev || f.Major != 8 {
		t.Errorf("the device is lost: %+v, %v", f, err)
	}
}

// TestAssembleBoundsWhatUnpacks has a header that promises more than any
// package has, and a bomb that unpacks to nothing but zeros.
func TestAssembleBoundsWhatUnpacks(t *testing.T) {
	huge := plain("./huge", "")
	huge.Size = maxPackageBytes + 1
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	if err := tw.WriteHeader(&tar.Header{Name: "./huge", Size: huge.Size, Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := assembleIn(t, nil, made{control: "Package: huge", data: b.Bytes()})
	if err == nil || !strings.Contains(err.Error(), "more than any package has") {
		t.Error(err)
	}
	var text strings.Builder
	for range 300 {
		text.WriteString(strings.Repeat("x", 1<<20))
	}
	_, err = assembleIn(t, nil, made{control: "Package: bomb", files: map[string]string{"postinst": text.String()}})
	if err == nil || !strings.Contains(err.Error(), "pool/p0.deb") {
		t.Errorf("a control archive of 300 MB: %v", err)
	}
}
