package access

import (
	"errors"
	"net/netip"
	"slices"
)

// MayComeFrom tells whether the token may be used from the address, which is written as text.
func (p *Principal) MayComeFrom(address string) bool {
	return len(p.Networks) == 0 || Within(p.Networks, address)
}

// Within tells whether the address, written as text, is in one of the networks. What is no address is in none.
func Within(networks []netip.Prefix, address string) bool {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	parsed = parsed.WithZone("").Unmap()
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(parsed) })
}

// ParseNetwork reads a network as CIDR has it, or a single address, and gives it in the one form in which it is kept.
func ParseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
			network = netip.PrefixFrom(address, address.BitLen())
		}
	}
	if !network.IsValid() || network.Addr().Is4In6() {
		return netip.Prefix{}, errNetwork
	}
	return network.Masked(), nil
}

// CheckNetwork tells whether the text is a network or an address.
func CheckNetwork(text string) error {
	_, err := ParseNetwork(text)
	return err
}

var errNetwork = errors.New("must be a network such as 203.0.113.0/24, or an address")
