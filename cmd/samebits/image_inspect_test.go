package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/inspect"
)

func TestShownAsText(t *testing.T) {
	n, m := int64(48_000_000), int64(12)
	part := &shown{
		Format: "gpt", Size: &n, SHA256: "aa", Problem: "it is cut off",
		Attributes: shownAttributes{
			{Name: "disk_id", Value: "1234"}, {Name: "boot_code", Value: true}, {Name: "sector_size", Value: int64(512)},
			{Name: "features", Value: []string{"one", "two"}}, {Name: "os_release", Value: []string{"ID=x", `NAME="A B"`, "C D"}},
		},
		Parts: []*shown{
			{Name: "esp", Number: 1, Format: "fat32", Size: &m, SHA256: "bb", Files: &shownFiles{3, 2500, "cc"}},
			{Name: ".text", Format: "data", Size: &m, SHA256: "dd"},
			{Name: "a\nb", Number: 2, Format: "data"},
		},
	}
	var b strings.Builder
	part.text(&b, "disk.raw", "")
	want := `disk.raw: gpt, 48.0 MB (48000000 bytes)
  sha256: aa
  disk id: 1234
  boot code: yes
  sector size: 512
  features: one two
  os release: 
    ID=x
    NAME="A B"
    C D
  not read: it is cut off
  1 esp: fat32, 12 B
    sha256: bb
    files: 3, with contents of 2.5 kB
    manifest: cc
  .text: data, 12 B, sha256 dd
  2 a\nb: data
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// Attributes are an object whose order is theirs.
func TestShownAsJSON(t *testing.T) {
	for want, a := range map[string]shownAttributes{
		`{}`: nil,
		`{"z":"x","a":1,"list":["b"],"yes":true}`: {{Name: "z", Value: "x"}, {Name: "a", Value: int64(1)}, {Name: "list", Value: []string{"b"}}, {Name: "yes", Value: true}},
	} {
		b, err := json.Marshal(a)
		if err != nil || string(b) != want {
			t.Errorf("%s, %v, want %s", b, err, want)
		}
	}
	if _, err := json.Marshal(shownAttributes{{Name: "x", Value: func() {}}}); err == nil {
		t.Error("a function is JSON")
	}
}

func TestImageDifferencesAsText(t *testing.T) {
	x, y := strings.Repeat("1", 64), strings.Repeat("2", 64)
	list := []imageDifference{
		imageDifferenceOf(inspect.PartDifference{Changes: []inspect.Change{{Attribute: "disk_id", Old: "a", New: "b"}}}),
		imageDifferenceOf(inspect.PartDifference{Path: []string{"root", "inner"}, Files: &inspect.Comparison{
			Left: []string{"owner", "xattrs"},
			Differences: []inspect.Difference{
				{Path: "etc", Changes: []inspect.Change{{Attribute: "mode", Old: "0755", New: "0700"}, {Attribute: "user.note", New: `"x"`}}},
				{Path: "file", Changes: []inspect.Change{{Attribute: "sha256", Old: x, New: y}}},
				{Path: "gone", Changes: []inspect.Change{{Attribute: "path", Old: "file"}}},
				{Path: "new\n", Changes: []inspect.Change{{Attribute: "path", New: "dir"}}},
			},
		}}),
	}
	want := `~ disk_id a → b
root: inner:
  ~ /etc mode 0755 → 0700, user.note none → "x"
  ~ /file another content
  - /gone
  + "/new\n"
  not compared, since one of the formats has no place for it: owner, xattrs
`
	if got := imageDifferences(list); got != want {
		t.Errorf("%s", got)
	}
	if s := list[1].Summary; s["changed"] != 2 || s["added"] != 1 || s["removed"] != 1 {
		t.Errorf("%v", s)
	}
	if f := list[1].Files; f[1].Change != "changed" || f[1].Changes[0].Old != x || f[2].Changes != nil {
		t.Errorf("%+v", f)
	}
}

// A difference that a rule is about has a known cause.
func TestKnownCauses(t *testing.T) {
	changed := []imageChange{{Attribute: "sha256"}, {Attribute: "time"}}
	list := []imageDifference{{Files: []fileDiffers{
		{Path: "/var/log/dpkg.log", Change: "changed", Changes: changed},
		{Path: "/usr/lib/python3/__pycache__/x.pyc", Change: "added"},
		{Path: "/etc/machine-id", Change: "changed", Changes: changed},
		{Path: "/run/lock", Change: "removed"},
		{Path: "/etc/hosts", Change: "changed", Changes: changed[1:]},
		{Path: "/etc/hosts", Change: "changed", Changes: changed},
		{Path: "/", Change: "changed", Changes: changed},
	}}}
	explain(list)
	var got []string
	for _, f := range list[0].Files {
		got = append(got, f.Cause)
	}
	if want := "dpkg-logs python-caches machine-id  times  "; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	text := imageDifferences(list)
	for _, want := range []string{"+ /usr/lib/python3/__pycache__/x.pyc [python-caches]\n", "\n[times] what was made while building has the time of that\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s", text)
		}
	}
	if strings.Count(text, "[times]") != 2 {
		t.Errorf("%s", text)
	}
}
