package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// minIDs is how many subordinate ids a user needs: those up to nobody's.
const minIDs = 65534

// Enter runs this program again, with the same arguments and files, as root of
// a user namespace with the user's subordinate ids (subuid(5), subgid(5)), and
// returns its exit code. For root it does nothing, and ran is false.
func Enter() (ran bool, code int, err error) {
	if os.Geteuid() == 0 {
		return false, 0, nil
	}
	uids, err := subordinate("/etc/subuid", os.Getuid())
	if err != nil {
		return false, 0, err
	}
	gids, err := subordinate("/etc/subgid", os.Getgid())
	if err != nil {
		return false, 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait, release, err := os.Pipe()
	if err != nil {
		return false, 0, err
	}
	defer release.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{enterName}, os.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	if err = errors.Join(explain(err), wait.Close()); err != nil {
		return false, 0, err
	}
	err = errors.Join(mapIDs("newuidmap", cmd.Process.Pid, uids), mapIDs("newgidmap", cmd.Process.Pid, gids))
	if err != nil {
		return false, 0, errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	// A terminal's signals reach the other process too; it decides.
	signal.Ignore(unix.SIGINT, unix.SIGQUIT)
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, unix.SIGTERM, unix.SIGHUP)
	go func() {
		for s := range terminated {
			_ = cmd.Process.Signal(s)
		}
	}()
	if _, err := release.Write([]byte{1}); err != nil {
		return false, 0, errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return true, exit.ExitCode(), nil
	}
	return true, 0, err
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// entered waits for the ids to be mapped, and becomes the program again, now
// with root's capabilities in the namespace.
func entered() {
	if n, err := io.ReadFull(os.NewFile(ordersFile, "wait"), make([]byte, 1)); n != 1 {
		fmt.Fprintln(os.Stderr, "the user namespace was not set up:", err)
		os.Exit(1)
	}
	_ = unix.Close(ordersFile)
	err := unix.Exec("/proc/self/exe", os.Args[1:], os.Environ())
	fmt.Fprintln(os.Stderr, "start in the user namespace:", err)
	os.Exit(1)
}

// idRange is a part of a mapping of ids.
type idRange struct{ inside, outside, size int64 }

// subordinate maps 0 to the user's own id and the ids above to those that the
// file gives to the user.
func subordinate(file string, own int) ([]idRange, error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	names := []string{strconv.Itoa(os.Getuid())}
	if u, err := user.LookupId(names[0]); err == nil {
		names = append(names, u.Username)
	}
	ranges := parseSubordinate(string(data), names)
	out, next := []idRange{{0, int64(uint32(own)), 1}}, int64(1)
	for _, r := range ranges {
		out = append(out, idRange{next, r.outside, r.size})
		next += r.size
	}
	if next < minIDs {
		return nil, fmt.Errorf("%s gives %s %d subordinate ids, and files of system users need %d; as root, run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
			file, names[len(names)-1], next-1, minIDs, names[len(names)-1])
	}
	return out, nil
}

// parseSubordinate reads the lines of subuid(5) that are for one of the names.
func parseSubordinate(data string, names []string) []idRange {
	const most = 1 << 32
	var out []idRange
	for line := range strings.Lines(data) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		size, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 != nil || err2 != nil || size == 0 || first+size > most {
			continue
		}
		for _, n := range names {
			if f[0] == n {
				out = append(out, idRange{0, int64(first), int64(size)})
				break
			}
		}
	}
	return out
}

// mapIDs maps with the helper that may do that for ordinary users.
func mapIDs(helper string, pid int, ranges []idRange) error {
	path, err := exec.LookPath(helper)
	if err != nil {
		return fmt.Errorf("%s is not here; install the package uidmap (shadow, shadow-utils)", helper)
	}
	args := []string{strconv.Itoa(pid)}
	for _, r := range ranges {
		args = append(args, strconv.FormatInt(r.inside, 10), strconv.FormatInt(r.outside, 10), strconv.FormatInt(r.size, 10))
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", helper, err, strings.TrimSpace(string(out)))
	}
	return nil
}
