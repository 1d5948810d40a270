package oci_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func TestDockerArchive(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		Write: func(w io.Writer, tr *tree.Tree) error {
			return oci.WriteDocker(context.Background(), w, amd64(tr), "example.org/app:1", archive)
		},
		Golden: "5da470e0bdd6ffc7ea354402809a84c45527b2ef8939ce695d7f10a90f21331c",
		Read:   readDocker,
		Holds:  treetest.All &^ treetest.Nanoseconds,
	})
}

// readDocker is what docker does with an archive of one layer.
func readDocker(f *os.File) (*tree.Tree, error) {
	outer, err := archive.Read(context.Background(), f, &tree.MemoryStore{})
	if err != nil {
		return nil, err
	}
	read := func(path string) []byte {
		n, _ := outer.Lookup(path)
		var b bytes.Buffer
		if err := n.CopyTo(&b); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(read("manifest.json"), &manifest); err != nil {
		return nil, err
	}
	if len(manifest) != 1 || strings.Join(manifest[0].RepoTags, " ") != "example.org/app:1" || len(manifest[0].Layers) != 1 {
		return nil, fmt.Errorf("the manifest is %+v", manifest)
	}
	layer, config := read(manifest[0].Layers[0]), read(manifest[0].Config)
	id := fmt.Sprintf("%x", sha256.Sum256(layer))
	if !bytes.Contains(config, []byte(`"diff_ids":["sha256:`+id+`"]`)) || manifest[0].Config != fmt.Sprintf("%x.json", sha256.Sum256(config)) {
		return nil, fmt.Errorf("the configuration %s is %s", manifest[0].Config, config)
	}
	if got := string(read("repositories")); got != `{"example.org/app":{"1":"`+id+`"}}` {
		return nil, fmt.Errorf("repositories is %s", got)
	}
	return archive.Read(context.Background(), bytes.NewReader(layer), &tree.MemoryStore{})
}

func TestDockerNamesNeedATag(t *testing.T) {
	for _, name := range []string{"", "app", "example.org:5000/app", "app:", ":1"} {
		err := oci.WriteDocker(t.Context(), io.Discard, amd64(), name, archive)
		if err == nil || !strings.Contains(err.Error(), "has no tag") {
			t.Errorf("%q: the error is %v", name, err)
		}
	}
}
