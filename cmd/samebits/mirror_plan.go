package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// systemMirrorConfig is the configuration of the machine's mirror.
const systemMirrorConfig = "/etc/samebits/mirror.yaml"

// A mirrorPlan is all that a mirror is run with.
type mirrorPlan struct {
	file      string // empty where there is none
	listen    []string
	tls       *certificate // nil for none
	mirror    mirror.Config
	limits    mirror.Limits
	freeze    time.Duration
	unchecked []string // prefixes of upstreams whose signatures nobody checks
}

// readPlan reads the configuration that the flags name and makes a plan of it.
func (s *session) readPlan() (*mirrorPlan, error) {
	name, f := s.String("config"), &mirrorFile{}
	if name == "" {
		if _, err := os.Stat(systemMirrorConfig); err == nil {
			name = systemMirrorConfig
		}
	}
	if name != "" {
		var err error
		if f, err = readMirrorFile(name); err != nil {
			return nil, err
		}
	}
	return s.planMirror(f, name)
}

// planMirror makes a plan of a configuration, and reads what that names.
func (s *session) planMirror(f *mirrorFile, name string) (*mirrorPlan, error) {
	p := &mirrorPlan{file: name, freeze: time.Duration(f.Freeze)}
	if p.listen = s.StringSlice("listen"); len(p.listen) == 0 {
		for _, a := range f.Listen {
			p.listen = append(p.listen, string(a))
		}
	}
	if len(p.listen) == 0 {
		p.listen = []string{defaultListen}
	}
	for _, a := range p.listen {
		if err := checkListen(a); err != nil {
			return nil, s.usagef("--listen: %v", err)
		}
	}
	p.limits = mirror.Limits{HeaderBytes: int(min(f.Limits.HeaderBytes, 1<<24)), HeaderTime: time.Duration(f.Limits.HeaderTime),
		IdleTime: time.Duration(f.Limits.IdleTime), Connections: int(f.Limits.Connections)}
	p.mirror = mirror.Config{Fresh: time.Duration(f.Fresh), Patience: time.Duration(f.Limits.Patience), Parallel: int(f.Limits.Parallel),
		MaxFile: int64(f.Limits.FileSize), Budget: int64(f.Budget), Offline: f.Offline || s.Bool("offline")}
	var err error
	if f.TLS != nil {
		if p.tls, err = newCertificate(string(f.TLS.Certificate), string(f.TLS.Key)); err != nil {
			return nil, err
		}
	}
	if err := s.planPlaces(p, f); err != nil {
		return nil, err
	}
	if err := p.readTokens(f.Tokens); err != nil {
		return nil, err
	}
	sys := s.mirrorSystem()
	if err := s.planUpstreams(p, f, sys); err != nil {
		return nil, err
	}
	s.planClient(p, sys)
	if err := s.planStore(p, f); err != nil {
		return nil, err
	}
	return p, p.mirror.Check()
}

// planPlaces says where things are kept.
func (s *session) planPlaces(p *mirrorPlan, f *mirrorFile) (err error) {
	p.mirror.Cache, p.mirror.State = string(f.Cache), string(f.State)
	if s.String("cache") != "" || p.mirror.Cache == "" {
		if p.mirror.Cache, err = s.cacheDir(); err != nil {
			return err
		}
	}
	if s.String("state") != "" {
		p.mirror.State = s.String("state")
	}
	if p.mirror.State == "" {
		p.mirror.State, err = s.mirrorState()
	}
	if err == nil {
		p.mirror.Cache, err = filepath.Abs(p.mirror.Cache)
	}
	if err == nil {
		p.mirror.State, err = filepath.Abs(p.mirror.State)
	}
	return err
}

// mirrorState is where a mirror keeps its state that is told nothing: as
// systemd says, root's place, or the user's.
func (s *session) mirrorState() (string, error) {
	if dir, _, _ := strings.Cut(s.getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mirror"), nil
	}
	if dir := s.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "samebits", "mirror"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/samebits/mirror", nil
	}
	if home := s.getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "samebits", "mirror"), nil
	}
	return "", errors.New("there is no place for the mirror's state: set --state, or state in its configuration")
}

func (p *mirrorPlan) readTokens(t mirrorTokens) error {
	p.mirror.ReadTokens, p.mirror.AdminToken = slices.Clone(t.Read), t.Admin
	for _, name := range t.ReadFiles {
		token, err := readToken(string(name))
		if err != nil {
			return err
		}
		p.mirror.ReadTokens = append(p.mirror.ReadTokens, token)
	}
	if t.AdminFile == "" {
		return nil
	}
	var err error
	p.mirror.AdminToken, err = readToken(string(t.AdminFile))
	return err
}

// readToken reads the one word of a file.
func readToken(name string) (string, error) {
	data, err := readSmall(name)
	if err != nil {
		return "", fmt.Errorf("read a token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the token in %s is not one word; make one with \"openssl rand -hex 20\"", name)
	}
	return token, nil
}

// mirrorSystem is the system that the mirror runs in, nil where it is of no
// known family.
func (s *session) mirrorSystem() distro.System {
	family, err := distro.Detect("/", families)
	if err != nil {
		return nil
	}
	sys, err := family.Open("/", &distro.Events{})
	if err != nil {
		s.detail("the configuration of this system is not used: %v", err)
		return nil
	}
	return sys
}

// planUpstreams adds the archives of the configuration, then the well-known
// ones; those that the system itself uses first ask where it asks.
func (s *session) planUpstreams(p *mirrorPlan, f *mirrorFile, sys distro.System) error {
	taken := map[string]bool{}
	for _, u := range f.Upstreams {
		up, err := u.open()
		if err != nil {
			return fmt.Errorf("upstream %q: %w", u.Prefix, err)
		}
		if len(u.Keys) == 0 && !u.Unsigned && !findFormat(string(u.Format)).knowsKeys {
			return fmt.Errorf("upstream %q: say which keys may sign it, or unsigned: true", u.Prefix)
		}
		if u.Unsigned {
			p.unchecked = append(p.unchecked, up.Prefix)
		}
		taken[up.Prefix] = true
		p.mirror.Upstreams = append(p.mirror.Upstreams, up)
	}
	if f.System != nil && !*f.System {
		if len(p.mirror.Upstreams) == 0 {
			return errors.New("there is nothing to mirror: system-upstreams is false, and no upstream is named")
		}
		return nil
	}
	own, system := p.ownMirrors(sys)
	for _, k := range knownArchives {
		if taken[k.prefix] || !k.of(system) {
			continue
		}
		up, err := k.open(own)
		if err != nil {
			return fmt.Errorf("upstream %q: %w", k.prefix, err)
		}
		if len(keyringFiles(k.keyrings)) == 0 && !findFormat(k.format).knowsKeys {
			p.unchecked = append(p.unchecked, k.prefix)
		}
		p.mirror.Upstreams = append(p.mirror.Upstreams, up)
	}
	return nil
}

// ownMirrors are the places that the system's own configuration names, without
// this mirror itself, and the system's ID.
func (p *mirrorPlan) ownMirrors(sys distro.System) (own []distro.Mirror, system string) {
	if sys == nil {
		return nil, ""
	}
	own = slices.DeleteFunc(slices.Clone(sys.Access().Mirrors), func(m distro.Mirror) bool {
		u, err := url.Parse(m.URL)
		return m.Keeper || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || strings.Contains(m.URL, "{{") || p.isSelf(u)
	})
	return own, sys.ID().Distro
}

// isSelf reports whether a URL is one of this mirror on this machine.
func (p *mirrorPlan) isSelf(u *url.URL) bool {
	for _, l := range p.listen {
		host, port, err := net.SplitHostPort(l)
		if err != nil || u.Port() != port {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == host || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return true
		}
	}
	return false
}

func (u *mirrorUpstream) open() (mirror.Upstream, error) {
	up := mirror.Upstream{Prefix: string(u.Prefix)}
	for _, a := range u.URLs {
		up.URLs = append(up.URLs, strings.TrimSuffix(string(a), "/"))
	}
	for _, a := range u.Aliases {
		up.Aliases = append(up.Aliases, strings.TrimSuffix(string(a), "/"))
	}
	var keys []string
	for _, k := range u.Keys {
		keys = append(keys, string(k))
	}
	var err error
	up.Format, err = findFormat(string(u.Format)).open(formatOptions{keyrings: keys, required: !u.Unsigned, architectures: u.Architectures, components: u.Components})
	return up, err
}

// open makes an upstream of a well-known archive. What a system's
// configuration names is a mirror of it if it is of the archive's name in
// locks or, where that is for the archive to say, ends as the prefix.
func (k knownArchive) open(own []distro.Mirror) (mirror.Upstream, error) {
	up := mirror.Upstream{Prefix: k.prefix}
	for _, m := range own {
		u, err := url.Parse(m.URL)
		is := k.archive != "" && m.Archive == k.archive
		if k.archive == "" {
			is = err == nil && path.Base(u.Path) == k.prefix && lockfile.CheckPath(strings.Trim(u.Path, "/")) == nil
		}
		if is && !slices.Contains(up.URLs, m.URL) {
			up.URLs = append(up.URLs, m.URL)
		}
	}
	for _, raw := range k.urls {
		if !slices.Contains(up.URLs, raw) {
			up.URLs = append(up.URLs, raw)
		}
	}
	var err error
	up.Format, err = findFormat(k.format).open(formatOptions{keyrings: keyringFiles(k.keyrings), architectures: []string{debianArchitecture()}, components: k.components, archive: k.archive})
	return up, err
}

// planClient has the mirror reach upstreams as the system itself would.
func (s *session) planClient(p *mirrorPlan, sys distro.System) {
	var access distro.Access
	if sys != nil {
		access = sys.Access()
	}
	if proxy := access.Proxy; proxy != nil {
		// A system that uses this mirror as its proxy must not have the mirror
		// ask itself.
		access.Proxy = func(u *url.URL) (*url.URL, bool) {
			found, ok := proxy(u)
			if ok && found != nil && slices.Contains(p.listen, found.Host) {
				return nil, true
			}
			return found, ok
		}
	}
	p.mirror.Client = s.client(access)
	logins := s.netrc()
	p.mirror.Login = func(u *url.URL) (web.Login, bool) {
		if access.Login != nil {
			if l, ok := access.Login(u); ok {
				password, _ := l.Password()
				return web.Login{User: l.Username(), Password: password}, true
			}
		}
		return logins.find(u.Hostname())
	}
}
