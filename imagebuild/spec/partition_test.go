package spec

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

const partitioned = `version: 1
outputs:
  - type: disk
    dest: x.img
    bios: true
    partitions:
      - {type: home, size: 64MiB, filesystem: ext4, label: homes, mount: /home, from: /srv/homes}
      - {type: BC13C2FF-59e6-4262-a352-b275fd6f7172, filesystem: vfat, mount: none}
      - {type: swap, size: 1GiB, mount: none}
`

func TestPartitions(t *testing.T) {
	s, err := Parse("image.yaml", []byte(partitioned))
	if err != nil {
		t.Fatal(err)
	}
	want := []Partition{
		{Type: "home", Size: size(64 << 20), FileSystem: "ext4", Label: "homes", Mount: "/home", From: "/srv/homes"},
		{Type: "BC13C2FF-59e6-4262-a352-b275fd6f7172", FileSystem: "vfat", Mount: "none"},
		{Type: "swap", Size: size(1 << 30), Mount: "none"},
	}
	if o := s.Outputs[0]; !o.BIOS || !reflect.DeepEqual(o.Partitions, want) {
		t.Errorf("the output is %+v", o)
	}
}

func TestBadPartitions(t *testing.T) {
	for text, want := range map[string]string{
		"{type: root}":                                            `image.yaml:3:45: "root" is no type of a partition; there are home, srv, var`,
		"{size: 1MiB}":                                            `"" is no type of a partition`,
		"{type: 0-0-0-0-0}":                                       "is no type of a partition",
		"{type: home, filesystem: xfs}":                           `image.yaml:3:63: "xfs" is no file system for a partition; there are ext4`,
		"{type: home, size: 1000}":                                "image.yaml:3:57: a partition of 1000 bytes: the size must be a multiple of 1 MiB",
		"{type: home, size: big}":                                 `"big" is no size`,
		"{type: home, mount: home}":                               `image.yaml:3:58: "home" is no path of a directory`,
		"{type: home, mount: /}":                                  `"/" is no path of a directory`,
		"{type: home, mount: /a/../b}":                            "is no path",
		"{type: home, from: none}":                                `image.yaml:3:57: "none" is no path of a directory`,
		"{type: linux, mount: /a}, {type: linux, mount: /a}":      "image.yaml:3:85: two partitions are mounted on /a",
		"{type: home, colour: red}":                               "image.yaml:3:",
		"{type: home}, {type: linux}, {type: linux, mount: /x//}": `"/x//" is no path`,
	} {
		text = "version: 1\noutputs:\n- {type: disk, dest: x, partitions: [" + text + "]}\n"
		if s, err := Parse("image.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, s, err, want)
		}
	}
	if _, err := Parse("x", []byte("version: 1\noutputs: [{type: iso, dest: x, partitions: [{type: home}]}]\n")); err == nil || !strings.Contains(err.Error(), "iso has no partitions; disk have") {
		t.Error(err)
	}
}

// Flags have the switch, and say where a list can be told.
func TestFlagsOfDisks(t *testing.T) {
	o, err := ParseOutput("type=disk,dest=x,bios,cmdline=quiet")
	if err != nil || !o.BIOS || o.Cmdline != "quiet" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := ParseOutput("type=disk,dest=x,partitions=home"); err == nil || !strings.Contains(err.Error(), "write the output in a spec") {
		t.Error(err)
	}
	if _, err := ParseOutput("type=iso,dest=x,bios"); err == nil || !strings.Contains(err.Error(), "iso has no bios") {
		t.Error(err)
	}
}

// The schema for editors knows the words that are read.
func TestSchemaOfPartitions(t *testing.T) {
	data, err := os.ReadFile("../../docs/image-spec.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type words struct {
		Enum  []string
		AnyOf []words
	}
	var schema struct {
		Properties struct {
			Outputs struct {
				Items struct {
					Properties struct {
						Partitions struct {
							Items struct {
								Properties struct{ Type, FileSystem words }
							}
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	p := schema.Properties.Outputs.Items.Properties.Partitions.Items.Properties
	if !reflect.DeepEqual(p.Type.AnyOf[0].Enum, PartitionTypes) || !reflect.DeepEqual(p.FileSystem.Enum, PartitionFileSystems) {
		t.Errorf("the schema has %+v", p)
	}
}
