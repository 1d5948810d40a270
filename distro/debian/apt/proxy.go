package apt

import (
	"fmt"
	"net/url"
	"strings"
)

// Proxy returns the proxy for a request, nil for none: what apt.conf has for
// the host, else for the scheme; https goes by http's where it has none. ok is
// false where the configuration says nothing about it. Programs that would
// find a proxy (Proxy-Auto-Detect) are not run.
func (c *Config) Proxy(u *url.URL) (proxy *url.URL, ok bool) {
	schemes := []string{u.Scheme}
	if u.Scheme == "https" {
		schemes = append(schemes, "http")
	}
	for _, names := range [][2]string{{"::Proxy::", u.Hostname()}, {"::Proxy", ""}} {
		for _, s := range schemes {
			value := c.Options.Find("Acquire::" + s + names[0] + names[1])
			if value == "" {
				continue
			}
			proxy, err := parseProxy(value)
			return proxy, err == nil
		}
	}
	return nil, false
}

// parseProxy returns nil for "DIRECT".
func parseProxy(value string) (*url.URL, error) {
	if strings.EqualFold(value, "DIRECT") || strings.EqualFold(value, "false") {
		return nil, nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme == "" {
		return nil, fmt.Errorf("%q is not the URL of a proxy", redact(value))
	}
	return u, nil
}

// checkProxies warns of what Proxy will not be able to use.
func (l *loader) checkProxies() {
	for _, scheme := range []string{"http", "https"} {
		name := "Acquire::" + scheme + "::Proxy"
		all := append([]Option{{Value: l.Options.Find(name)}}, l.Options.Children(name)...)
		for _, o := range all {
			if o.Value == "" {
				continue
			}
			if _, err := parseProxy(o.Value); err != nil {
				l.events.Warning(fmt.Sprintf("apt's option %s is ignored: %v", strings.TrimSuffix(name+"::"+o.Name, "::"), err))
			}
		}
	}
}
