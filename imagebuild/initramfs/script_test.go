package initramfs

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stub stands for busybox in a made-up machine: it logs what would change the
// machine, and fails with the text of the file fails/APPLET, if there is one.
const stub = `#!/bin/sh
here=HERE
[ "$1" = readlink ] || [ "$1" = cat ] || [ "$1" = findfs ] || [ "$1" = hexdump ] || echo "$*" >>$here/log
[ -f "$here/fails/$1" ] && cat "$here/fails/$1" >&2 && exit 1
case "$1" in
cat) cat "$2" ;;
readlink) readlink -f "$3" ;;
mkdir) shift; mkdir "$@" ;;
hexdump) [ "$*" = "hexdump -s 440 -n 4 -e 1/4 \"%08x\" $8" ] && cat "$here/signatures/${8##*/}" ;;
findfs) cat "$here/labels/$2" ;;
losetup) [ "$2" = -f ] && echo /dev/loop0 ;;
sleep)
	# Time passes by sleeping only; to sleep for an hour is to stop.
	[ "$2" = 3600 ] && kill $PPID
	read -r now idle <$here/proc/uptime
	case "$2" in 0.1) step=1 ;; *) step="$2" ;; esac
	echo "$((${now%.*} + step)).00" >$here/proc/uptime ;;
reboot) kill $PPID ;;
esac
exit 0
`

// machine is what a made-up machine has before files is put over it: two disks
// with partitions, a root, all programs.
func machine() files {
	program := "#!/bin/sh\necho \"${0##*/} $*\" >>HERE/log\n"
	m := files{
		"proc/uptime": "7.25 3.00\n", "proc/sys/kernel/panic": "0\n", "proc/mounts": "proc /proc proc rw 0 0\n/dev/sdb2 HERE/root ext4 rw 0 0\n",
		"modules/order": "virtio\next4\n", "medium/live/root": "x", "medium/live/root-verity": "x", "labels/LABEL=files": "/dev/sda\n",
		"root/sbin/init": program, "bin/veritysetup": program, "bin/sfdisk": program, "bin/resize2fs": program,
		"root/dev/x": "x", "root/proc/x": "x", "root/sys/x": "x", "root/run/x": "x", "over/x": "x", "console": "x",
		"sys/devices/sdb/size": "409600\n", "signatures/sda": "0badcafe", "signatures/sdb": "feedf00d",
	}
	for name, label := range map[string]string{"sda": "", "sda1": "twice", "sdb": "", "sdb1": "root-verity", "sdb2": "root", "sdc1": "twice"} {
		m["sys/class/block/"+name] = "-> HERE/sys/devices/" + name[:3] + "/" + name
		if len(name) == 3 {
			m["sys/class/block/"+name] = "-> HERE/sys/devices/" + name
			m["sys/devices/"+name+"/uevent"] = "MAJOR=8\nDEVNAME=" + name + "\nDEVTYPE=disk\n"
			continue
		}
		number, _ := strconv.Atoi(name[3:])
		at := "sys/devices/" + name[:3] + "/" + name + "/"
		m[at+"uevent"] = "MAJOR=8\nDEVNAME=" + name + "\nDEVTYPE=partition\nPARTN=" + name[3:] + "\nPARTNAME=" + label + "\n"
		m[at+"partition"] = name[3:] + "\n"
		m[at+"start"] = strconv.Itoa(number*100000) + "\n"
		m[at+"size"] = "100000\n"
	}
	return m
}

// started runs the script in a made-up machine. It returns what it did, a line
// for each thing, with / for the machine's directory, and what it said.
func started(t *testing.T, cmdline string, changes files) (did, said string) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs the package busybox-static: ", err)
	}
	here := t.TempDir()
	m := machine().with(files{"proc/cmdline": cmdline + "\n", "busybox": stub, "log": "\n", "kmsg": "\n"}).with(changes)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		path, text := filepath.Join(here, name), strings.ReplaceAll(m[name], "HERE", here)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The paths of the machine, where they are no values of the command line.
	text := strings.ReplaceAll(script, ">/dev/kmsg", ">>/dev/kmsg")
	text = strings.NewReplacer("/dev/kmsg", here+"/kmsg", "/dev/console", here+"/console", "bb=/bin/busybox", "bb="+here+"/busybox").Replace(text)
	text = regexp.MustCompile(`(^|[\s"=(<])/(bin|root|lower|over|medium|modules|proc|sys)\b`).ReplaceAllString(text, "${1}"+here+"/$2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, busybox, append([]string{"sh", "-s"}, "arguments", "of init")...)
	cmd.Stdin, cmd.Dir = strings.NewReader(text), here
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Run(); ctx.Err() != nil {
		t.Fatal("the script does not end")
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() >= 0) {
		t.Errorf("the script ends with %v", err)
	}
	if out.Len() > 0 {
		t.Logf("the shell says %s", out.String())
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(here, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(strings.TrimLeft(string(data), "\n"), here, "")
	}
	return read("log"), strings.ReplaceAll(read("kmsg"), "<2>samebits: ", "")
}

const (
	before = "mount -t devtmpfs -o mode=0755,nosuid dev /dev\nmount -t proc -o nosuid,nodev,noexec proc /proc\nmount -t sysfs -o nosuid,nodev,noexec sys /sys\n" +
		"insmod /modules/virtio.ko\ninsmod /modules/ext4.ko\nsleep 0\n"
	moves = "mount -t tmpfs -o mode=0755,nosuid,nodev run /root/run\n" +
		"mount -o move /dev /root/dev\nmount -o move /proc /root/proc\nmount -o move /sys /root/sys\n"
	after = moves + "switch_root /root /sbin/init arguments of init\n"
)

// The script does what the command line says, in this order and nothing else.
func TestScriptDoes(t *testing.T) {
	for name, c := range map[string]struct {
		cmdline string
		changes files
		want    string
	}{
		"nothing said":  {"root=PARTLABEL=root", nil, before + "mount -o ro /dev/sdb2 /root\n" + after},
		"mounting":      {"rw root=PARTLABEL=gone quiet root=PARTLABEL=root rootflags=noatime,data=ordered rootfstype=ext4", nil, before + "mount -t ext4 -o rw,noatime,data=ordered /dev/sdb2 /root\n" + after},
		"first of two":  {"root=PARTLABEL=twice", nil, before + "mount -o ro /dev/sda1 /root\n" + after},
		"label":         {"rw ro root=LABEL=files", nil, before + "mount -o ro /dev/sda /root\n" + after},
		"signature":     {"root=PARTUUID=feedf00d-01 rw", nil, before + "mount -o rw /dev/sdb1 /root\n" + after},
		"init":          {"root=PARTLABEL=root init=/bin/other", files{"root/bin/other": "-> /nowhere"}, before + "mount -o ro /dev/sdb2 /root\n" + moves + "switch_root /root /bin/other arguments of init\n"},
		"patterns":      {"root=PARTLABEL=root r? *", files{"rw": "x"}, before + "mount -o ro /dev/sdb2 /root\n" + after},
		"words of init": {"root=PARTLABEL=root -- rw samebits.overlay", nil, before + "mount -o ro /dev/sdb2 /root\n" + after},
		"delay":         {"root=PARTLABEL=root rootdelay=3", nil, strings.Replace(before, "sleep 0", "sleep 3", 1) + "mount -o ro /dev/sdb2 /root\n" + after},
		"overlay": {"root=PARTLABEL=root rw samebits.overlay samebits.grow", nil, before + "mount -o ro /dev/sdb2 /lower\nmount -t tmpfs -o mode=0755 over /over\n" +
			"mkdir /over/upper /over/work\nmount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /root\n" + after},
		"verity": {"root=PARTLABEL=root rw samebits.grow roothash=0a1b", nil, before +
			"veritysetup open /dev/sdb2 root /dev/sdb1 0a1b --panic-on-corruption\nmount -o ro /dev/mapper/root /root\n" + after},
		"file of a medium": {"root=LABEL=files samebits.image=/live/root roothash=0a1b", nil, before +
			"mount -o ro /dev/sda /medium\nlosetup -f\nlosetup -r /dev/loop0 /medium//live/root\nlosetup -f\nlosetup -r /dev/loop0 /medium//live/root-verity\n" +
			"veritysetup open /dev/loop0 root /dev/loop0 0a1b --panic-on-corruption\nmount -o ro /dev/mapper/root /root\n" + after},
		"grow": {"root=PARTLABEL=root rw samebits.grow", nil, before +
			"sfdisk --no-reread --wipe never --wipe-partitions never -N 2 /dev/sdb\nmount -o rw /dev/sdb2 /root\nresize2fs /dev/sdb2\n" + after},
		"grow read-only": {"root=PARTLABEL=root samebits.grow", files{"sys/devices/sdb/size": "304095\n"}, before +
			"mount -o ro /dev/sdb2 /root\nmount -o remount,rw /root\nresize2fs /dev/sdb2\nmount -o remount,ro /root\n" + after},
		"grow before another": {"root=PARTLABEL=root rw samebits.grow", files{"sys/devices/sdb/sdb3/start": "300000"}, before +
			"mount -o rw /dev/sdb2 /root\nresize2fs /dev/sdb2\n" + after},
		"grow a disk":        {"root=LABEL=files rw samebits.grow", nil, before + "mount -o rw /dev/sda /root\nresize2fs /dev/sda\n" + after},
		"missing directory":  {"root=PARTLABEL=root rw", files{"root/proc/x": ""}, before + "mount -o rw /dev/sdb2 /root\nmkdir /root/proc\n" + after},
		"root without a run": {"root=PARTLABEL=root", files{"root/run/x": ""}, before + "mount -o ro /dev/sdb2 /root\n" + strings.SplitAfterN(after, "\n", 2)[1]},
	} {
		t.Run(name, func(t *testing.T) {
			did, said := started(t, c.cmdline, c.changes)
			if did != c.want || said != "" {
				t.Errorf("it does\n%s, not\n%s, and says\n%s", did, c.want, said)
			}
		})
	}
}

// A signature is asked for in words that all versions of busybox read alike:
// some take a format without a size for one of single bytes.
func TestSignature(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs the package busybox-static: ", err)
	}
	m := regexp.MustCompile(`hexdump (-s 440 -n 4 -e) '(1/4 "%08x")' `).FindStringSubmatch(script)
	if m == nil {
		t.Fatal("the script asks for it otherwise")
	}
	record := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(record, append(make([]byte, 440), "\x01\x0d\xf0\xfe\xff\xff\xff\xff"...), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"hexdump"}, strings.Fields(m[1])...)
	out, err := exec.Command(busybox, append(args, m[2], record)...).CombinedOutput()
	if err != nil || string(out) != "fef00d01" {
		t.Errorf("it is %q, %v", out, err)
	}
}

// What goes wrong is told with what was looked for, and no init is started.
func TestScriptFails(t *testing.T) {
	for name, c := range map[string]struct {
		cmdline string
		changes files
		want    string
	}{
		"long":          {"root=" + strings.Repeat("x", 5000), nil, "root=" + strings.Repeat("x", 895) + "\n"},
		"no root":       {"quiet", nil, "the kernel's command line names no root="},
		"odd root":      {"root=PARTUUID=1-2", nil, "root=PARTUUID=1-2 is not understood; PARTLABEL=, LABEL=, UUID= and /dev/… are"},
		"no signature":  {"root=PARTUUID=0badcafe-02 rootwait=2", nil, "there is no disk, partition or file system PARTUUID=0badcafe-02 after 2 seconds"},
		"empty name":    {"root=PARTLABEL=", nil, "root=PARTLABEL= is not understood"},
		"delay":         {"root=LABEL=files rootdelay=1s", nil, "rootdelay=1s on the kernel's command line is no number of seconds"},
		"wait":          {"root=LABEL=files rootwait=-1", nil, "rootwait=-1 on the kernel's command line is no number of seconds"},
		"gone":          {"root=PARTLABEL=gone", nil, "waiting for PARTLABEL=gone\nthere is no disk, partition or file system PARTLABEL=gone after 30 seconds; there is: sda, sda1 (twice), sdb, sdb1 (root-verity), sdb2 (root), sdc1 (twice)"},
		"short wait":    {"root=UUID=1-2 rootwait=2", nil, "there is no disk, partition or file system UUID=1-2 after 2 seconds"},
		"no tree":       {"root=PARTLABEL=twice rootwait=1 roothash=0a", nil, "system PARTLABEL=twice-verity after 1 seconds"},
		"tree of label": {"root=LABEL=files roothash=0a", nil, "roothash= wants root=PARTLABEL=NAME, and the hash tree in the partition NAME-verity"},
		"no verity":     {"root=PARTLABEL=root roothash=0a", files{"bin/veritysetup": ""}, "but this initramfs has no veritysetup"},
		"bad hash":      {"root=PARTLABEL=root roothash=0a", files{"bin/veritysetup": "#!/bin/sh\necho it differs\nexit 1\n"}, "/dev/sdb2 with the hash tree /dev/sdb1 is not what roothash=0a says: it differs"},
		"no image":      {"root=LABEL=files samebits.image=/live/other", nil, "LABEL=files has no file /live/other"},
		"no loop":       {"root=LABEL=files samebits.image=live/root", files{"fails/losetup": "no loop"}, "the file live/root of LABEL=files cannot be made a device: "},
		"not mounted":   {"root=PARTLABEL=root rootfstype=xfs", files{"fails/mount": "no such device"}, "/dev/sdb2 (PARTLABEL=root) cannot be mounted as xfs: no such device"},
		"no init":       {"root=PARTLABEL=root init=/sbin/other", nil, "the root has no /sbin/other; init= on the kernel's command line names another"},
		"no directory":  {"root=PARTLABEL=root", files{"root/sys/x": "", "fails/mkdir": "read-only"}, "the root has no directory /sys"},
	} {
		t.Run(name, func(t *testing.T) {
			did, said := started(t, c.cmdline, c.changes)
			if !strings.Contains(said, c.want) {
				t.Errorf("it says %s, not %s", said, c.want)
			}
			if strings.Contains(did, "switch_root") || !strings.HasSuffix(did, "sleep 3600\n") || strings.Contains(did, "sh\n") {
				t.Errorf("it does\n%s", did)
			}
		})
	}
}

// What cannot grow is told, and the boot goes on.
func TestScriptGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		changes files
		want    string
	}{
		"no programs":  {files{"bin/resize2fs": ""}, "samebits.grow is on the kernel's command line, but this initramfs has no resize2fs"},
		"other type":   {files{"proc/mounts": "/dev/sdb2 HERE/root xfs rw 0 0\n"}, "a file system of the type xfs cannot grow"},
		"sfdisk fails": {files{"bin/sfdisk": "#!/bin/sh\necho locked\nexit 1\n"}, "the partition /dev/sdb2 cannot grow: locked"},
		"resize fails": {files{"bin/resize2fs": "#!/bin/sh\necho too new\nexit 1\n"}, "the file system on /dev/sdb2 cannot grow: too new"},
	} {
		t.Run(name, func(t *testing.T) {
			did, said := started(t, "root=PARTLABEL=root rw samebits.grow", c.changes)
			if said != c.want+"\n" || !strings.HasSuffix(did, after) {
				t.Errorf("it says %s and does\n%s", said, did)
			}
		})
	}
}

// panic= says what comes after a failure, and samebits.shell what before.
func TestScriptEnds(t *testing.T) {
	for name, c := range map[string]struct{ cmdline, panic, did, said string }{
		"stays":    {"root=", "0\n", "sleep 3600\n", "the machine stops; with panic=10 on the kernel's command line it would restart, with samebits.shell there would be a shell\n"},
		"restarts": {"root=", "5\n", "sleep 5\nreboot -f\n", "the machine restarts in 5 seconds, as panic= says\n"},
		"at once":  {"root=", "-1\n", "reboot -f\n", "names no root=\n"},
		"shell":    {"root= samebits.shell", "-1\n", "sh\nreboot -f\n", "a shell is started, since samebits.shell is on the kernel's command line\n"},
	} {
		t.Run(name, func(t *testing.T) {
			did, said := started(t, c.cmdline, files{"proc/sys/kernel/panic": c.panic})
			if !strings.HasSuffix(did, "sys /sys\n"+c.did) || !strings.HasSuffix(said, c.said) {
				t.Errorf("it does\n%s\nand says\n%s", did, said)
			}
		})
	}
}
