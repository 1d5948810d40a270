package alpine

import (
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

func TestWherePackagesLie(t *testing.T) {
	record := apk.Record{Name: "app", Version: "1-r0", Arch: "x86_64", Identity: []byte{0xab, 0x01}}
	anywhere := record
	anywhere.Arch = "noarch"
	climbing := record
	climbing.Arch = "../.."
	for _, tt := range []struct {
		form   string
		direct bool
		record apk.Record
		want   string
	}{
		{"", false, record, "x86_64/app-1-r0.apk"},
		{"", false, anywhere, "noarch/app-1-r0.apk"},
		{"", false, climbing, "aarch64/app-1-r0.apk"},
		{"", true, record, "app-1-r0.apk"},
		{"${arch}/${name:1}/${name}-${version}.${hash:3}.apk", false, record, "x86_64/a/app-1-r0.ab0.apk"},
		{"../${name}", false, record, "x86_64/app-1-r0.apk"},
	} {
		c := &channel{repo: apk.Repository{Direct: tt.direct}, index: &apk.Index{PackagePath: tt.form}}
		if got := c.packagePath(tt.record, "aarch64"); got != tt.want {
			t.Errorf("%q, %s: %s, want %s", tt.form, tt.record.Arch, got, tt.want)
		}
	}
}
