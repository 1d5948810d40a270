package arch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/distro/distrotest"
)

// A trial is a try of Resolve with a small mirror.
type trial struct {
	*world
	req      distro.ResolveRequest
	workshop *distrotest.Workshop
	step     distro.Step       // what pacman was called with
	files    map[string][]byte // that it had
}

func newTrial(t *testing.T, packages ...string) *trial {
	t.Helper()
	r := &trial{world: newWorld(t)}
	r.publish(
		pkg(t, "pacman", "7.0-1", "DEPENDS=libalpm.so>=15", "DEPENDS=bash", "DEPENDS=glibc"),
		pkg(t, "libalpm-real", "7.0-1", "PROVIDES=libalpm.so=15", "DEPENDS=pacman"),
		pkg(t, "glibc", "2.40-1"), pkg(t, "base", "3-2", "DEPENDS=glibc"),
		pkg(t, "hello", "1:2.12-1", "DEPENDS=glibc", "GROUPS=greeters"), pkg(t, "bash", "5-1"),
	)
	r.workshop = &distrotest.Workshop{Answer: func(files map[string][]byte, s distro.Step) (string, error) {
		r.step, r.files = s, files
		return "warning: chatter\nsamebits-would-install core hello 1:2.12-1\nsamebits-would-install core glibc 2.40-1\n", nil
	}}
	r.req = distro.ResolveRequest{
		Distro: "arch", Components: []string{"core"}, Host: "amd64", Packages: packages, Mirrors: []string{r.url},
		Keyrings: map[string][]byte{"t.gpg": packagerKey().public(t)}, Dir: t.TempDir(),
		Fetcher: r.fetch, Identifier: r.fetch, Workshop: r.workshop,
	}
	return r
}

// publish puts packages and the database of them onto the mirror.
func (r *trial) publish(packages ...*made) {
	r.serve("core/os/x86_64/core.db", databaseOf(r.t, packages...))
	for _, m := range packages {
		r.serve("core/os/x86_64/"+m.file(), m.data)
	}
}

func (r *trial) resolve(t *testing.T) (*distro.Located, error) {
	return Distro{}.Resolve(t.Context(), r.req)
}

func TestResolve(t *testing.T) {
	r := newTrial(t, "hello")
	got, err := r.resolve(t)
	if err != nil {
		t.Fatal(err)
	}
	want := "#: distro arch - x86_64\n#: date 2023-11-14T22:15:00Z\n#: archive Arch-Linux\n"
	text := string(got.Lock.Format())
	if !strings.Contains(text, want) || len(got.Lock.Entries) != 2 || got.Lock.Entries[0].Unsigned ||
		got.Lock.Entries[0].Path != "core/os/x86_64/glibc-2.40-1-any.pkg.tar.gz" || got.Lock.Entries[1].Path != "core/os/x86_64/hello-1:2.12-1-any.pkg.tar.gz" {
		t.Errorf("%s", text)
	}
	var tools []string
	for _, e := range r.workshop.Laid[0].Entries {
		tools = append(tools, e.Base())
	}
	if s := strings.Join(tools, " "); s != "glibc-2.40-1-any.pkg.tar.gz libalpm-real-7.0-1-any.pkg.tar.gz pacman-7.0-1-any.pkg.tar.gz" || r.workshop.Open != 0 {
		t.Errorf("pacman was made of %s, %d roots left open", s, r.workshop.Open)
	}
	args := strings.Join(r.step.Args, " ")
	for _, want := range []string{"--print ", "--root /goal ", "--arch x86_64", "-- hello base"} {
		if !strings.Contains(args, want) {
			t.Errorf("pacman was called without %s: %s", want, args)
		}
	}
	served, err := os.ReadFile(filepath.Join(r.served, "core/os/x86_64/core.db"))
	if err != nil || !bytes.Equal(r.files["goal/var/lib/pacman/sync/core.db"], served) {
		t.Errorf("pacman had another database: %v", err)
	}
	asked := map[string]int{}
	for _, u := range r.fetch.Asked() {
		if asked[u]++; asked[u] > 1 {
			t.Errorf("%s was fetched again", u)
		}
	}
}

func TestResolveArguments(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*distro.ResolveRequest)
		want   string
	}{
		"a suite":        {func(r *distro.ResolveRequest) { r.Suites = []string{"x"} }, "no suites"},
		"bad arch":       {func(r *distro.ResolveRequest) { r.Arch = "a b" }, "no architecture"},
		"other arch":     {func(r *distro.ResolveRequest) { r.Arch = "arm64" }, "archarm"},
		"bad base":       {func(r *distro.ResolveRequest) { r.Base = "required" }, "none and base"},
		"bad repository": {func(r *distro.ResolveRequest) { r.Components = []string{"a]"} }, "no repository"},
		"options":        {func(r *distro.ResolveRequest) { r.Components = []string{"options"} }, "no repository"},
		"bad mirror":     {func(r *distro.ResolveRequest) { r.Mirrors = []string{"http://x/ y\n"} }, "no URL"},
		"no mirror":      {func(r *distro.ResolveRequest) { r.Distro, r.Mirrors = "artix", nil }, "--mirror"},
		"no repository":  {func(r *distro.ResolveRequest) { r.Distro, r.Components = "artix", nil }, "--components"},
		"no keys":        {func(r *distro.ResolveRequest) { r.Distro, r.Keyrings = "artix", nil }, "--keyring"},
		"no keyring":     {func(r *distro.ResolveRequest) { r.Keyrings = map[string][]byte{"x": nil} }, "NAME.gpg"},
		"bad keyring":    {func(r *distro.ResolveRequest) { r.Keyrings = map[string][]byte{"x.gpg": []byte("y")} }, "cannot be read"},
		"no snapshots": {func(r *distro.ResolveRequest) {
			r.Distro, r.Mirrors, r.Snapshot = "archarm", nil, time.Unix(1700000000, 0)
		}, "no archive of snapshots"},
		"an option": {func(r *distro.ResolveRequest) { r.Packages = []string{"--root"} }, "no package"},
		"a path":    {func(r *distro.ResolveRequest) { r.Packages = []string{"a/b/c"} }, "no package"},
		"nothing":   {func(r *distro.ResolveRequest) { r.Packages, r.Base = nil, "none" }, "nothing is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTrial(t, "hello")
			c.change(&r.req)
			_, err := r.resolve(t)
			var bad *distro.RequestError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	answer := func(text string, err error) func(*testing.T, *trial) {
		return func(_ *testing.T, r *trial) {
			r.workshop.Answer = func(map[string][]byte, distro.Step) (string, error) { return text, err }
		}
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, r *trial)
		want   string
	}{
		"a name that is nowhere": {func(_ *testing.T, r *trial) { r.req.Packages = []string{"greeters", "nowhere"} }, "has no package nowhere"},
		"a stranger's packages":  {func(t *testing.T, r *trial) { r.req.Keyrings = map[string][]byte{"t.gpg": strangerKey().public(t)} }, "pacman is not used"},
		"keys not built in":      {func(_ *testing.T, r *trial) { r.req.Keyrings = nil }, "pacman is not used"},
		"a changed package": {func(t *testing.T, r *trial) {
			m := pkg(t, "pacman", "7.0-1")
			r.serve("core/os/x86_64/"+m.file(), append(m.data, 0))
		}, "pacman is not used"},
		"no such repository":   {func(_ *testing.T, r *trial) { r.req.Components = []string{"core", "more"} }, "database of more"},
		"what pacman refuses":  {answer("error: unresolvable package conflicts\n:: a and b are in conflict\n", errors.New("exit code 1")), "a and b are in conflict"},
		"what is nowhere":      {answer("samebits-would-install core hello 9-9\n", nil), "does not have"},
		"what is elsewhere":    {answer("samebits-would-install extra hello 1:2.12-1\n", nil), "does not have"},
		"what cannot be read":  {answer("samebits-would-install core hello\n", nil), "cannot be read"},
		"an answer of nothing": {answer("there is nothing to do\n", nil), "names no package"},
		"what cannot run here": {answer("", fmt.Errorf("install qemu-user: %w", syscall.ENOEXEC)), "ask the pacman of Arch: install qemu-user"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTrial(t, "hello")
			c.change(t, r)
			_, err := r.resolve(t)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if r.workshop.Open != 0 {
				t.Error("a root is left open")
			}
		})
	}
}

func TestResolveServers(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	near := []distro.Mirror{{Archive: archLinux, URL: "http://mirror.example/arch"}, {Archive: "other", URL: "http://mirror.example/x"}}
	for _, c := range []struct {
		req  distro.ResolveRequest
		want string
	}{
		{distro.ResolveRequest{Distro: "arch", Near: near}, "http://mirror.example/arch/$repo/os/$arch https://geo.mirror.pkgbuild.com/$repo/os/$arch"},
		{distro.ResolveRequest{Distro: "arch", Near: near, Snapshot: at}, "https://archive.archlinux.org/repos/2024/01/02/$repo/os/$arch"},
		{distro.ResolveRequest{Distro: "arch", Near: near, Mirrors: []string{"http://a.example/arch/"}}, "http://a.example/arch/$repo/os/$arch"},
		{distro.ResolveRequest{Distro: "arch", Snapshot: at, Mirrors: []string{"http://a.example/{{.Timestamp}}/$arch/$repo"}}, "http://a.example/2024/01/02/$arch/$repo"},
		{distro.ResolveRequest{Distro: "archarm", Arch: "arm64"}, "http://mirror.archlinuxarm.org/$arch/$repo"},
	} {
		r, err := newResolution(c.req)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.servers(), " "); got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}

// realDatabase reads a real database of March 2026.
func realDatabase(t *testing.T) []pacman.Desc {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t, "local-2026-03-x86_64"), "var/lib/pacman/sync/core.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := pacman.ReadSync(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBuiltInKeysJudgeRealSignatures(t *testing.T) {
	r := &resolution{ResolveRequest: distro.ResolveRequest{Distro: "arch"}}
	files, err := r.keyFiles()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.Load(files)
	if err != nil || keys.Len() < 100 {
		t.Fatal(err)
	}
	n := 0
	for _, p := range realDatabase(t) {
		if _, err := keys.Inspect(p.Signature); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		n++
	}
	if n < 250 {
		t.Errorf("only %d signatures", n)
	}
}

// What pacman is made of is found in the real repository.
func TestClosureOfTheRealPacman(t *testing.T) {
	// What it has of extra, which the data does not.
	packages := append(realDatabase(t), pacman.Desc{Name: "lmdb", Version: "0.9.33-1", Arch: "x86_64"})
	s := &shop{sys: &System{}, catalog: &catalog{databases: []*database{{repo: &pacman.Repository{Name: "core"}, packages: packages}}}}
	got, err := s.closure("pacman")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range got {
		names[p.Name] = true
	}
	for _, want := range []string{"pacman", "glibc", "filesystem", "libarchive", "curl", "gpgme", "openssl", "libassuan", "zstd"} {
		if !names[want] {
			t.Errorf("%s is not in the closure", want)
		}
	}
	if names["bash"] || names["systemd"] || len(got) > 100 {
		t.Errorf("%d packages: %v", len(got), got)
	}
}

func FuzzParseAnswer(f *testing.F) {
	s := &shop{catalog: &catalog{databases: []*database{{repo: &pacman.Repository{Name: "core"}, packages: []pacman.Desc{
		{Name: "hello", Version: "1:2-1", Arch: "any"}, {Name: "glibc", Version: "2.40-1", Arch: "x86_64"},
	}}}}}
	f.Add("samebits-would-install core hello 1:2-1\n:: chatter\nsamebits-would-install core glibc 2.40-1\n")
	f.Add("samebits-would-install core hello\n")
	f.Fuzz(func(t *testing.T, text string) {
		packages, err := s.parseAnswer(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range packages {
			fmt.Fprintf(&again, "%s core %s %s\n", mark, p.Name, p.Version)
		}
		same, err := s.parseAnswer(again.String())
		if err != nil || len(same) != len(packages) || len(packages) > 2 {
			t.Errorf("%v, %v, %v", packages, same, err)
		}
	})
}
