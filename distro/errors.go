package distro

import (
	"fmt"
	"strings"
)

// A StateError says that a root is not in the state that its lock describes.
type StateError struct {
	Root string
	// Differences has a sentence for each package that is not as locked.
	Differences []string
}

// Error lists the differences, a line each.
func (e *StateError) Error() string {
	return fmt.Sprintf("%s is not in the locked state:\n  %s", e.Root, strings.Join(e.Differences, "\n  "))
}

// A MismatchError says that a lock cannot be installed into a root because it
// was taken from another kind of system.
type MismatchError struct {
	Root       string
	Lock, Have string // such as "debian 12 amd64"
}

// Error names both systems.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("the lock is for %s, but %s has %s", e.Lock, e.Root, e.Have)
}
