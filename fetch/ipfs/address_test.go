package ipfs

import (
	"net/url"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
)

const someCID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		raw, url, cid string
		gateway       bool
	}{
		{raw: "ipfs://", url: "http://127.0.0.1:5001"},
		{raw: "ipfs:///", url: "http://127.0.0.1:5001"},
		{raw: "ipfs://node.example", url: "http://node.example:5001"},
		{raw: "ipfs://[::1]:45001/", url: "http://[::1]:45001"},
		{raw: "ipfs://u:p@node.example:1", url: "http://node.example:1"},
		{raw: "ipfs+https://node.example", url: "https://node.example"},
		{raw: "ipfs+gateway://gw.example", url: "https://gw.example", gateway: true},
		{raw: "ipfs+gateway://127.0.0.1:8080", url: "http://127.0.0.1:8080", gateway: true},
		{raw: "ipfs+gateway://localhost:8080", url: "http://localhost:8080", gateway: true},
		{raw: "ipfs+gateway://[::1]:8080", url: "http://[::1]:8080", gateway: true},
		{raw: "ipfs://" + someCID, url: "http://127.0.0.1:5001", cid: someCID},
		{raw: "ipfs:///" + someCID, url: "http://127.0.0.1:5001", cid: someCID},
		{raw: "ipfs://node.example/" + someCID, url: "http://node.example:5001", cid: someCID},
		{raw: "ipfs+gateway://gw.example/" + someCID, url: "https://gw.example", cid: someCID, gateway: true},
	} {
		a, err := parseAddress(c.raw)
		if err != nil {
			t.Errorf("%s: %v", c.raw, err)
			continue
		}
		if a.url.String() != c.url || a.cid != c.cid || a.gateway != c.gateway {
			t.Errorf("%s is read as %s, file %q, gateway %v", c.raw, a.url, a.cid, a.gateway)
		}
	}
	for raw, want := range map[string]string{
		"":                              "ipfs+gateway://",
		"http://node.example":           "not an IPFS address",
		"ipfs+gateway://":               "no host",
		"ipfs+https:///x":               "no host",
		"ipfs://node.example/pool":      "not a CID",
		"ipfs://u:s3cret@node.example/": "", // right
		"ipfs://u:s3cret@h/no-cid":      "not a CID",
		"ipfs://u:s3cret@[h/":           "not an IPFS address",
		"ipfs://node.example?profile=x": "no query",
		"ipfs://node.example#x":         "fragment",
	} {
		_, err := parseAddress(raw)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want one with %q", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the password: %v", raw, err)
		}
	}
}

func TestNames(t *testing.T) {
	for address, want := range map[string]struct{ name, host string }{
		"ipfs://":                               {"ipfs://127.0.0.1:5001", "127.0.0.1:5001"},
		"ipfs://u:s3cret@node.example":          {"ipfs://node.example:5001", "node.example:5001"},
		"ipfs+https://node.example":             {"ipfs+https://node.example", "node.example"},
		"ipfs+gateway://u:s3cret@gw.example":    {"https://gw.example/ipfs/{{.CID}}", "gw.example"},
		"ipfs+gateway://localhost:8080":         {"http://127.0.0.1:8080/ipfs/{{.CID}}", "127.0.0.1:8080"},
		"https://gw.example/x/{{ .CID }}?key=k": {"https://gw.example/x/{{ .CID }}?key=…", "gw.example"},
	} {
		s := newTestSource(t, address)
		if s.Name() != want.name || s.(fetch.Limiter).Limits().Host != want.host {
			t.Errorf("%s is named %s, of host %s", address, s.Name(), s.(fetch.Limiter).Limits().Host)
		}
	}
}

func TestRefusals(t *testing.T) {
	client := web.NewClient(web.Config{})
	for _, address := range []string{"ipfs://" + someCID, "https://gw.example/ipfs/", "https://gw.example/{{.Path}}", "ftp://gw.example/{{.CID}}", "s3://x"} {
		if s, err := NewSource(client, address); err == nil {
			t.Errorf("%s is a source: %s", address, s.Name())
		}
	}
	for _, address := range []string{"ipfs://" + someCID, "ipfs+gateway://gw.example", "https://gw.example/ipfs/{{.CID}}"} {
		if s, err := NewSink(client, address, UnixFS2025); err == nil {
			t.Errorf("%s is a sink: %s", address, s.Name())
		}
	}
	for _, address := range []string{"ipfs://", "ipfs+gateway://gw.example", "https://gw.example"} {
		if _, _, err := PullLock(t.Context(), client, address); err == nil {
			t.Errorf("%s names a lock", address)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ipfs://", "ipfs://u:p@[::1]:1/" + someCID, "ipfs+gateway://gw.example", "ipfs+https://h:x", "ipfs://%00/", "ipfs:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := parseAddress(raw)
		if err != nil {
			return
		}
		if a.url.Hostname() == "" || (a.cid != "" && !isCID(a.cid)) {
			t.Errorf("%q is read as %+v", raw, a)
		}
		// What is asked for is a URL, and of this host.
		u, err := url.Parse(a.url.String())
		if err != nil || u.Host != a.url.Host || u.Path != "" {
			t.Errorf("%q leads to %s: %v", raw, a.url, err)
		}
	})
}
