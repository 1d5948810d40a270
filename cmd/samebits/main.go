// Command samebits locks the packages of an installed Linux system, and gives
// the same bits to everyone who has the lock.
//
// It is where the packages of this module are wired together: each verb is a
// file, and reads its flags, calls what does the work and tells the outcome.
// All printing, the environment and the exit codes are here and nowhere else.
// It refuses to hold any knowledge of distributions, sources or formats.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/samebits/samebits/imagebuild/sandbox"
)

func main() {
	sandbox.Init()
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(&signalError{<-signals})
		// A second signal ends the process at once, as the system does it.
		// One that comes with the first is the same: a terminal, timeout(1)
		// and others send it to a process and again to its group.
		time.Sleep(time.Second)
		signal.Stop(signals)
	}()
	if os.Getenv("GOGC") == "" {
		// Verbs are short and keep little: collecting less often is worth
		// the memory.
		debug.SetGCPercent(400)
	}
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	os.Exit(p.run(ctx, os.Args[1:]))
}
