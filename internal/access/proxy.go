package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the peers whose word is taken for who a request comes from. None is trusted by default: a header that any
// client can send would let it choose the address that policies see and the trail keeps.
type Proxies []netip.Prefix

// ParseProxies reads addresses and ranges, such as 10.0.0.7 or 10.0.0.0/24. The error names the one that is wrong.
func ParseProxies(list []string) (Proxies, error) {
	var out Proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if address, bare := netip.ParseAddr(text); bare == nil && address.Zone() == "" {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/24", text)
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("%q is everybody; name the proxies alone", text)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// trust reports whether an address is a proxy's.
func (p Proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(a) })
}

// Client tells the address that a request comes from, and whether it came over TLS all the way as far as is known. Without
// trust in the peer both are those of the connection. A trusted peer says who its own peer is, and if that is trusted too, the
// chain goes on: the address is the nearest one that nobody vouches for, since what lies beyond it could be made up.
func (p Proxies) Client(r *http.Request) (address string, secure bool) {
	secure = r.TLS != nil
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, secure
	}
	if len(p) == 0 {
		return host, secure
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !p.trust(peer.Unmap()) {
		return host, secure
	}
	if said := r.Header.Values("X-Forwarded-Proto"); len(said) > 0 {
		secure = len(said) == 1 && strings.EqualFold(said[0], "https")
	}
	return p.nearest(peer.Unmap(), r.Header.Values("X-Forwarded-For")).String(), secure
}

// nearest walks a chain of addresses from its end, where the peer of the last proxy is, until one is no proxy's. What is no
// address ends the chain before it.
func (p Proxies) nearest(peer netip.Addr, chain []string) netip.Addr {
	for _, list := range slices.Backward(chain) {
		for list != "" {
			rest, last := "", list
			if i := strings.LastIndexByte(list, ','); i >= 0 {
				rest, last = list[:i], list[i+1:]
			}
			hop, ok := parseHop(strings.TrimSpace(last))
			if !ok {
				return peer
			}
			if peer = hop; !p.trust(peer) {
				return peer
			}
			list = rest
		}
	}
	return peer
}

// parseHop reads an address as proxies write it, some with the port.
func parseHop(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap(), address.Zone() == ""
}
