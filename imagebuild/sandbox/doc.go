// Package sandbox runs the commands of packages (maintainer scripts, triggers,
// hooks) inside a root file system, apart from the host: in user, mount, PID,
// IPC, UTS, network and cgroup namespaces of their own, with no network, a
// fixed host name, a scrubbed environment, one CPU, and a /dev, /proc and /sys
// in which nothing of the host is to be seen. When the command ends, all that
// it started ends with it.
//
// There is always a user namespace, also for root, so that scripts have no
// privilege outside and behave the same whoever builds: they cannot make
// device nodes or mount anything. [Enter] makes an ordinary user the root of a
// namespace with that user's subordinate ids.
//
// Programs of another architecture run by the host's qemu-user, which is told
// to the kernel for the namespaces alone: since Linux 6.7 they have binfmt
// handlers of their own, and none of the host's.
//
// The package refuses to decide what to run and what the environment holds; it
// adds nothing to what it is given. It does not protect the root itself from
// the scripts that run in it.
//
// Programs that use it call [Init] first thing in main, since the namespaces
// are entered by starting the program again.
package sandbox
