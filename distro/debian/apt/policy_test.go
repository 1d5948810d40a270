package apt_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/debian/apt"
)

// policyFiles has one package in five releases, each in a version of its own,
// as apt keeps them.
func policyFiles(preferences, conf string) (map[string]string, []apt.Candidate) {
	files := map[string]string{
		"etc/apt/apt.conf":        "APT::Architecture \"amd64\";\n" + conf,
		"etc/apt/preferences":     preferences,
		"var/lib/dpkg/status":     "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.5\nMaintainer: x\nDescription: x\n\n",
		"etc/apt/sources.list":    "",
		"etc/apt/preferences.d/z": "Package: tool\nPin: version 6*\nPin-Priority: 123\n",
	}
	var candidates []apt.Candidate
	for i, r := range []apt.Release{
		{Origin: "Debian", Label: "Debian", Suite: "stable", Codename: "one", Version: "12.5"},
		{Origin: "Debian", Label: "Debian-Security", Suite: "stable-security", Codename: "one-security", Version: "12"},
		{Origin: "Debian Backports", Label: "Debian Backports", Suite: "stable-backports", Codename: "one-backports", NotAutomatic: true, ButAutomaticUpgrades: true},
		{Origin: "Debian", Label: "Debian", Suite: "experimental", Codename: "rc-buggy", NotAutomatic: true},
		{Origin: "Vendor", Label: "vendor tools", Suite: "nodistro"},
	} {
		r.Component, r.Arch, r.Site = "main", "amd64", fmt.Sprintf("host%d.example.org", i)
		version := fmt.Sprintf("%d.0", i+2)
		uri := fmt.Sprintf("http://%s/debian/", r.Site)
		files["etc/apt/sources.list"] += fmt.Sprintf("deb [trusted=yes] %s %s main\n", uri, r.Suite)
		base := "var/lib/apt/lists/" + apt.ListsName(uri+"dists/"+r.Suite+"/")
		release := fmt.Sprintf("Origin: %s\nLabel: %s\nSuite: %s\nDate: Sat, 01 Nov 2025 00:00:00 UTC\nComponents: main\nArchitectures: amd64\n", r.Origin, r.Label, r.Suite)
		if r.Codename != "" {
			release += "Codename: " + r.Codename + "\n"
		}
		if r.Version != "" {
			release += "Version: " + r.Version + "\n"
		}
		if r.NotAutomatic {
			release += "NotAutomatic: yes\n"
		}
		if r.ButAutomaticUpgrades {
			release += "ButAutomaticUpgrades: yes\n"
		}
		files[base+"Release"] = release + "SHA256:\n"
		files[base+"main_binary-amd64_Packages"] = fmt.Sprintf("Package: tool\nVersion: %s\nArchitecture: amd64\nMaintainer: x\nFilename: pool/tool_%s_amd64.deb\nSize: 1\nSHA256: %064d\nDescription: x\n\n", version, version, i)
		candidates = append(candidates, apt.Candidate{Package: "tool", Version: version, Arch: "amd64", Releases: []apt.Release{r}})
	}
	installed := apt.Candidate{Package: "tool", Version: "1.5", Arch: "amd64", Installed: true}
	return files, append(candidates, installed)
}

// TestPriorityAsAptSaysIt compares with apt-cache policy.
func TestPriorityAsAptSaysIt(t *testing.T) {
	pin := func(pkg, what string, priority any) string {
		return fmt.Sprintf("Package: %s\nPin: %s\nPin-Priority: %v\n\n", pkg, what, priority)
	}
	for name, tt := range map[string]struct{ preferences, conf string }{
		"none":            {"", ""},
		"default release": {"", `APT::Default-Release "stable";`},
		"default pattern": {"", `APT::Default-Release "/^stable-(sec|back)/";`},
		"by suite":        {pin("*", "release a=stable-*", 50), ""},
		"by codename":     {pin("*", "release n=one", 50), ""},
		"bare":            {pin("*", "release one-backports", 700) + pin("*", "release stable-backports", 800), ""},
		"bare version":    {pin("*", "release 12*", 700), ""},
		"version field":   {pin("*", "release v=12.5, o=Debian", 700), ""},
		"label":           {pin("*", "release o=Debian,l=Debian-Security", 900), ""},
		"label of words":  {pin("*", "release l=vendor tools", 900), ""},
		"no match":        {pin("*", "release o=Debian,l=Ubuntu", 900), ""},
		"component":       {pin("*", "release c=main,b=amd64", 400), ""},
		"site":            {pin("*", "origin host4.example.org", 600) + pin("*", `origin "host3.example.org"`, 20), ""},
		"first wins":      {pin("*", "release o=Debian", 10) + pin("*", "release a=stable", 20), ""},
		"never":           {pin("*", "release o=Debian", 10) + pin("*", "release a=stable", "never"), ""},
		"never, named":    {pin("tool", "version *", 800) + pin("*", "release a=stable", "never"), ""},
		"named":           {pin("tool", "release a=stable", -1) + pin("*", "release a=stable", 20), ""},
		"named, others":   {pin("other too", "release a=stable", -1), ""},
		"several names":   {pin("other tool", "release a=stable", -1), ""},
		"glob":            {pin("t?o*", "release a=stable", 991), ""},
		"regexp":          {pin("/^TOO./", "release a=stable", 991), ""},
		"version":         {pin("tool", "version 3.*", 1001) + pin("tool", "version /^4/", 1002), ""},
		"arch":            {pin("tool:i386", "version *", 7) + pin("tool:amd64", "version 2.0", 8), ""},
		"installed":       {pin("tool", "release a=now", 8), ""},
		"all":             {pin("*", "release *", 8), ""},
		"comments":        {"# comment\n\n# more\nExplanation: nothing\n" + pin("tool", "version 2.0", 8) + "# c\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			files, candidates := policyFiles(tt.preferences, tt.conf)
			root := rootWith(t, files)
			c, warnings, err := load(t, root)
			if err != nil {
				t.Fatal(err)
			}
			out := runApt(t, root, "apt-cache", "policy", "tool")
			for _, v := range candidates {
				got := fmt.Sprint(c.Priority(v))
				m := regexp.MustCompile(`(?m)^[ *]+` + regexp.QuoteMeta(v.Version) + ` (-?\d+)$`).FindStringSubmatch(out)
				if m == nil {
					t.Fatalf("apt does not know version %s:\n%s", v.Version, out)
				}
				if got != m[1] {
					t.Errorf("version %s has priority %s, apt says %s", v.Version, got, m[1])
				}
			}
			if t.Failed() {
				t.Logf("%s\n%s\n%q", tt.preferences, out, warnings)
			}
		})
	}
}

func TestBadPreferences(t *testing.T) {
	for in, want := range map[string]string{
		"Pin: release a=b\nPin-Priority: 1\n":               "no Package",
		"Package: a\nPin: release a=b\n":                    "not a priority",
		"Package: a\nPin: release a=b\nPin-Priority: 0\n":   "zero",
		"Package: a\nPin: release a=b\nPin-Priority: 4e4\n": "not a priority",
		"Package: a\nPin: release a=b\nPin-Priority: never": "alone",
		"nonsense\n": "preferences:1:",
	} {
		root := rootWith(t, map[string]string{"etc/apt/preferences": in})
		if _, _, err := load(t, root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	root := rootWith(t, map[string]string{"etc/apt/preferences": "Package: a\nPin: moon full\nPin-Priority: 1\n"})
	if _, warnings, err := load(t, root); err != nil || len(warnings) != 1 {
		t.Errorf("an unknown kind of pin: %q, %v", warnings, err)
	}
}
