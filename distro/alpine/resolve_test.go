package alpine

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
)

// A resolution is a try of Resolve with a small mirror.
type resolution struct {
	req    distro.ResolveRequest
	dir    string // of the packages
	signer *signer
	shop   *distrotest.Workshop
	fetch  *testFetcher
	step   distro.Step       // what apk was called with
	files  map[string][]byte // that it had
}

func newResolution(t *testing.T, packages ...string) *resolution {
	t.Helper()
	r := &resolution{dir: t.TempDir(), signer: newSigner(t, "t-1.rsa.pub"), fetch: newFetcher(t)}
	for _, p := range []struct{ name, version, info string }{
		{"apk-tools", "2.14.0-r5", "depend = so:libc.musl-x86_64.so.1\ndepend = !old\n"},
		{"musl", "1.2.4-r0", "provides = so:libc.musl-x86_64.so.1=1\n"},
		{"hello", "2.10-r0", "depend = musl\n"},
		{"alpine-release", "3.19.1-r0", ""}, {"busybox", "1.36.1-r15", ""},
	} {
		signedPackage(t, r.signer, r.dir, p.name, p.version, p.info, nil)
	}
	repository(t, r.signer, r.dir)
	url := mirror(t, map[string]string{"/v3.19/main/x86_64": r.dir})
	r.shop = &distrotest.Workshop{Answer: func(files map[string][]byte, s distro.Step) (string, error) {
		r.step, r.files = s, files
		return "(1/2) Installing musl (1.2.4-r0)\n( 2/2) Installing hello (2.10-r0)\nOK: 0 MiB in 0 packages\n", nil
	}}
	r.req = distro.ResolveRequest{
		Distro: "alpine", Suites: []string{"3.19"}, Components: []string{"main"}, Host: "amd64", Packages: packages, Mirrors: []string{url + "/"},
		Keyrings: map[string][]byte{r.signer.name: []byte(r.signer.public(t))}, Dir: t.TempDir(),
		Fetcher: r.fetch, Identifier: r.fetch, Workshop: r.shop,
	}
	return r
}

func (r *resolution) resolve(t *testing.T) (*distro.Located, error) {
	return Distro{}.Resolve(t.Context(), r.req)
}

func TestResolve(t *testing.T) {
	r := newResolution(t, "hello")
	got, err := r.resolve(t)
	if err != nil {
		t.Fatal(err)
	}
	if id := got.Lock.System.String(); id != "alpine 3.19.1 x86_64" {
		t.Errorf("the lock is of %s", id)
	}
	var paths []string
	for _, e := range got.Lock.Entries {
		paths = append(paths, e.Path)
	}
	if len(got.Lock.Missing) > 0 || strings.Join(paths, " ") != "x86_64/hello-2.10-r0.apk x86_64/musl-1.2.4-r0.apk" {
		t.Errorf("%v, missing %v", paths, got.Reasons)
	}
	var tools []string
	for _, e := range r.shop.Laid[0].Entries {
		tools = append(tools, e.Base())
	}
	if strings.Join(tools, " ") != "apk-tools-2.14.0-r5.apk musl-1.2.4-r0.apk" || r.shop.Open != 0 {
		t.Errorf("apk was made of %v, %d roots left open", tools, r.shop.Open)
	}
	args := strings.Join(r.step.Args, " ")
	for _, want := range []string{"--simulate", "--no-network", "--arch x86_64", "add hello alpine-release apk-tools busybox"} {
		if !strings.Contains(args, want) {
			t.Errorf("apk was called without %s: %s", want, args)
		}
	}
	if string(r.files["indexes/0/x86_64/APKINDEX.tar.gz"]) != read(t, filepath.Join(r.dir, "APKINDEX.tar.gz")) {
		t.Errorf("apk had other indexes: %v", slices.Sorted(maps.Keys(r.files)))
	}
	asked := map[string]int{}
	for _, u := range r.fetch.Asked() {
		asked[u]++
	}
	for u, n := range asked {
		if n > 1 {
			t.Errorf("%s was fetched %d times", u, n)
		}
	}
}

func TestResolveArguments(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*distro.ResolveRequest)
		want   string
	}{
		"no branch":      {func(r *distro.ResolveRequest) { r.Suites, r.Mirrors = nil, nil }, "--suite"},
		"bad branch":     {func(r *distro.ResolveRequest) { r.Suites = []string{"../x"} }, "no branch"},
		"bad component":  {func(r *distro.ResolveRequest) { r.Components = []string{"a/b"} }, "no branch or repository"},
		"bad arch":       {func(r *distro.ResolveRequest) { r.Arch = "vax" }, "no architecture"},
		"bad base":       {func(r *distro.ResolveRequest) { r.Base = "required" }, "none, essential and base"},
		"a snapshot":     {func(r *distro.ResolveRequest) { r.Snapshot, r.Mirrors = time.Unix(1700000000, 0), nil }, "keeps no snapshots"},
		"another distro": {func(r *distro.ResolveRequest) { r.Distro, r.Mirrors = "chimera", nil }, "--mirror"},
		"its keys":       {func(r *distro.ResolveRequest) { r.Distro, r.Keyrings = "chimera", nil }, "--keyring"},
		"no such keys":   {func(r *distro.ResolveRequest) { r.Arch, r.Keyrings = "loong64", nil }, "--keyring"},
		"not a key":      {func(r *distro.ResolveRequest) { r.Keyrings = map[string][]byte{"x": []byte("y")} }, "whose name counts"},
		"an option":      {func(r *distro.ResolveRequest) { r.Packages = []string{"--root=/"} }, "no package"},
		"a conflict":     {func(r *distro.ResolveRequest) { r.Packages = []string{"!hello"} }, "no package"},
		"nothing at all": {func(r *distro.ResolveRequest) { r.Packages, r.Base = nil, "none" }, "nothing is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResolution(t, "hello")
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
	for name, c := range map[string]struct {
		change func(t *testing.T, r *resolution)
		want   string
	}{
		"a name that is nowhere": {func(_ *testing.T, r *resolution) { r.req.Packages = []string{"hello", "nowhere>1"} }, "x86_64 has no package nowhere"},
		"another key":            {func(t *testing.T, r *resolution) { repository(t, newSigner(t, "t-1.rsa.pub"), r.dir) }, "bad"},
		"a key of no name":       {func(t *testing.T, r *resolution) { repository(t, newSigner(t, "t-2.rsa.pub"), r.dir) }, "--keyring"},
		"a key not built in":     {func(_ *testing.T, r *resolution) { r.req.Keyrings = nil }, "not among those built in"},
		"a branch that is gone":  {func(_ *testing.T, r *resolution) { r.req.Suites = []string{"v3.2"} }, "still there"},
		"no such architecture":   {func(_ *testing.T, r *resolution) { r.req.Arch = "arm64" }, "aarch64"},
		"what apk refuses": {func(_ *testing.T, r *resolution) {
			r.shop.Answer = func(map[string][]byte, distro.Step) (string, error) {
				return "ERROR: unable to select packages:\n  hello-2.10-r0:\n    conflicts: busybox\n", errors.New("exit code 2")
			}
		}, "conflicts: busybox"},
		"what apk cannot mean": {func(_ *testing.T, r *resolution) {
			r.shop.Answer = func(map[string][]byte, distro.Step) (string, error) { return "OK: 0 MiB\n", nil }
		}, "names no package"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResolution(t, "hello")
			c.change(t, r)
			_, err := r.resolve(t)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if r.shop.Open != 0 {
				t.Error("a root is left open")
			}
		})
	}
}

// A file that is not what the signed index says is not in the lock.
func TestResolveChangedPackage(t *testing.T) {
	r := newResolution(t, "hello")
	flip(t, filepath.Join(r.dir, "hello-2.10-r0.apk"))
	got, err := r.resolve(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Lock.Entries) != 1 || len(got.Lock.Missing) != 1 || got.Lock.Missing[0].Name != "hello" {
		t.Errorf("%v, missing %v", got.Lock.Entries, got.Lock.Missing)
	}
}

// Without a branch, a mirror is a repository.
func TestResolveFromRepositories(t *testing.T) {
	r := newResolution(t, "hello")
	r.req.Mirrors = []string{r.req.Mirrors[0] + "v3.19/main"}
	r.req.Suites = nil
	if _, err := r.resolve(t); err != nil {
		t.Error(err)
	}
	r = newResolution(t, "hello")
	r.req.Near = []distro.Mirror{{URL: "http://127.0.0.1:1/other"}, {Archive: knownArchive, URL: strings.TrimSuffix(r.req.Mirrors[0], "/")}}
	r.req.Mirrors = nil
	if _, err := r.resolve(t); err != nil {
		t.Errorf("from the mirror of this system: %v", err)
	}
}

func TestBuiltInKeys(t *testing.T) {
	entries, err := builtInKeys.ReadDir("keys")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]bool{}
	for _, arch := range slices.Sorted(maps.Keys(keysOf)) {
		r := &resolving{ResolveRequest: distro.ResolveRequest{Distro: "alpine"}}
		k, err := r.keyring(arch)
		if err != nil {
			t.Fatal(err)
		}
		for name := range k.files {
			numbers[name] = true
			if !k.isAlpine(name) {
				t.Errorf("%s is not one of Alpine's keys", name)
			}
		}
	}
	if len(numbers) != len(entries) || len(entries) != len(alpineKeys) {
		t.Errorf("%d keys are there, %d are used, %d are known", len(entries), len(numbers), len(alpineKeys))
	}
}

func FuzzParseSimulation(f *testing.F) {
	f.Add("(1/25) Installing musl (1.2.4_git20230717-r4)\n( 2/25) Installing so (1-r0)\nExecuting x\n")
	f.Add("(1/1) Installing ../x (1-r1)\n")
	s := &shop{arch: "x86_64"}
	f.Fuzz(func(t *testing.T, text string) {
		packages, err := s.parseSimulation(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for i, p := range packages {
			if q, ok := (Distro{}).Describe("x86_64/" + p.Name + "-" + p.Version + ".apk"); !ok || p != q {
				t.Errorf("%v could not stand in a lock", p)
			}
			fmt.Fprintf(&again, "(%d/%d) Installing %s (%s)\n", i, i, p.Name, p.Version)
		}
		if same, err := s.parseSimulation(again.String()); err != nil || !slices.Equal(same, packages) {
			t.Errorf("%v, %v, %v", packages, same, err)
		}
	})
}
