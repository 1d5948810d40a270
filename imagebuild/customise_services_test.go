package imagebuild

import (
	"strings"
	"testing"
)

// TestServicesByOpenRC has the tool of the init system write down what it is
// told: always in the same order.
func TestServicesByOpenRC(t *testing.T) {
	b := newBoxed(t)
	b.step = `/bin/busybox mkdir -p /sbin; printf '#!/bin/sh\necho "$@" >>/etc/told\n' >/sbin/rc-update; /bin/busybox chmod 755 /sbin/rc-update`
	img, err := build(t, b, "services: {enable: [b, a], disable: [c]}\n")
	if err != nil {
		t.Fatal(err)
	}
	n, ok := img.Tree.Lookup("etc/told")
	if !ok {
		t.Fatal("nothing was told")
	}
	var text strings.Builder
	if err := n.CopyTo(&text); err != nil {
		t.Fatal(err)
	}
	if text.String() != "add b default\nadd a default\ndel c default\n" {
		t.Errorf("it was told\n%s", text.String())
	}
	if _, err := build(t, b, "no-scripts: true\nservices: {enable: [b]}\n"); err == nil || !strings.Contains(err.Error(), "no-scripts forbids") {
		t.Errorf("without scripts: %v", err)
	}
}
