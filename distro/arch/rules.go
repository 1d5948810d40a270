package arch

import (
	"bytes"
	"strconv"
	"time"

	"github.com/samebits/samebits/distro"
)

// Rules implements [distro.Assembler]. What Assemble writes itself is the same
// each time; the rules are for what scripts and hooks leave, also by calling
// pacman.
func (Distro) Rules() []distro.Rule {
	return []distro.Rule{
		{
			Name:   "pacman-log",
			Reason: "the log of pacman has the times of the installation",
			Remove: []string{"var/log/pacman.log"},
		},
		{
			Name:   "pacman-sync",
			Reason: "the databases of repositories are of the day of the build, and are fetched again",
			Remove: []string{"var/lib/pacman/sync/**", "var/lib/pacman/db.lck"},
		},
		{
			Name:   "pacman-cache",
			Reason: "the packages are those of the lock, and pacman fetches again what it misses",
			Remove: []string{"var/cache/pacman/pkg/**"},
		},
		{
			Name:   "pacman-keyring",
			Reason: "pacman's keyring has a secret key that is random and must be another on each machine; pacman-key --init and --populate make it anew",
			Remove: []string{"etc/pacman.d/gnupg/**"},
		},
		{
			Name:    "pacman-install-dates",
			Reason:  "pacman notes when it has installed each package, by the clock unless it is of version 7.1",
			Edit:    []string{localState + "/*/desc"},
			Rewrite: clampInstallDate,
		},
		{
			Name:    "java-certificates",
			Reason:  "p11-kit notes in Java's store of certificates when each was added, by the clock, and has them in the order in which the file system names their files",
			Edit:    []string{"etc/ssl/certs/java/cacerts", "etc/ca-certificates/extracted/java-cacerts.jks"},
			Rewrite: clampJavaStore,
		},
		{
			Name:    "certificate-bundles",
			Reason:  "p11-kit writes certificates in the order in which the file system names their files, which differs from host to host",
			Edit:    []string{"etc/ca-certificates/extracted/*.pem", "etc/ca-certificates/extracted/*.crt"},
			Rewrite: sortBundle,
		},
		{
			Name:   "font-cache",
			Reason: "the caches of fonts have times of the build, and are made anew when they are missed",
			Remove: []string{"var/cache/fontconfig/*"},
		},
		{
			Name:   "man-cache",
			Reason: "the index of manual pages has times of the build, and is made anew by its timer",
			Remove: []string{"var/cache/man/**"},
		},
	}
}

// clampInstallDate sets the date of installation to the epoch where it is
// later.
func clampInstallDate(_ string, desc []byte, epoch time.Time) ([]byte, error) {
	head := []byte("%INSTALLDATE%\n")
	at := bytes.Index(desc, head)
	if at < 0 || at > 0 && desc[at-1] != '\n' {
		return desc, nil
	}
	at += len(head)
	end := bytes.IndexByte(desc[at:], '\n')
	if end < 0 {
		return desc, nil
	}
	date, err := strconv.ParseInt(string(desc[at:at+end]), 10, 64)
	if err != nil || date <= epoch.Unix() {
		return desc, nil
	}
	out := strconv.AppendInt(bytes.Clone(desc[:at]), epoch.Unix(), 10)
	return append(out, desc[at+end:]...), nil
}
