package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

// maxAnswer bounds an answer of a mirror's API, in bytes.
const maxAnswer = 64 << 20

func (p *program) mirrorStatus() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "tell what a running mirror has and does",
		ArgsUsage:   "[URL]",
		Description: "Asks the mirror at URL, or the one that SAMEBITS_MIRROR or a configuration file names, or http://" + defaultListen + ". Where an archive's newest state could not be had, the exit code is 3.\n\nExamples:\n  samebits mirror status\n  samebits mirror status --json http://mirror.example:3142",
		Flags:       []cli.Flag{jsonFlag(), adminTokenFlag(), cacheFlag()},
		Action:      p.verb((*session).mirrorStatus),
	}
}

func (p *program) mirrorSnapshot() *cli.Command {
	return &cli.Command{
		Name:        "snapshot",
		Usage:       "freeze the state of all archives on a mirror",
		ArgsUsage:   "[URL]",
		Description: "Has the mirror keep the current state of each archive for ever, below /snapshot/TIMESTAMP/, and prints the timestamp. \"mirror warm\" fetches what the state names. It wants the admin token.\n\nExamples:\n  samebits mirror snapshot\n  samebits mirror snapshot --token-file /etc/samebits/admin-token http://mirror.example:3142",
		Flags:       []cli.Flag{adminTokenFlag(), cacheFlag()},
		Action:      p.verb((*session).mirrorSnapshot),
	}
}

func (p *program) mirrorWarm() *cli.Command {
	return &cli.Command{
		Name:        "warm",
		Usage:       "fetch what a snapshot or a lock names into a mirror",
		Description: "With --lock the mirror fetches all files of a lock from its archives. With --snapshot it fetches all packages of a frozen state, of the given archives, architectures and components. It returns when all are there, and wants the admin token. What cannot be had is told, and does not stop the rest.\n\nExamples:\n  samebits mirror warm --lock SHA256SUMS\n  samebits mirror warm --snapshot 20261121T033000Z --archive debian --arch amd64 --component main",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "lock", Usage: "fetch what the lock `FILE` names"},
			&cli.StringFlag{Name: "snapshot", Usage: "fetch what was frozen at `TIMESTAMP`"},
			&cli.StringSliceFlag{Name: "archive", Usage: "only packages of the archive with the prefix `PREFIX`; may be repeated"},
			&cli.StringSliceFlag{Name: "arch", Usage: "only packages for `ARCH`; may be repeated"},
			&cli.StringSliceFlag{Name: "component", Usage: "only packages of `COMPONENT`; may be repeated"},
			urlFlag(), adminTokenFlag(), cacheFlag(),
		},
		Action: p.verb((*session).mirrorWarm),
	}
}

func (p *program) mirrorPin() *cli.Command {
	return &cli.Command{
		Name:        "pin",
		Usage:       "have a mirror keep what a lock names",
		ArgsUsage:   "[NAME] LOCK",
		Description: "What a pinned lock names outlives every eviction. The pin has the name of the file where none is given, and replaces one of the same name. It wants the admin token; \"mirror warm --lock\" fetches what is not there yet.\n\nExamples:\n  samebits mirror pin web SHA256SUMS",
		Flags:       []cli.Flag{urlFlag(), adminTokenFlag(), cacheFlag()},
		Action:      p.verb((*session).mirrorPin),
	}
}

func (p *program) mirrorUnpin() *cli.Command {
	return &cli.Command{
		Name:        "unpin",
		Usage:       "take a pin from a mirror",
		ArgsUsage:   "NAME",
		Description: "What only this pin kept may be evicted then. It wants the admin token.\n\nExamples:\n  samebits mirror unpin web",
		Flags:       []cli.Flag{urlFlag(), adminTokenFlag(), cacheFlag()},
		Action:      p.verb((*session).mirrorUnpin),
	}
}

// A remoteMirror is a running mirror that is asked over HTTP.
type remoteMirror struct {
	base   *url.URL
	token  string
	client *http.Client
}

// remote finds the mirror that is meant: the given URL, SAMEBITS_MIRROR, that
// of a configuration file, or the one that runs here with no configuration.
func (s *session) remote(given string) (*remoteMirror, error) {
	where, _ := s.teamMirror()
	if given == "" {
		given = where
	}
	if given == "" {
		given = "http://" + defaultListen
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, s.usagef("%q is not the URL of a mirror, such as http://mirror.example:3142", withoutLogin(given))
	}
	r := &remoteMirror{base: u, client: &http.Client{
		Transport: s.client(distro.Access{}).Transport(),
		// The token is for this host alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.token, err = s.mirrorToken(u)
	u.User = nil
	return r, err
}

// mirrorToken is the token for a mirror: of --token-file,
// SAMEBITS_MIRROR_TOKEN, the URL or netrc.
func (s *session) mirrorToken(u *url.URL) (string, error) {
	if name := s.String("token-file"); name != "" {
		return readToken(name)
	}
	if token := s.getenv("SAMEBITS_MIRROR_TOKEN"); token != "" {
		return token, nil
	}
	if password, ok := u.User.Password(); ok {
		return password, nil
	}
	if l, ok := s.netrc().find(u.Hostname()); ok {
		return l.Password, nil
	}
	return "", nil
}

// ask sends a request to the mirror's API and reads the answer into to.
func (r *remoteMirror) ask(ctx context.Context, method, api string, query url.Values, body []byte, to any) error {
	u := *r.base
	u.Path = path.Join("/", u.Path, "api", api)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var whole *url.Error
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return fmt.Errorf("no mirror answers at %s: %w; \"samebits mirror serve\" starts one, and SAMEBITS_MIRROR says where it is", r.base.Redacted(), err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of the mirror at %s: %w", r.base, err)
	case len(data) > maxAnswer:
		return fmt.Errorf("the answer of the mirror at %s has more than %s", r.base, size(maxAnswer))
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return r.refused(method)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the mirror at %s answers: %s", r.base, answerText(resp, data))
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("what answers at %s is no mirror of samebits: %w", r.base, err)
	}
	return nil
}

func (r *remoteMirror) refused(method string) error {
	kind := "its admin token"
	if method == http.MethodGet {
		kind = "a token"
	}
	how := fmt.Sprintf("give it with --token-file, in SAMEBITS_MIRROR_TOKEN or in netrc as the password for %s", r.base.Hostname())
	if r.token != "" {
		how = "the one that was given is another"
	}
	if method != http.MethodGet {
		how += `; a mirror whose configuration has no admin token refuses all ("tokens" in "samebits mirror config --example")`
	}
	return fmt.Errorf("the mirror at %s wants %s: %s", r.base, kind, how)
}

// answerText is what a mirror says of a request that it did not grant.
func answerText(resp *http.Response, data []byte) string {
	text := strings.TrimSpace(string(data[:min(len(data), 2000)]))
	if text == "" || strings.Contains(text, "<html") {
		return resp.Status
	}
	return text
}

func (s *session) mirrorStatus() error {
	r, err := s.remote(s.Args().First())
	if err != nil {
		return err
	}
	var status mirror.Status
	if err := r.ask(s.ctx, http.MethodGet, "status", nil, nil, &status); err != nil {
		return err
	}
	if s.Bool("json") {
		err = s.writeJSON(status)
	} else {
		err = s.writeOutput("-", []byte(printable(statusText(status, time.Now()))))
	}
	if err != nil {
		return err
	}
	failing := 0
	for _, u := range status.Upstreams {
		for _, root := range u.Roots {
			if root.Error != "" {
				failing++
			}
		}
	}
	if failing > 0 {
		return missingf("the newest state of %s could not be had; the last good one is served", count(failing, "archive"))
	}
	return nil
}

// statusText is a status for a person.
func statusText(st mirror.Status, now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, u := range st.Upstreams {
		if len(u.Roots) == 0 {
			fmt.Fprintf(w, "/%s/\tnobody has asked for it yet\n", u.Prefix)
		}
		for _, root := range u.Roots {
			checked, signed := "not checked since the start", "signed"
			if !root.Checked.IsZero() {
				checked = "checked " + took(now.Sub(root.Checked)) + " ago"
			}
			if !root.Signed {
				signed = "signature not checked"
			}
			fmt.Fprintf(w, "/%s/%s\tof %s\t%s\t%s\n", u.Prefix, root.Path, root.Date.UTC().Format("2006-01-02 15:04"), checked, signed)
			if root.Error != "" {
				fmt.Fprintf(w, "  failed: %s\n", root.Error)
			}
		}
	}
	w.Flush()
	m := st.Metrics
	fmt.Fprintf(&b, "\nrequests  %d: %d from the store, %d fetched, %d not modified, %d passed through, %d refused\n", m.Requests, m.Hits, m.Misses, m.NotModified, m.Passed, m.Refused)
	fmt.Fprintf(&b, "bytes     %s served, %s fetched\n", size(m.BytesServed), size(m.BytesFetched))
	fmt.Fprintf(&b, "upstream  %s, %d failed, %s\n", count(int(m.UpstreamGets), "request"), m.UpstreamFails, count(int(m.BadFiles), "bad file"))
	if len(st.Changes) > 0 {
		b.WriteString("ATTENTION the archive showed another file for the same version; it may be an attack:\n")
	}
	for _, c := range st.Changes {
		fmt.Fprintf(&b, "  %s  %s %s %s of /%s/: %s, and before %s\n", c.First.UTC().Format("2006-01-02 15:04"), c.Name, c.Version, c.Arch, c.Prefix, c.Digest, c.Before)
	}
	if n := len(st.Snapshots); n > 0 {
		fmt.Fprintf(&b, "snapshots %d, the last %s\n", n, st.Snapshots[n-1])
	}
	if len(st.Pins) > 0 {
		fmt.Fprintf(&b, "pins      %s\n", strings.Join(st.Pins, ", "))
	}
	b.WriteString(storeText(st.Store, now))
	if st.Offline {
		b.WriteString("offline: no upstream is asked\n")
	}
	return b.String()
}

func (s *session) mirrorSnapshot() error {
	r, err := s.remote(s.Args().First())
	if err != nil {
		return err
	}
	var snap mirror.Snapshot
	if err := r.ask(s.ctx, http.MethodPost, "snapshot", nil, nil, &snap); err != nil {
		return err
	}
	name := snap.Time.UTC().Format("20060102T150405Z")
	s.say("%s frozen; %s/snapshot/%s/ serves them, and \"samebits mirror warm --snapshot %s\" fetches what they name", count(len(snap.Sets), "state"), r.base, name, name)
	return s.writeOutput("-", []byte(name+"\n"))
}

func (s *session) mirrorWarm() error {
	if (s.String("lock") == "") == (s.String("snapshot") == "") {
		return s.usagef("one of --lock and --snapshot is wanted")
	}
	query, body := url.Values{}, []byte(nil)
	if name := s.String("lock"); name != "" {
		var err error
		if body, err = s.lockText(name); err != nil {
			return err
		}
	} else {
		query.Set("snapshot", s.String("snapshot"))
		query["archive"], query["arch"], query["component"] = s.StringSlice("archive"), s.StringSlice("arch"), s.StringSlice("component")
	}
	r, err := s.remote(s.String("url"))
	if err != nil {
		return err
	}
	var done mirror.Warming
	if err := r.ask(s.ctx, http.MethodPost, "warm", query, body, &done); err != nil {
		return err
	}
	s.say("%s on the mirror, %d of them fetched now (%s)", count(int(done.Files), "file"), done.Fetched, size(done.Bytes))
	for _, text := range done.Errors {
		s.warn("%s", text)
	}
	if done.Failed > 0 {
		return missingf("%s could not be had", count(int(done.Failed), "file"))
	}
	return nil
}

// lockText reads a lock and writes it as it is canonical.
func (s *session) lockText(name string) ([]byte, error) {
	l, err := s.readLock(name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = l.WriteTo(&b)
	return b.Bytes(), err
}

func (s *session) mirrorPin() error {
	args := s.Args().Slice()
	if len(args) == 0 {
		return s.usagef("LOCK is missing")
	}
	name, file := path.Base(args[len(args)-1]), args[len(args)-1]
	if len(args) == 2 {
		name = args[0]
	}
	if name == "-" || lockfile.CheckPath(name) != nil || strings.Contains(name, "/") {
		return s.usagef("%q cannot be the name of a pin; give a NAME before the lock", name)
	}
	body, err := s.lockText(file)
	if err != nil {
		return err
	}
	r, err := s.remote(s.String("url"))
	if err != nil {
		return err
	}
	var nothing any
	if err := r.ask(s.ctx, http.MethodPut, "pins/"+name, nil, body, &nothing); err != nil {
		return err
	}
	s.say("%s is pinned on %s", name, r.base)
	return nil
}

func (s *session) mirrorUnpin() error {
	name := s.Args().First()
	if lockfile.CheckPath(name) != nil || strings.Contains(name, "/") {
		return s.usagef("%q is not the name of a pin", name)
	}
	r, err := s.remote(s.String("url"))
	if err != nil {
		return err
	}
	var nothing any
	if err := r.ask(s.ctx, http.MethodDelete, "pins/"+name, nil, nil, &nothing); err != nil {
		return err
	}
	s.say("%s is no longer pinned on %s", name, r.base)
	return nil
}
