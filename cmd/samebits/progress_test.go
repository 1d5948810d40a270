package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// Many files at once, while the bars are drawn again and again and something
// is said above them: nobody may wait for somebody who waits for them.
func TestBarsDoNotBlock(t *testing.T) {
	p, _, _ := testProgram()
	p.stderr = io.Discard
	s := &session{program: p, terminal: true, lines: io.Discard, said: map[string]bool{}}
	const files = 16 * 1000 // for longer than several drawings
	bar := s.startProgress(files)
	events := bar.events()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		var wg sync.WaitGroup
		for worker := range 16 {
			wg.Go(func() {
				for i := range files / 16 {
					path := fmt.Sprintf("pool/%d-%d", worker, i)
					e := lockfile.Entry{Path: path, Digest: lockfile.DigestOf([]byte(path))}
					events.Start(e, 0, barFrom)
					events.Bytes(e, barFrom)
					time.Sleep(time.Millisecond)
					if i%100 == 3 {
						s.warn("%s failed", path)
						events.Done(e, "", errors.New("failed"))
					} else {
						events.Done(e, "x", nil)
					}
				}
			})
		}
		wg.Wait()
		bar.end()
	}()
	select {
	case <-finished:
	case <-time.After(30 * time.Second):
		t.Fatal("the bars and the workers wait for each other")
	}
	if bar.done != files || bar.bytes.Load() != files*barFrom {
		t.Errorf("counted %d files, %d bytes", bar.done, bar.bytes.Load())
	}
}
