package mirror

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/samebits/samebits/distro/debian/archive"
)

// helperEnv has this test binary be a mirror: it holds the cache, the state,
// the upstream's URL, and the file of its keys, between newlines.
const helperEnv = "SAMEBITS_TEST_MIRROR"

func helperMain() {
	args := strings.Split(os.Getenv(helperEnv), "\n")
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	data, err := os.ReadFile(args[3])
	fail(err)
	keys, err := archive.ReadKeys(data)
	fail(err)
	m, err := Open(Config{Cache: args[0], State: args[1], Client: quickClient(), Upstreams: []Upstream{{Prefix: "debian", URLs: []string{args[2]},
		Format: &Debian{Keys: keys, Architectures: []string{"amd64"}}}}})
	fail(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	fmt.Println("http://" + l.Addr().String())
	fail(Server(m, Limits{}).Serve(Listen(l, 0)))
}
