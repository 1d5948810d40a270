package fedora

import "testing"

func TestKnownArchives(t *testing.T) {
	for url, want := range map[string]string{
		"https://mirrors.fedoraproject.org/metalink?repo=fedora-35&arch=x86_64":                      "Fedora releases/35/Everything/x86_64/os",
		"https://mirrors.fedoraproject.org/metalink?arch=aarch64&repo=updates-released-f35":          "Fedora updates/35/Everything/aarch64",
		"https://mirrors.fedoraproject.org/metalink?repo=updates-testing-f35&arch=x86_64":            "Fedora updates/testing/35/Everything/x86_64",
		"https://mirrors.fedoraproject.org/metalink?repo=fedora-modular-35&arch=x86_64":              "Fedora releases/35/Modular/x86_64/os",
		"https://mirrors.fedoraproject.org/metalink?repo=rawhide&arch=x86_64":                        "Fedora development/rawhide/Everything/x86_64/os",
		"https://mirrors.fedoraproject.org/metalink?repo=epel-9&arch=x86_64":                         "EPEL 9/Everything/x86_64",
		"http://ftp.example.org/pub/fedora/linux/releases/35/Everything/x86_64/os/":                  "Fedora releases/35/Everything/x86_64/os",
		"http://ftp.example.org/fedora/updates/35/Everything/x86_64":                                 "Fedora updates/35/Everything/x86_64",
		"https://mirrors.centos.org/metalink?repo=centos-baseos-9-stream&arch=x86_64&protocol=https": "CentOS-Stream 9-stream/BaseOS/x86_64/os",
		"https://mirror.example.org/centos-stream/9-stream/AppStream/x86_64/os/":                     "CentOS-Stream 9-stream/AppStream/x86_64/os",
		"https://mirrors.rockylinux.org/mirrorlist?arch=x86_64&repo=BaseOS-9":                        "Rocky 9/BaseOS/x86_64/os",
		"https://mirror.example.org/rocky/9.4/AppStream/x86_64/os":                                   "Rocky 9.4/AppStream/x86_64/os",
		"https://mirrors.almalinux.org/mirrorlist/9/baseos":                                          "AlmaLinux 9/BaseOS/x86_64/os",
		"https://repo.almalinux.org/almalinux/9.4/AppStream/x86_64/os/":                              "AlmaLinux 9.4/AppStream/x86_64/os",
		"http://download.opensuse.org/distribution/leap/15.5/repo/oss/":                              "openSUSE distribution/leap/15.5/repo/oss",
		"http://mirror.example.org/opensuse/tumbleweed/repo/oss/":                                    "openSUSE tumbleweed/repo/oss",
		"https://example.org/my/repo/":                                                               "",
		"https://example.org/9/os/x86_64":                                                            "",
		"://":                                                                                        "",
		"":                                                                                           "",
		"https://example.org/metalink?repo=mine":                                                     "",
		"https://example.org/mirrorlist/9/baseos/":                                                   "",
	} {
		archive, path, ok := knownArchive(url, "x86_64")
		got := archive + " " + path
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	if got := join("http://h/a/", "b/gcc-c++-1~rc1^git-2.fc35.x86_64.rpm"); got != "http://h/a/b/gcc-c++-1~rc1%5Egit-2.fc35.x86_64.rpm" {
		t.Error(got)
	}
}
