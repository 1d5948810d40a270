package web_test

import (
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
)

func newPlace(t *testing.T, place web.Place) fetch.Source {
	t.Helper()
	s, err := web.New(web.NewClient(web.Config{}), place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
		server := fetchtest.NewServer(files)
		t.Cleanup(server.Close)
		return newPlace(t, web.Place{URL: server.URL + "/"})
	})
}
