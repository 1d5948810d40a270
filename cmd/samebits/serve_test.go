package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// serve starts a server of a directory's files and sets a variable to its URL:
// serve NAME DIR [USER:PASSWORD]. It wants the login where one is given, and
// takes requests to a proxy for any host. What was asked is in the file
// NAME.log, with the host and the user.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve NAME DIR [USER:PASSWORD]")
	}
	login := strings.Join(args[2:], "")
	log := ts.MkAbs(args[0] + ".log")
	ts.Check(os.WriteFile(log, nil, 0o666))
	files := http.FileServer(http.Dir(ts.MkAbs(args[1])))
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		mu.Lock()
		f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			fmt.Fprintf(f, "%s%s user=%s\n", r.Host, r.URL.Path, user)
			f.Close()
		}
		mu.Unlock()
		if login != "" && user+":"+password != login {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(server.URL, "http://"))
}
