package decompress_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/decompress"
)

// compressors are the programs that write each kind.
var compressors = map[string][]string{
	"":     {"cat"},
	".gz":  {"gzip", "-c"},
	".xz":  {"xz", "-c"},
	".zst": {"zstd", "-q", "-c"},
	".bz2": {"bzip2", "-c"},
	".lz4": {"lz4", "-q", "-c"},
}

func TestEveryEnding(t *testing.T) {
	text := strings.Repeat("the same bits again\n", 5000)
	for _, ending := range decompress.Endings {
		t.Run("ending"+ending, func(t *testing.T) {
			argv := compressors[ending]
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Stdin = strings.NewReader(text)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := decompress.Detect(packed); got != ending {
				t.Errorf("taken for %q", got)
			}
			for name, open := range map[string]func(io.Reader) (io.ReadCloser, error){
				"by name":  func(r io.Reader) (io.ReadCloser, error) { return decompress.Open(ending, r) },
				"by bytes": decompress.Sniff,
			} {
				r, err := open(bytes.NewReader(packed))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || string(got) != text {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if ending == "" {
					continue
				}
				if r, err := open(bytes.NewReader(packed[:len(packed)/2])); err == nil {
					if _, err := io.ReadAll(r); err == nil {
						t.Errorf("%s: half of a file is taken for whole", name)
					}
				}
			}
		})
	}
}

func TestUnknownEnding(t *testing.T) {
	if _, err := decompress.Open(".rar", strings.NewReader("")); err == nil || !strings.Contains(err.Error(), ".rar") {
		t.Error(err)
	}
}
