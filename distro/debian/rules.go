package debian

import "github.com/samebits/samebits/distro"

// Rules implements [distro.Assembler].
func (Distro) Rules() []distro.Rule {
	return []distro.Rule{
		{
			Name:   "dpkg-logs",
			Reason: "the logs of dpkg and of alternatives have the times of the installation",
			Remove: []string{"var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log", "var/log/apt/*"},
		},
		{
			Name:   "apt-caches",
			Reason: "apt's lists and caches are of the day of the build, and are fetched or made anew",
			Remove: []string{"var/lib/apt/lists/*_*", "var/lib/apt/lists/lock", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/cache/apt/archives/lock"},
		},
		{
			Name:   "database-backups",
			Reason: "dpkg and debconf keep their state before the last change, which depends on how many steps the installation took",
			Remove: []string{"var/lib/dpkg/*-old", "var/cache/debconf/*-old", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock"},
		},
		{
			Name:   "snakeoil",
			Reason: "the certificate that ssl-cert makes is random, and its key no secret once it is in an image",
			Remove: []string{"etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/ssl/private/ssl-cert-snakeoil.key"},
		},
		{
			Name:   "man-cache",
			Reason: "the index of manual pages has times of the build, and is made anew by its timer",
			Remove: []string{"var/cache/man/**"},
		},
		{
			Name:   "font-cache",
			Reason: "the caches of fonts and the log of their making have times of the build, and are made anew when they are missed",
			Remove: []string{"var/cache/fontconfig/*", "var/log/fontconfig.log"},
		},
		{
			Name:   "popularity-contest",
			Reason: "the survey's identity is random, and no two machines may share it",
			Remove: []string{"etc/popularity-contest.conf", "etc/cron.d/popularity-contest"},
		},
		{
			Name:   "raspi-cmdline",
			Reason: "raspi-firmware writes a kernel command line with the disk of the machine that it is installed on; a card gets one of its own",
			Remove: []string{"boot/firmware/cmdline.txt"},
		},
	}
}
