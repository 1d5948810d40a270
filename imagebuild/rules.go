package imagebuild

import (
	"bytes"
	"strconv"
	"time"

	"github.com/samebits/samebits/distro"
)

// CommonRules are those that hold for every distribution.
func CommonRules() []distro.Rule {
	return []distro.Rule{
		{
			Name:   "account-backups",
			Reason: "the tools that add users leave the state before the last change, which depends on the order of scripts",
			Remove: []string{"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-"},
		},
		{
			Name:    "password-dates",
			Reason:  "shadow files have the day of the last change of each password, which is the day of the build",
			Edit:    []string{"etc/shadow"},
			Rewrite: shadowDates,
		},
		{
			Name:   "machine-id",
			Reason: "the identity of a machine is random and must be another on each; an empty file has it made at the first boot",
			Empty:  []string{"etc/machine-id"},
			Remove: []string{"var/lib/dbus/machine-id"},
		},
		{
			Name:   "random-seeds",
			Reason: "seeds and secrets are random, and no secret that all machines share",
			Remove: []string{"var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "efi/loader/random-seed", "boot/loader/random-seed"},
		},
		{
			Name:   "ssh-host-keys",
			Reason: "host keys are random, and must be another on each machine; \"ssh-keygen -A\" makes them at the first start",
			Remove: []string{"etc/ssh/ssh_host_*"},
		},
		{
			Name:   "ldconfig-aux-cache",
			Reason: "ldconfig's auxiliary cache has inode numbers and times of the builder's disk, and is made anew when it is missed",
			Remove: []string{"var/cache/ldconfig/aux-cache"},
		},
		{
			Name:   "python-caches",
			Reason: "compiled Python has the time of its source, and is made anew when it is missed",
			Remove: []string{"**/__pycache__"},
		},
		{
			Name:   "temporary-files",
			Reason: "what lies there is of no use to the next boot, which begins with these empty",
			Remove: []string{"tmp/**", "var/tmp/**", "run/**"},
			Keep:   []string{"run/lock"},
		},
	}
}

// shadowDates sets the days of the last changes of passwords to the epoch's
// day, also where they are earlier, since the epoch may be later than the
// builder's clock. 0, which wants a password changed at once, stays.
func shadowDates(_ string, data []byte, epoch time.Time) ([]byte, error) {
	const field = 2
	day := epoch.Unix() / 86400
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		fields := bytes.Split(line, []byte(":"))
		if len(fields) <= field {
			continue
		}
		if changed, err := strconv.ParseInt(string(fields[field]), 10, 64); err == nil && changed > 0 {
			fields[field] = strconv.AppendInt(nil, day, 10)
			lines[i] = bytes.Join(fields, []byte(":"))
		}
	}
	return bytes.Join(lines, []byte("\n")), nil
}
