"""Which addresses may be connected to: the open internet, and internal networks that the settings allow."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from statuspage.kernel.errors import Error

Address = IPv4Address | IPv6Address

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


class Guard:
    """`allow_networks` are the internal networks (CIDR) that may be reached."""

    def __init__(self, allow_networks: Sequence[str]) -> None:
        self._allowed = tuple(ip_network(text) for text in allow_networks)

    def permits(self, text: str) -> bool:
        """Whether this address may be connected to."""
        address = _address(text)
        return any(address in network for network in self._allowed) or is_public(address)

    def check(self, name: str, addresses: Sequence[str]) -> None:
        """Raises Refused if any address of `name` may not be connected to."""
        for address in addresses:
            if not self.permits(address):
                raise Refused(f"{name} is the internal address {address}, not in security.allow_networks")


@lru_cache(maxsize=4096)
def literal(name: str) -> str | None:
    """The address that `name` is; None for a name. Raises Refused for 2130706433, 0x7f.1 or 0177.0.0.1."""
    try:
        return str(ip_address(name))
    except ValueError:
        last = name.rstrip(".").rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        raise Refused(f"{name} is an address in a spelling that is not allowed; write four decimal numbers")
    return None


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


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    """A v4-mapped address is the IPv4 address that it carries, so that allowed networks match it."""
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
