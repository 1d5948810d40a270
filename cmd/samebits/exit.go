package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/samebits/samebits/distro"
)

// The exit codes. A run that a signal ended exits as shells expect it, with
// 128 and the signal's number.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitMissing = 3 // something is missing or does not match
)

// A usageError says that the command line cannot be understood.
type usageError struct {
	command string // the command that the help of helps
	reason  string
}

// Error is one short sentence, and where to read on.
func (e *usageError) Error() string {
	if e.command == "" { // what is wrong is in a file, not in the command
		return e.reason
	}
	return fmt.Sprintf("%s; run \"%s --help\"", e.reason, e.command)
}

// A missingError says that the work was done as far as it could be, but that
// something is missing or differs.
type missingError struct{ message string }

func (e *missingError) Error() string { return e.message }

func missingf(format string, args ...any) error {
	return &missingError{fmt.Sprintf(format, args...)}
}

// errDiffers exits as something that does not match, without a word: the
// output has said it already.
var errDiffers = &missingError{}

// An exitError has the exit code of another process, which has told all there
// is to tell.
type exitError struct{ code int }

func (e *exitError) Error() string { return "" }

// A signalError is why the context of an interrupted run is done.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "ended by " + e.signal.String() }

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	var missing *missingError
	var state *distro.StateError
	var ended *signalError
	var other *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &other):
		return other.code
	case errors.As(context.Cause(ctx), &ended):
		if number, ok := ended.signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
		return exitFailed
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &missing), errors.As(err, &state):
		return exitMissing
	}
	return exitFailed
}

// errorText is what a person reads of err; empty where all is said.
func errorText(ctx context.Context, err error) string {
	var ended *signalError
	switch {
	case err == nil:
		return ""
	case errors.As(context.Cause(ctx), &ended):
		return ended.Error() + "; what was fetched is kept"
	}
	return err.Error()
}
