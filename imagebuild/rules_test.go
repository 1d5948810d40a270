package imagebuild

import "testing"

// The dates of passwords follow from the epoch and not from the clock, which
// may be before it or after.
func TestShadowDates(t *testing.T) {
	for in, want := range map[string]string{
		"a:!:30000:0:99999:7:::\n":        "a:!:20772:0:99999:7:::\n",
		"a:!:12084:0:99999:7:::\nb:*::0:": "a:!:20772:0:99999:7:::\nb:*::0:",
		"a:$6$x:0:0:99999:7:::\n":         "a:$6$x:0:0:99999:7:::\n",
		"a:!:soon:\n\nb:!\n":              "a:!:soon:\n\nb:!\n",
		"":                                "",
	} {
		if got, err := shadowDates("etc/shadow", []byte(in), epoch); err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v; want %q", in, got, err, want)
		}
	}
}
