package access

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func proxies(t testing.TB, list ...string) Proxies {
	t.Helper()
	p, err := ParseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClientBehindProxies(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/24", "2001:db8::7", "192.0.2.1")
	for name, tt := range map[string]struct {
		peer string
		tls  bool
		// headers are "For: value" and "Proto: value" of X-Forwarded-….
		headers []string
		want    string
		secure  bool
	}{
		"a client":                     {"203.0.113.7:1", false, nil, "203.0.113.7", false},
		"a client over TLS":            {"203.0.113.7:1", true, nil, "203.0.113.7", true},
		"a client that makes it up":    {"203.0.113.7:1", false, []string{"For: 198.51.100.1", "Proto: https"}, "203.0.113.7", false},
		"… and speaks TLS":             {"203.0.113.7:1", true, []string{"For: 198.51.100.1", "Proto: http"}, "203.0.113.7", true},
		"a proxy":                      {"10.0.0.9:1", false, []string{"For: 203.0.113.7"}, "203.0.113.7", false},
		"a proxy by its address":       {"192.0.2.1:1", false, []string{"For: 203.0.113.7"}, "203.0.113.7", false},
		"beside that address":          {"192.0.2.2:1", false, []string{"For: 203.0.113.7"}, "192.0.2.2", false},
		"a proxy of IPv6":              {"[2001:db8::7]:1", false, []string{"For: 2001:db8:1::1"}, "2001:db8:1::1", false},
		"a proxy of IPv4 in IPv6":      {"[::ffff:10.0.0.9]:1", false, []string{"For: ::ffff:203.0.113.7"}, "203.0.113.7", false},
		"a proxy that ends TLS":        {"10.0.0.9:1", false, []string{"For: 203.0.113.7", "Proto: https"}, "203.0.113.7", true},
		"a proxy that adds TLS":        {"10.0.0.9:1", true, []string{"For: 203.0.113.7", "Proto: http"}, "203.0.113.7", false},
		"a proxy that passes TLS on":   {"10.0.0.9:1", true, []string{"For: 203.0.113.7"}, "203.0.113.7", true},
		"two schemes":                  {"10.0.0.9:1", true, []string{"For: 203.0.113.7", "Proto: https", "Proto: https"}, "203.0.113.7", false},
		"a list of schemes":            {"10.0.0.9:1", false, []string{"For: 203.0.113.7", "Proto: https, http"}, "203.0.113.7", false},
		"a proxy that says nothing":    {"10.0.0.9:1", false, nil, "10.0.0.9", false},
		"an empty header":              {"10.0.0.9:1", false, []string{"For: "}, "10.0.0.9", false},
		"the client makes up the rest": {"10.0.0.9:1", false, []string{"For: 198.51.100.1, 203.0.113.7"}, "203.0.113.7", false},
		"… in a line of its own":       {"10.0.0.9:1", false, []string{"For: 198.51.100.1", "For: 203.0.113.7"}, "203.0.113.7", false},
		"two proxies":                  {"10.0.0.9:1", false, []string{"For: 198.51.100.1, 203.0.113.7 ,10.0.0.8"}, "203.0.113.7", false},
		"two proxies, two lines":       {"10.0.0.9:1", false, []string{"For: 203.0.113.7", "For: 10.0.0.8"}, "203.0.113.7", false},
		"proxies alone":                {"10.0.0.9:1", false, []string{"For: 10.0.0.7, 10.0.0.8"}, "10.0.0.7", false},
		"with ports":                   {"10.0.0.9:1", false, []string{"For: 203.0.113.7:4711"}, "203.0.113.7", false},
		"IPv6 with a port":             {"10.0.0.9:1", false, []string{"For: [2001:db8:1::1]:4711"}, "2001:db8:1::1", false},
		"no address":                   {"10.0.0.9:1", false, []string{"For: unknown"}, "10.0.0.9", false},
		"no address behind a proxy":    {"10.0.0.9:1", false, []string{"For: 203.0.113.7, unknown, 10.0.0.8"}, "10.0.0.8", false},
		"an address with a zone":       {"10.0.0.9:1", false, []string{"For: fe80::1%eth0"}, "10.0.0.9", false},
		"a gap":                        {"10.0.0.9:1", false, []string{"For: 203.0.113.7,,10.0.0.8"}, "10.0.0.8", false},
		"a connection without address": {"pipe", false, []string{"For: 203.0.113.7"}, "pipe", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for _, h := range tt.headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Add("X-Forwarded-"+name, value)
			}
			if got, secure := trusted.Client(r); got != tt.want || secure != tt.secure {
				t.Errorf("the client is %s, TLS %v; expected %s, %v", got, secure, tt.want, tt.secure)
			}
			host, _, err := net.SplitHostPort(tt.peer)
			if err != nil {
				host = tt.peer
			}
			if got, secure := Proxies(nil).Client(r); got != host || secure != tt.tls {
				t.Errorf("without trust the client is %s, TLS %v", got, secure)
			}
		})
	}
}

func TestParseProxies(t *testing.T) {
	for text, want := range map[string]string{
		"":              `"" is neither an address nor a range such as 10.0.0.0/24`,
		"proxy":         `"proxy" is neither an address nor a range such as 10.0.0.0/24`,
		"10.0.0.0/33":   `"10.0.0.0/33" is neither an address nor a range such as 10.0.0.0/24`,
		"10.0.0.1:80":   `"10.0.0.1:80" is neither an address nor a range such as 10.0.0.0/24`,
		"fe80::1%eth0":  `"fe80::1%eth0" is neither an address nor a range such as 10.0.0.0/24`,
		"0.0.0.0/0":     `"0.0.0.0/0" is everybody; name the proxies alone`,
		"::/0":          `"::/0" is everybody; name the proxies alone`,
		"10.0.0.9/24":   "",
		"2001:db8::/32": "",
		"192.0.2.1":     "",
	} {
		_, err := ParseProxies([]string{"10.0.0.1", text})
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: error is %v", text, err)
		}
	}
	if p := proxies(t, "10.0.0.9/24"); !p.trust(netip.MustParseAddr("10.0.0.1")) {
		t.Error("a range is that of its first address alone")
	}
}
