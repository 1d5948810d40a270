package gpt_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

// run is the output of a tool, which has to be there and to succeed.
func run(t testing.TB, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", argv, err, out)
	}
	return string(out)
}

func TestSgdisk(t *testing.T) {
	table := layout(t, sample())
	f := written(t, table.Size, table)
	if out := run(t, "sgdisk", "-v", f.Name()); !strings.Contains(out, "No problems found") || strings.Contains(out, "aution") {
		t.Errorf("sgdisk -v says %s", out)
	}
	out := run(t, "sgdisk", "-i", "2", f.Name())
	for _, want := range []string{"Partition GUID code: 4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "Partition unique GUID: 5EED0002-1111-4222-8333-444455556666",
		"First sector: 14336", "Attribute flags: 1000000000000001", "Partition name: 'würzel "} {
		if !strings.Contains(out, want) {
			t.Errorf("sgdisk -i says no %q:\n%s", want, out)
		}
	}
}

// told is what sfdisk --json tells.
type told struct {
	PartitionTable struct {
		Label, ID         string
		FirstLBA, LastLBA int64
		SectorSize        int64
		Partitions        []struct {
			Start, Size            int64
			Type, UUID, Name, Attr string
			Attrs                  string
			Bootable               bool
		}
	}
}

func TestSfdisk(t *testing.T) {
	want := layout(t, sample())
	f := written(t, want.Size, want)
	if out := run(t, "sfdisk", "--verify", f.Name()); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk --verify says %s", out)
	}
	compare(t, want, f.Name(), 512)
}

// A disk of larger sectors has to be a device, for tools to see it.
func TestLargeSectors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may make loop devices")
	}
	table := sample()
	table.SectorSize = 4096
	want := layout(t, table)
	f := written(t, want.Size, want)
	device := strings.TrimSpace(run(t, "losetup", "--find", "--show", "--sector-size", "4096", f.Name()))
	defer run(t, "losetup", "--detach", device)
	if out := run(t, "sgdisk", "-v", device); !strings.Contains(out, "No problems found") || strings.Contains(out, "aution") {
		t.Errorf("sgdisk -v says %s", out)
	}
	compare(t, want, device, 4096)
}

// compare compares a table with what sfdisk tells.
func compare(t *testing.T, want *gpt.Table, path string, sector int64) {
	t.Helper()
	var got told
	if err := json.Unmarshal([]byte(run(t, "sfdisk", "--json", path)), &got); err != nil {
		t.Fatal(err)
	}
	if p := got.PartitionTable; p.Label != "gpt" || !strings.EqualFold(p.ID, string(disk)) || len(p.Partitions) != 3 || p.SectorSize != sector {
		t.Fatalf("%+v", got)
	}
	for i, p := range got.PartitionTable.Partitions {
		want := want.Partitions[i]
		if p.Start*sector != want.Start || p.Size*sector != want.Size || p.Name != want.Name ||
			!strings.EqualFold(p.Type, string(want.Type)) || !strings.EqualFold(p.UUID, string(want.ID)) {
			t.Errorf("sfdisk tells %+v, want %+v", p, want)
		}
	}
	if attrs := got.PartitionTable.Partitions[1].Attrs; attrs != "RequiredPartition GUID:60" {
		t.Errorf("sfdisk tells the attributes %q", attrs)
	}
}

func TestSfdiskReadsMBRs(t *testing.T) {
	m, err := sampleMBR().Layout()
	if err != nil {
		t.Fatal(err)
	}
	f := written(t, m.Size, m)
	if out := run(t, "sfdisk", "--verify", f.Name()); !strings.Contains(out, "Remaining") && !strings.Contains(out, "No errors") {
		t.Errorf("sfdisk --verify says %s", out)
	}
	var got told
	if err := json.Unmarshal([]byte(run(t, "sfdisk", "--json", f.Name())), &got); err != nil {
		t.Fatal(err)
	}
	p := got.PartitionTable
	if p.Label != "dos" || p.ID != "0x5eed1234" || len(p.Partitions) != 2 || !p.Partitions[0].Bootable || p.Partitions[0].Type != "c" || p.Partitions[1].Start != 11*2048 {
		t.Errorf("%+v", p)
	}
}

// What sgdisk wrote is read.
func TestTablesOfOthersAreRead(t *testing.T) {
	empty := layout(t, gpt.Table{ID: disk, Size: 50 << 20})
	f := written(t, empty.Size, empty)
	run(t, "sgdisk", "-o", "-n", "0:0:+10M", "-t", "1:8304", "-c", "1:root", "-n", "5:0:0", "-t", "5:8200", "-A", "5:set:63", f.Name())
	got, err := gpt.Read(f, empty.Size)
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Partitions; len(p) != 2 || p[0].Type != gpt.RootX86_64 || p[0].Name != "root" || p[0].Size != 10<<20 || p[1].Type != gpt.Swap || p[1].Attributes != gpt.NoAutoDiscovered {
		t.Errorf("%+v", p)
	}
}

// The names of types are those that sfdisk knows.
func TestTypesAreThoseOfSfdisk(t *testing.T) {
	out := strings.ToLower(run(t, "sfdisk", "--label", "gpt", "--list-types"))
	for _, g := range []gpt.GUID{gpt.ESP, gpt.XBOOTLDR, gpt.Swap, gpt.Home, gpt.Srv, gpt.Var, gpt.Tmp, gpt.UserHome, gpt.LinuxGeneric, gpt.BIOSBoot, gpt.MicrosoftData} {
		if !strings.Contains(out, string(g)) {
			t.Errorf("sfdisk knows no %s, %s", g, gpt.TypeName(g))
		}
	}
	for architecture, name := range map[string]string{"amd64": "x86-64", "386": "x86", "arm": "arm", "arm64": "arm-64", "loong64": "loongarch-64", "riscv64": "risc-v-64", "s390x": "s390x", "mips64el": "mips-64 le", "ppc64el": "ppc64le"} {
		types, _ := gpt.TypesOf(architecture)
		for g, what := range map[gpt.GUID]string{types.Root: "linux root (%s)", types.RootVerity: "linux root verity (%s)", types.RootVeritySig: "linux root verity sign. (%s)",
			types.Usr: "linux /usr (%s)", types.UsrVerity: "linux /usr verity (%s)", types.UsrVeritySig: "linux /usr verity sign. (%s)"} {
			if want := string(g) + "  " + fmt.Sprintf(what, name); !strings.Contains(out, want) {
				t.Errorf("sfdisk knows no %s", want)
			}
		}
	}
}
