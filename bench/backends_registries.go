package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/samebits/samebits/lockfile"
)

// dockerRegistry starts a docker-registry, set up as Debian does it.
func (b *bench) dockerRegistry() (*depot, error) {
	path, err := program("docker-registry")
	if err != nil {
		return nil, err
	}
	host, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "registry")
	storage := filepath.Join(dir, "storage")
	if err := os.MkdirAll(storage, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, cache: {blobdescriptor: inmemory}}\nhttp: {addr: %q}\n", storage, host)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return b.registry("docker-registry", host, storage, func() *exec.Cmd {
		cmd := exec.Command(path, "serve", config)
		cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
		return cmd
	})
}

// registryArgument is the first of a child that is a registry.
const registryArgument = "serve-registry"

// libraryRegistry starts the registry of go-containerregistry: with it beside
// another it shows what is the protocol's and what is a server's.
func (b *bench) libraryRegistry() (*depot, error) {
	host, err := freeAddress()
	if err != nil {
		return nil, err
	}
	storage := filepath.Join(b.dir, "library-registry")
	if err := os.MkdirAll(storage, 0o755); err != nil {
		return nil, err
	}
	return b.registry("go-containerregistry's registry", host, storage, func() *exec.Cmd {
		return exec.Command("/proc/self/exe", registryArgument, host, storage)
	})
}

// serveRegistry serves blobs out of a directory, and manifests out of memory,
// until it is killed.
func serveRegistry(address, dir string) error {
	return http.ListenAndServe(address, registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)),
		registry.Logger(log.New(io.Discard, "", 0))))
}

// registry starts a registry that keeps its files in storage.
func (b *bench) registry(name, host, storage string, command func() *exec.Cmd) (*depot, error) {
	oras, err := program("oras")
	if err != nil {
		return nil, err
	}
	d := &depot{}
	run := func() (err error) {
		d.server, err = b.start(command(), host)
		return err
	}
	blobs := "http://" + host + "/v2/packages/blobs/sha256:"
	*d = depot{
		name: name,
		ways: []way{{name: name, source: "oci://" + host + "/packages", plain: blobs + "{{.SHA256}}",
			address: func(e lockfile.Entry, _ string) (string, error) { return blobs + e.Digest.String(), nil }}},
		push: func(lock string) []string { return []string{"cache", "push", "oci://" + host + "/packages:v1", lock} },
		// It remembers what it had, unless it is started again.
		wipe: func() error {
			d.server.end()
			return errors.Join(emptyDir(storage), run())
		},
		peer: func(s *shelf) contestant {
			args := []string{"push", "--no-tty", "--plain-http", host + "/packages:peer"}
			for _, f := range s.files {
				args = append(args, "pool/"+f)
			}
			return contestant{name: "`oras push` to " + name, command: func() *exec.Cmd {
				cmd := exec.Command(oras, args...)
				cmd.Dir = s.dir
				return cmd
			}}
		},
	}
	return d, run()
}
