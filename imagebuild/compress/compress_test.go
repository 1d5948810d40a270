package compress_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// input is some 20 MB of what images have: text, code-like and random bytes,
// zeros, and repetitions that lie far apart.
func input() []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the same bits on any host whoever runs it and for as long as anyone keeps the blobs of a lock")
	far := treetest.Random(3, 300_000)
	for b.Len() < 20<<20 {
		for range 20_000 {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.Write(treetest.Random(r.Uint64(), 100_000))
		b.Write(make([]byte, 200_000))
		b.Write(far)
		for i := range 100_000 {
			b.WriteByte(byte(i >> r.IntN(8)))
		}
	}
	return b.Bytes()
}

// goldens are the digests of each profile's output for sizes of the input.
var goldens = map[string]string{
	"none":        "5c551ba866435187eac37abfdf35f967cd25dfa2e4ed34317e5628fabd304166",
	"gzip":        "0dc997ef1fa8c780b5dd8638801dacee84fea91cd97de70db985a48be66273cd",
	"gzip-fast":   "895b7248cbb23dfad3c242b3473bb56045d227ea8dc402baabdb6eb48eeb235a",
	"gzip-best":   "5a0cd346c65ca880801975d193ec3c2c1a9275c4917d2871d7b0852ec3a55de9",
	"zstd":        "a5a650b155cb7fe1db50b2953f4ec55b92faad9603203e29d508f08d49bf01c1",
	"zstd-fast":   "ffcdcb8691cca6a296aed56ef6ebdc64e6bbeedfc581ea47ea1a8b315bc5716a",
	"zstd-better": "902d5e77ace640d0137604f02eb59f27e9fb167e7f8cecbe12c93e181f1c40ef",
	"zstd-best":   "b5a39f9f3efceef8ce135e598179d590d521a148d8f9e72cb055ed9a79708983",
}

func sizes() []int { return []int{0, 1, 100_000, 1 << 20, 3<<20 + 1, 8 << 20, 8<<20 + 1, 20 << 20} }

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func pack(t testing.TB, p compress.Profile, b []byte) []byte {
	t.Helper()
	out, err := p.Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGoldenDigests(t *testing.T) {
	all := input()
	for _, p := range compress.Profiles {
		h := sha256.New()
		for _, size := range sizes() {
			h.Write(pack(t, p, all[:size]))
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != goldens[p.Name()] {
			t.Errorf("%q: %q,", p.Name(), got)
		}
	}
}

func TestSameBytesHoweverWritten(t *testing.T) {
	all := input()
	cpus := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cpus)
	for _, p := range []compress.Profile{compress.Gzip, compress.Zstd, compress.ZstdBetter, compress.GzipFast} {
		for _, size := range sizes() {
			want := sum(pack(t, p, all[:size]))
			for _, n := range []int{1, 2, 3, 8, 16} {
				runtime.GOMAXPROCS(n)
				if got := sum(pack(t, p, all[:size])); got != want {
					t.Errorf("%s of %d bytes on %d CPUs is other bytes", p.Name(), size, n)
				}
			}
			runtime.GOMAXPROCS(cpus)
			if got := sum(inPieces(t, p, all[:size])); got != want {
				t.Errorf("%s of %d bytes in pieces is other bytes", p.Name(), size)
			}
			if got := sum(copied(t, p, all[:size])); got != want {
				t.Errorf("%s of %d bytes by io.Copy is other bytes", p.Name(), size)
			}
		}
	}
}

func inPieces(t *testing.T, p compress.Profile, b []byte) []byte {
	var out bytes.Buffer
	w, err := p.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; len(b) > 0; i++ {
		n := min(len(b), 1+i*i*131%100_000)
		if _, err := w.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func copied(t *testing.T, p compress.Profile, b []byte) []byte {
	var out bytes.Buffer
	w, err := p.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOthersReadIt(t *testing.T) {
	all := input()
	commands := map[string][]string{"": {"cat"}, "gzip": {"gzip", "-dc"}, "zstd": {"zstd", "-dc", "-q"}}
	for _, p := range compress.Profiles {
		argv := commands[p.Algorithm()]
		for _, size := range sizes() {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Stdin = bytes.NewReader(pack(t, p, all[:size]))
			if got, err := cmd.Output(); err != nil || !bytes.Equal(got, all[:size]) {
				t.Errorf("%s cannot read %s of %d bytes: %v", argv[0], p.Name(), size, err)
			}
		}
	}
}

func TestHeadersSayNothing(t *testing.T) {
	packed := pack(t, compress.Gzip, input()[:5<<20])
	if want := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"; string(packed[:10]) != want {
		t.Errorf("the gzip header is %q, want %q", packed[:10], want)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	if n, err := io.Copy(io.Discard, r); err != nil || n != 5<<20 {
		t.Errorf("the first member has %d bytes: %v", n, err)
	}
	var h zstd.Header
	packed = pack(t, compress.Zstd, input())
	if err := h.Decode(packed); err != nil || !h.HasCheckSum || h.HasFCS || h.WindowSize != 2<<20 || h.Skippable {
		t.Errorf("the zstd header is %+v, %v", h, err)
	}
	if frames := bytes.Count(packed, []byte("\x28\xb5\x2f\xfd")); frames != 1 {
		t.Errorf("%d frames of zstd", frames)
	}
}

func TestErrorsOfTheDiskArePassedOn(t *testing.T) {
	full := errors.New("full")
	data := treetest.Random(1, 20<<20)
	for _, p := range compress.Profiles {
		for _, room := range []int{0, 5, 9<<20 + 1} {
			w, err := p.NewWriter(&small{room, full})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(data)
			if closeErr := w.Close(); err == nil {
				err = closeErr
			}
			if !errors.Is(err, full) {
				t.Errorf("%s with room for %d bytes: %v", p.Name(), room, err)
			}
		}
	}
}

type small struct {
	room int
	err  error
}

func (s *small) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return 0, s.err
	}
	return len(p), nil
}

func TestNames(t *testing.T) {
	for _, p := range compress.Profiles {
		if got, err := compress.Named(p.Name()); err != nil || got != p {
			t.Errorf("%q is %v, %v", p.Name(), got, err)
		}
	}
	if _, err := compress.Named("xz"); err == nil || !strings.Contains(err.Error(), `"xz"; there are none gzip`) {
		t.Errorf("xz: %v", err)
	}
	if want := "gzip;level=6;block=1048576;window=32768;encoder=klauspost/pgzip@v1.3.0,klauspost/compress@v1.20.3"; compress.Gzip.String() != want {
		t.Errorf("got %s", compress.Gzip)
	}
	if compress.None.String() != "none" || compress.Zstd.Ending() != ".zst" || compress.Gzip.Ending() != ".gz" || compress.None.Ending() != "" {
		t.Error("names")
	}
}

func TestVersionsAreThoseOfTheModule(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"klauspost/compress", "klauspost/pgzip"} {
		version := regexp.MustCompile(`github.com/` + module + ` (\S+)`).FindSubmatch(mod)
		if version == nil || !strings.Contains(compress.Gzip.String(), module+"@"+string(version[1])) {
			t.Errorf("%s: go.mod has %s, the profile is %s", module, version, compress.Gzip)
		}
	}
	if !strings.Contains(compress.Gzip.String(), strings.TrimPrefix(compress.Zstd.String(), "zstd;level=2;block=8388608;window=2097152;encoder=")) {
		t.Errorf("the profile is %s", compress.Zstd)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("text"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, repeat uint16) {
		data := bytes.Repeat(b, int(repeat)%3000)
		if got, want := pack(t, compress.Zstd, data), inPieces(t, compress.Zstd, data); !bytes.Equal(got, want) {
			t.Error("zstd in pieces is other bytes")
		}
		r, err := zstd.NewReader(bytes.NewReader(pack(t, compress.Zstd, data)), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("zstd gives other bytes back: %v", err)
		}
		g, err := gzip.NewReader(bytes.NewReader(pack(t, compress.Gzip, data)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(g); err != nil || !bytes.Equal(got, data) {
			t.Errorf("gzip gives other bytes back: %v", err)
		}
	})
}

func BenchmarkProfiles(b *testing.B) {
	data := input()
	for _, p := range compress.Profiles[1:] {
		b.Run(p.Name(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				b.ReportMetric(float64(len(pack(b, p, data)))/float64(len(data)), "ratio")
			}
		})
	}
	b.Run("gzip -6 of GNU", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), "gzip", "-6")
			cmd.Stdin = bytes.NewReader(data)
			out, err := cmd.Output()
			if err != nil {
				b.Skip(err)
			}
			b.ReportMetric(float64(len(out))/float64(len(data)), "ratio")
		}
	})
}
