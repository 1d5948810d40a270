package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/bcrypt"

	"github.com/samebits/samebits/fetch/fetchtest"
)

// Each script pushes to a real server of its kind, and gets things back.

func TestPushToRegistry(t *testing.T) {
	runPush(t, "registry", map[string]string{"REGISTRY": startRegistry(t)})
}

func TestPushToIPFS(t *testing.T) {
	api, gateway := fetchtest.StartKubo(t)
	runPush(t, "ipfs", map[string]string{"NODE": api, "GATEWAY": gateway})
}

func TestPushToStore(t *testing.T) {
	runPush(t, "store", map[string]string{"STORE": startStore(t)})
}

func runPush(t *testing.T, name string, variables map[string]string) {
	t.Helper()
	params := scripts("", variables)
	params.Files = []string{filepath.Join("testdata/push", name+".txtar")}
	testscript.Run(t, params)
}

// startRegistry starts a docker-registry that wants a login, user:secret.
func startRegistry(t *testing.T) (host string) {
	t.Helper()
	program := fetchtest.Program(t, "docker-registry")
	dir := t.TempDir()
	host = fetchtest.FreeAddress(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"htpasswd": "user:" + string(hash) + "\n",
		"config.yml": fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
			"storage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\nauth: {htpasswd: {realm: test, path: %q}}\n",
			dir, host, filepath.Join(dir, "htpasswd")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "serve", filepath.Join(dir, "config.yml"))
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	fetchtest.Start(t, cmd, fetchtest.Listens(host))
	return host
}

// startStore starts an object store that has a bucket named "bucket" and wants
// the keys testkey and testsecret.
func startStore(t *testing.T) (endpoint string) {
	t.Helper()
	program := fetchtest.Program(t, "versitygw")
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	endpoint = fetchtest.FreeAddress(t)
	cmd := exec.Command(program, "--quiet", "--port", endpoint, "posix", folder)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret")
	fetchtest.Start(t, cmd, fetchtest.Listens(endpoint))
	return endpoint
}
