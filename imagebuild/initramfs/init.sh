#!/bin/busybox sh
# The first program of a disk that samebits made: finds the root that the
# kernel's command line names, mounts it and starts its init.

set -f # no word of the command line is a pattern
bb=/bin/busybox
$bb mount -t devtmpfs -o mode=0755,nosuid dev /dev
$bb mount -t proc -o nosuid,nodev,noexec proc /proc
$bb mount -t sysfs -o nosuid,nodev,noexec sys /sys

root= roothash= rootfstype= rootflags= init=/sbin/init mode=ro
image= overlay= grow= shell= limit=30 delay=0
for word in $($bb cat /proc/cmdline); do
	case "$word" in
	--) break ;;
	root=*) root="${word#*=}" ;;
	roothash=*) roothash="${word#*=}" ;;
	rootfstype=*) rootfstype="${word#*=}" ;;
	rootflags=*) rootflags="${word#*=}" ;;
	rootwait) limit= ;;
	rootwait=*) limit="${word#*=}" ;;
	rootdelay=*) delay="${word#*=}" ;;
	init=*) init="${word#*=}" ;;
	ro | rw) mode="$word" ;;
	samebits.image=*) image="${word#*=}" ;;
	samebits.overlay) overlay=1 ;;
	samebits.grow) grow=1 ;;
	samebits.shell) shell=1 ;;
	esac
done
set +f

# say tells all consoles, also where the command line says quiet. The kernel
# takes lines of up to some 970 bytes.
say() { printf '<2>samebits: %.900s\n' "$*" >/dev/kmsg; }

# fail ends the boot as the kernel does where it has no root: panic=N restarts
# the machine after N seconds, without it the message stays.
fail() {
	say "$@"
	if [ -n "$shell" ]; then
		say "a shell is started, since samebits.shell is on the kernel's command line"
		$bb sh </dev/console >/dev/console 2>&1
	fi
	read -r seconds </proc/sys/kernel/panic
	case "$seconds" in
	0) say "the machine stops; with panic=10 on the kernel's command line it would restart, with samebits.shell there would be a shell" ;;
	-*) $bb reboot -f ;;
	*) say "the machine restarts in $seconds seconds, as panic= says" && $bb sleep "$seconds" && $bb reboot -f ;;
	esac
	while :; do $bb sleep 3600; done
}

# number fails where the value of a word of the command line is none.
number() {
	case "$2" in
	'' | *[!0-9]*) fail "$1=$2 on the kernel's command line is no number of seconds" ;;
	esac
}

seconds() {
	read -r now rest </proc/uptime
	now="${now%.*}"
}

# partition prints the device of the partition of a name, the first of several.
partition() {
	for event in /sys/class/block/*/uevent; do
		device= name=
		while IFS='=' read -r key value; do
			case "$key" in
			DEVNAME) device="$value" ;;
			PARTNAME) name="$value" ;;
			esac
		done <"$event"
		[ "$name" = "$1" ] && echo "/dev/$device" && return
	done
}

# numbered prints the device of the partition of a number, in two digits, on the
# disk whose master boot record has a signature.
numbered() {
	for at in /sys/class/block/*; do
		[ -f "$at/partition" ] || continue
		read -r number <"$at/partition"
		[ "$(printf %02x "$number")" = "$2" ] || continue
		disk=$($bb readlink -f "$at")
		disk="${disk%/*}"
		[ "$($bb hexdump -s 440 -n 4 -e '1/4 "%08x"' "/dev/${disk##*/}" 2>/dev/null)" = "$1" ] && echo "/dev/${at##*/}" && return
	done
}

# device prints the device that is there by now for a value of root=.
device() {
	case "$1" in
	PARTLABEL=*) partition "${1#*=}" ;;
	PARTUUID=*)
		id="${1#*=}"
		numbered "${id%-*}" "${id#*-}"
		;;
	/dev/*) [ -b "$1" ] && echo "$1" ;;
	*) $bb findfs "$1" 2>/dev/null ;;
	esac
}

# disks prints the disks and partitions that there are, in a line.
disks() {
	there=
	for event in /sys/class/block/*/uevent; do
		device= name=
		while IFS='=' read -r key value; do
			case "$key" in
			DEVNAME) device="$value" ;;
			PARTNAME) name="$value" ;;
			esac
		done <"$event"
		there="$there${there:+, }$device${name:+ ($name)}"
	done
	echo "${there:-nothing}"
}

# await waits for the device of a value of root= and sets found.
await() {
	seconds
	begun=$now
	told=
	while
		found=$(device "$1")
		[ -z "$found" ]
	do
		seconds
		passed=$((now - begun))
		if [ -n "$limit" ] && [ "$passed" -ge "$limit" ]; then
			fail "there is no disk, partition or file system $1 after $limit seconds; there is: $(disks)"
		fi
		[ -z "$told" ] && [ "$passed" -ge 5 ] && told=1 && say "waiting for $1"
		$bb sleep 0.1 2>/dev/null || $bb sleep 1
	done
}

# enlarge makes the partition of a device, if it is the last of its disk, reach
# to the disk's end.
enlarge() {
	at=$($bb readlink -f "/sys/class/block/${1#/dev/}")
	[ -f "$at/partition" ] || return
	read -r number <"$at/partition"
	read -r start <"$at/start"
	read -r size <"$at/size"
	read -r all <"$at/../size"
	end=$((start + size))
	for other in "$at"/../*/start; do
		read -r start <"$other"
		[ "$start" -ge "$end" ] && return
	done
	# Sectors of 512 bytes: less than 2 MiB may be left beside the table's copy.
	[ $((all - end)) -ge 4096 ] || return
	disk="${at%/*}"
	disk="/dev/${disk##*/}"
	told=$(echo ',+' | /bin/sfdisk --no-reread --wipe never --wipe-partitions never -N "$number" "$disk" 2>&1) ||
		say "the partition $1 cannot grow: $told"
}

# fill makes the file system on a device, which is mounted, as large as that is.
fill() {
	while read -r what where type rest; do
		[ "$where" = /root ] && break
	done </proc/mounts
	case "$type" in
	ext[234]) ;;
	*) say "a file system of the type $type cannot grow" && return ;;
	esac
	[ "$mode" = rw ] || $bb mount -o remount,rw /root
	told=$(/bin/resize2fs "$1" 2>&1) || say "the file system on $1 cannot grow: $told"
	[ "$mode" = rw ] || $bb mount -o remount,ro /root
}

# attach makes a file of the medium a device and sets found.
attach() {
	[ -f "/medium/$1" ] || fail "$root has no file $1"
	found=$($bb losetup -f) && told=$($bb losetup -r "$found" "/medium/$1" 2>&1) ||
		fail "the file $1 of $root cannot be made a device: $told"
}

case "$root" in
PARTUUID=????????-?? | PARTLABEL=?* | LABEL=?* | UUID=?* | /dev/?*) ;;
'') fail "the kernel's command line names no root=" ;;
*) fail "root=$root is not understood; PARTLABEL=, LABEL=, UUID= and /dev/… are, and PARTUUID= of a master boot record" ;;
esac
number rootdelay "$delay"
[ -z "$limit" ] || number rootwait "$limit"
[ -n "$overlay$roothash$image" ] && mode=ro grow=

for module in $($bb cat /modules/order); do
	$bb insmod "/modules/$module.ko" 2>/dev/null
done

$bb sleep "$delay"
await "$root"
source="$found"
if [ -n "$image" ]; then
	told=$($bb mount -o ro "$source" /medium 2>&1) || fail "$source ($root) cannot be mounted: $told"
	attach "$image"
	source="$found"
fi
if [ -n "$roothash" ]; then
	[ -x /bin/veritysetup ] || fail "roothash= is on the kernel's command line, but this initramfs has no veritysetup"
	case "$image:$root" in
	?*:*) attach "$image-verity" ;;
	:PARTLABEL=*) await "$root-verity" ;;
	*) fail "roothash= wants root=PARTLABEL=NAME, and the hash tree in the partition NAME-verity" ;;
	esac
	told=$(DM_DISABLE_UDEV=1 /bin/veritysetup open "$source" root "$found" "$roothash" --panic-on-corruption 2>&1) ||
		fail "$source with the hash tree $found is not what roothash=$roothash says: $told"
	source=/dev/mapper/root
fi

[ -n "$grow" ] && [ ! -x /bin/resize2fs ] && say "samebits.grow is on the kernel's command line, but this initramfs has no resize2fs" && grow=
[ -n "$grow" ] && enlarge "$source"
base=/root
[ -n "$overlay" ] && base=/lower
told=$($bb mount ${rootfstype:+-t "$rootfstype"} -o "$mode${rootflags:+,$rootflags}" "$source" $base 2>&1) ||
	fail "$source ($root) cannot be mounted${rootfstype:+ as $rootfstype}: $told"
[ -n "$grow" ] && fill "$source"
if [ -n "$overlay" ]; then
	$bb mount -t tmpfs -o mode=0755 over /over
	$bb mkdir /over/upper /over/work
	told=$($bb mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /root 2>&1) ||
		fail "memory cannot be put over the root: $told"
fi
[ -x "/root$init" ] || [ -L "/root$init" ] || fail "the root has no $init; init= on the kernel's command line names another"

for dir in dev proc sys; do
	[ -d "/root/$dir" ] || $bb mkdir "/root/$dir" || fail "the root has no directory /$dir"
done
[ -d /root/run ] && $bb mount -t tmpfs -o mode=0755,nosuid,nodev run /root/run
for dir in dev proc sys; do
	$bb mount -o move "/$dir" "/root/$dir"
done
exec $bb switch_root /root "$init" "$@"
