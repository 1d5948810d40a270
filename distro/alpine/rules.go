package alpine

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
)

// Rules implements [distro.Assembler]. What Assemble writes itself is the same
// each time; the rules are for what scripts leave, also by calling apk.
func (Distro) Rules() []distro.Rule {
	return []distro.Rule{
		{
			Name:    "apk-installed-order",
			Reason:  "older apk lists packages in the order in which they were installed, and no reader of the list minds the order",
			Edit:    []string{installedFile, usrInstalledFile},
			Rewrite: func(_ string, text []byte, _ time.Time) ([]byte, error) { return sortInstalled(text), nil },
		},
		{
			Name:    "apk-world-order",
			Reason:  "what is asked for stands in the order in which it was asked for, which apk does not go by",
			Edit:    []string{worldFile},
			Rewrite: func(_ string, text []byte, _ time.Time) ([]byte, error) { return sortWorld(text), nil },
		},
		{
			Name:    "apk-script-times",
			Reason:  "older apk gives the scripts that it keeps the time of the day, where newer gives them that of their package",
			Edit:    []string{scriptsFile, "usr/" + scriptsFile},
			Rewrite: clampScripts,
		},
		{
			Name:   "apk-cache",
			Reason: "apk's indexes and downloaded packages are of the day of the build, and are fetched again when they are missed",
			Remove: []string{"var/cache/apk/**", "etc/apk/cache/**"},
		},
		{
			Name:   "apk-log",
			Reason: "the log of apk 3 has the times of the installation",
			Remove: []string{"var/log/apk.log"},
		},
		{
			Name:   "alpine-release-stamp",
			Reason: "the stamp of release media has the date of the build; what the system is stands in /etc/alpine-release",
			Remove: []string{".alpine-release"},
		},
		{
			Name:   "font-cache",
			Reason: "the caches of fonts have times of the build, and are made anew when they are missed",
			Remove: []string{"var/cache/fontconfig/*"},
		},
	}
}

// sortWorld sorts the lines of etc/apk/world.
func sortWorld(text []byte) []byte {
	words := strings.Fields(string(text))
	slices.SortFunc(words, compareNames)
	return []byte(strings.Join(slices.Compact(words), "\n") + "\n")
}

// clampScripts sets times in the archive of scripts to the epoch where they
// are later.
func clampScripts(_ string, archive []byte, epoch time.Time) ([]byte, error) {
	out := bytes.Clone(archive)
	for at := 0; at+tarBlock <= len(out); {
		h := out[at : at+tarBlock]
		if h[0] == 0 {
			break
		}
		size, err1 := octal(h[124:136])
		when, err2 := octal(h[tarTime:tarTimeEnd])
		if err1 != nil || err2 != nil || size > int64(len(out)) {
			return nil, fmt.Errorf("the header at byte %d is none of an archive of scripts", at)
		}
		if when > epoch.Unix() {
			copy(h[tarTime:tarTimeEnd], fmt.Sprintf("%012o", epoch.Unix()))
			sumHeader(h)
		}
		at += tarBlock + (int(size)+tarBlock-1)&^(tarBlock-1)
	}
	return out, nil
}

// octal reads a number of a tar header.
func octal(field []byte) (int64, error) {
	return strconv.ParseInt(string(bytes.Trim(field, " \x00")), 8, 64)
}
