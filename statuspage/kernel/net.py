"""The guarded door to the outside: every outbound connection of the program goes through `Network`.

It resolves a name once, refuses internal addresses, and connects to exactly the address it checked.
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from statuspage.kernel.errors import Error

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ip_network("64:ff9b::/96")
_BLOCKED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # CGNAT: neither private nor global to `ipaddress`
        "192.88.99.0/24",  # the 6to4 relay, RFC 7526
        "64:ff9b:1::/48",  # NAT64 into a local network, RFC 8215
        "fec0::/10",  # site-local, RFC 3879
    )
)


class Refused(Error):
    """The guard does not let this connection out. Nothing was sent, so nothing is known about the target."""


class Network:
    """The way out. `allow_networks` are the internal networks (CIDR) that may be reached."""

    def __init__(self, allow_networks: Sequence[str] = ()) -> None:
        self._allowed = tuple(ip_network(text) for text in allow_networks)

    def permits(self, text: str) -> bool:
        """Whether this address may be connected to."""
        address = _plain(ip_address(text))
        return any(address in network for network in self._allowed) or is_public(address)


def is_public(address: Address) -> bool:
    """Whether the address, and the IPv4 address that it may carry within, belongs to the open internet."""
    if isinstance(address, IPv6Address) and (carried := _carried(address)) is not None:
        return is_public(carried)
    if any(address in network for network in _BLOCKED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a v4-mapped, 6to4 (RFC 3056) or NAT64 (RFC 6052) address."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _plain(address: Address) -> Address:
    """A v4-mapped address as the IPv4 address that it is, so that allowed networks match it."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
