package fetch_test

import (
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func TestOnly(t *testing.T) {
	server := fetchtest.NewServer(nil)
	defer server.Close()
	any, err := web.New(web.NewClient(web.Config{}), web.Place{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	vendor := lockfile.Archive{Name: "Vendor", URL: "http://vendor.example/"}
	limited := fetch.Only(fetch.Limit(any, fetch.Limits{Every: time.Second}), lockfile.Archive{Name: "Debian"}, vendor)
	for archive, want := range map[lockfile.Archive]bool{
		{}:               true,
		{Name: "Debian"}: true,
		{Name: "Debian", URL: "http://elsewhere.example/"}: true,
		{Name: "Ubuntu"}: false,
		vendor:           true,
		{Name: "Vendor", URL: "http://other.example/"}: false,
		{Name: "Vendor"}: false,
	} {
		e := lockfile.Entry{Path: "a", Archive: archive}
		if got := limited.Serves(e); got != want {
			t.Errorf("%v: %v", archive, got)
		}
		if !fetch.Only(any).Serves(e) {
			t.Errorf("%v: not served where no archive is named", archive)
		}
	}
	if got := fetch.LimitsOf(limited).Every; got != time.Second {
		t.Errorf("the limits are lost: %v", got)
	}
}
