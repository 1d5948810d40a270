package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// listen opens what the mirror listens on: the sockets that systemd passes
// (sd_listen_fds(3)), else those of the plan.
func (r *runner) listen(plan *mirrorPlan) (out []net.Listener, err error) {
	if passed, err := passedListeners(r.session.getenv); len(passed) > 0 || err != nil {
		return passed, err
	}
	for _, address := range plan.listen {
		network := "tcp"
		if name, ok := strings.CutPrefix(address, "unix:"); ok {
			network, address = "unix", name
			// A socket that a killed mirror left behind is in the way.
			if c, err := net.Dial("unix", name); err == nil {
				c.Close()
			} else if info, err := os.Lstat(name); err == nil && info.Mode().Type() == os.ModeSocket {
				os.Remove(name)
			}
		}
		l, err := net.Listen(network, address)
		if errors.Is(err, unix.EADDRINUSE) {
			err = fmt.Errorf("%w; is another mirror, or apt-cacher-ng, running? --listen names another address", err)
		}
		if err != nil {
			return nil, errors.Join(err, closeAll(out))
		}
		out = append(out, l)
	}
	return out, nil
}

func passedListeners(getenv func(string) string) (out []net.Listener, err error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 100 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is no number of sockets", getenv("LISTEN_FDS"))
	}
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd))
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a socket of systemd: %w", err), closeAll(out))
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// notify tells systemd how the mirror is (sd_notify(3)), where it asks for it.
func (r *runner) notify(state string) {
	name := r.session.getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		r.log.Warn("tell systemd", "state", state, "error", err)
	}
}

// monotonic is the time that systemd compares by, in microseconds.
func monotonic() string {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return strconv.FormatInt(t.Nano()/1000, 10)
}

// A certificate is one of files that may change while it is in use.
type certificate struct {
	mu        sync.Mutex
	cert, key string
	current   *tls.Certificate
	stamp     [2]time.Time // when the files were changed
	looked    time.Time
}

func newCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	return c, c.load()
}

func (c *certificate) stamps() (out [2]time.Time) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			out[i] = info.ModTime()
		}
	}
	return out
}

func (c *certificate) load() error {
	stamp := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("the certificate of the mirror: %w", err)
	}
	c.current, c.stamp = &pair, stamp
	return nil
}

// get is asked for every connection and looks at the files once a second. What
// cannot be read then, since it is half written, is read the next time.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > time.Second {
		c.looked = now
		if c.stamps() != c.stamp {
			_ = c.load()
		}
	}
	return c.current, nil
}

// replace has c use the files of another.
func (c *certificate) replace(by *certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert, c.key, c.current, c.stamp = by.cert, by.key, by.current, by.stamp
}

func (c *certificate) listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
}
