package snapshot

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func FuzzReadBinFiles(f *testing.F) {
	f.Add(`{"binary":"hello","binary_version":"2.10-3","result":[{"architecture":"amd64","hash":"a"},{"architecture":"i386","hash":"b"}],` +
		`"fileinfo":{"a":[{"archive_name":"debian","first_seen":"20221226T152023Z","name":"hello_2.10-3_amd64.deb","path":"/pool/main/h/hello","size":53080}],` +
		`"b":[{"archive_name":"debian-ports","first_seen":"20221226T152023Z","name":"hello_2.10-3_i386.deb","path":"/pool/main/h/hello","size":1}]}}`)
	f.Add(`{"result":[{"hash":"a"}],"fileinfo":{"a":[{}]}}`)
	f.Add(`{"result":null,"fileinfo":{"a":null}}`)
	f.Add(`[1,2]`)
	f.Fuzz(func(t *testing.T, data string) {
		files, err := readBinFiles(strings.NewReader(data))
		if err != nil && files != nil {
			t.Fatal("files along with an error")
		}
		if !slices.IsSortedFunc(files, File.compare) {
			t.Fatal("not sorted")
		}
		for _, file := range files {
			if !fs.ValidPath(file.Path) || strings.ContainsAny(file.Path, "\n ") || file.Size < 0 || file.FirstSeen.IsZero() && !strings.Contains(data, "0001") {
				t.Fatalf("let pass %+v", file)
			}
		}
	})
}

func FuzzReadVersions(f *testing.F) {
	f.Add(`{"binary":"hello","result":[{"binary_version":"2.10-3","name":"hello","source":"hello","version":"2.10-3"},{"binary_version":"1:2.10-3"}]}`, "2.10-3")
	f.Add(`{"result":[{}]}`, "")
	f.Add(`null`, "1")
	f.Fuzz(func(t *testing.T, data, version string) {
		versions, err := readVersions(strings.NewReader(data), version)
		if err != nil && versions != nil || len(versions) > maxEpochs {
			t.Fatalf("%d versions, error %v", len(versions), err)
		}
		for _, v := range versions {
			if v != version && !strings.HasSuffix(v, ":"+version) {
				t.Fatalf("%q is not %q", v, version)
			}
		}
	})
}
