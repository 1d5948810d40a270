package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/samebits/samebits/imagebuild/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	testscript.Main(cleaner{m}, map[string]func(){"samebits": func() {
		if name := os.Getenv("TEST_SYSTEM_CONFIG"); name != "" {
			systemConfig = name
		}
		main()
	}})
}

// cleaner removes what tests share when all are done.
type cleaner struct{ testscript.TestingM }

func (c cleaner) Run() int {
	defer func() { os.RemoveAll(builtDir) }()
	return c.TestingM.Run()
}

// The scripts tell what a person at a shell sees. Each has a cache of its own,
// no proxy and no home; "mkrepo" and "mkroot" make a signed repository and a
// root that uses it.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts("testdata/script", nil))
}

// scripts are those in a folder, which find variables of the test in their
// environment.
func scripts(dir string, variables map[string]string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SAMEBITS_CACHE", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("SAMEBITS_SOURCES", "")
			for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "NO_COLOR", "NETRC"} {
				env.Setenv(name, "")
			}
			env.Setenv("TEST_SYSTEM_CONFIG", filepath.Join(env.WorkDir, "etc/config.yaml"))
			for name, value := range variables {
				env.Setenv(name, value)
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "user-is-root":
				return os.Geteuid() == 0, nil
			case "repo-tools":
				return has("dpkg-deb") && has("apt-ftparchive") && has("gpg"), nil
			}
			return false, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mkrepo": mkrepo,
			"serve":  serve,
			"code":   exitsWith,
		},
	}
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// exitsWith runs samebits and wants an exit code: code 3 lock fetch X. What it
// prints is in the files "out" and "err".
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ARGUMENT…")
	}
	script := `want=$1; shift; samebits "$@" >out 2>err <${STDIN:-/dev/null}; got=$?
[ $got = $want ] || { echo "samebits $*: exit code $got, not $want"; cat out err; exit 1; } >&2`
	err := ts.Exec("sh", append([]string{"-c", script, "sh"}, args...)...)
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

// mkrepo makes packages, a signed repository of them in root/repo, and in root a
// system that has them installed and uses the repository. Its
// arguments are name=version; each is installed unless it begins with "+",
// which is in the repository only, or "-", which is in the root only.
func mkrepo(ts *testscript.TestScript, neg bool, args []string) {
	name := regexp.MustCompile(`^[+-]?[a-z0-9]+=[A-Za-z0-9.:~+-]+$`)
	for _, a := range args {
		if neg || !name.MatchString(a) {
			ts.Fatalf("usage: mkrepo [+-]NAME=VERSION…")
		}
	}
	ts.Check(ts.Exec("sh", append([]string{"-euc", mkrepoScript, "sh"}, args...)...))
}

const mkrepoScript = `
export GNUPGHOME="$PWD/gpg" SOURCE_DATE_EPOCH=1700000000
mkdir -p -m 700 "$GNUPGHOME"
mkdir -p root/repo/pool root/repo/dists/stable/main/binary-amd64 root/var/lib/dpkg root/etc/apt/keys
[ -s root/etc/apt/keys/test.asc ] || gpg -q --batch --passphrase '' --quick-gen-key 'Test <test@example.invalid>' ed25519 sign 0
gpg -q --armor --export >root/etc/apt/keys/test.asc
printf 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n' >root/etc/os-release
echo amd64 >root/var/lib/dpkg/arch
echo "deb [arch=amd64 signed-by=/etc/apt/keys/test.asc] file:/repo stable main" >root/etc/apt/sources.list
: >>root/var/lib/dpkg/status
for package; do
  where=${package%%[a-z0-9]*}; spec=${package#[+-]}; name=${spec%%=*}; version=${spec#*=}
  control="Package: $name
Version: $version
Architecture: amd64
Maintainer: Test <test@example.invalid>
Description: test"
  if [ "$where" != - ]; then
    mkdir -p "build/$name/DEBIAN"
    echo "$control" >"build/$name/DEBIAN/control"
    dpkg-deb -Zgzip --root-owner-group -b "build/$name" "root/repo/pool/${name}_${version#*:}_amd64.deb" >/dev/null
  fi
  [ "$where" = + ] || printf '%s\nStatus: install ok installed\n\n' "$control" >>root/var/lib/dpkg/status
done
cd root/repo
apt-ftparchive packages pool >dists/stable/main/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=Test -o APT::FTPArchive::Release::Label=Test \
  -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
  -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main release dists/stable >Release
mv Release dists/stable/Release
rm -f dists/stable/InRelease
gpg -q --batch --clearsign -o dists/stable/InRelease dists/stable/Release
gpgconf --kill gpg-agent
`
