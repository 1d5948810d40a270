package mirror

import "sync"

// A crew is the goroutines that a Mirror waits for when it is closed. What a
// request begins that outlives the Mirror is waited for by nobody: it has a
// context that is done, and ends.
type crew struct {
	mu        sync.Mutex
	dismissed bool
	members   sync.WaitGroup
}

// Go runs f beside the caller.
func (c *crew) Go(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dismissed {
		go f()
		return
	}
	c.members.Go(f)
}

// Wait waits for all that has begun before.
func (c *crew) Wait() {
	c.mu.Lock()
	c.dismissed = true
	c.mu.Unlock()
	c.members.Wait()
}
