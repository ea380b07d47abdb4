"""Which internet address a request is counted against."""

import ipaddress
import re

from django.conf import settings

# A host gets a whole IPv6 network: a household a /64 or a /56, a rented server up to a /48. Each
# wider network has its own limit, this many times that of a single /64.
WIDER_NETWORKS = {56: 2, 48: 3}


def client_address(request) -> str:
    """Return the address to count a request against; for IPv6, the /64 network that it is in.

    Anyone can write into X-Forwarded-For; only the entries that our own TRUSTED_PROXIES appended
    count, and those are the last ones.
    """
    peer = request.META["REMOTE_ADDR"]
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    has_passed_all = 0 < settings.TRUSTED_PROXIES <= len(forwarded)
    address = forwarded[-settings.TRUSTED_PROXIES] if has_passed_all else peer
    ip = read_address(address) or read_address(peer)
    if ip is None:
        return peer
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def read_address(text: str):
    """Return the IP address in ``text``; some proxies write a port behind it, or brackets."""
    text = re.sub(r"^\[(.*)\](:\d+)?$|^([\d.]+):\d+$", r"\1\3", text.strip())
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def networks_of(address: str) -> list[tuple[str, int]]:
    """Return each network to count ``address`` in, with the multiple of the limit that it has.

    ``address`` is what ``client_address`` returns. IPv4 addresses have only themselves.
    """
    networks = [(address, 1)]
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return networks
    if network.version == 6:
        for length, multiple in WIDER_NETWORKS.items():
            networks.append((str(network.supernet(new_prefix=length)), multiple))
    return networks


def address_limits(
    name: str, address: str, most: int, seconds: int, about: str = ""
) -> list[tuple]:
    """Return the limits of ``address`` and its wider networks: name, value, most and seconds each.

    ``about`` is what else each value names, such as an account.
    """
    return [
        (each, f"{about} {network}" if about else network, most * multiple, seconds)
        for each, (network, multiple) in zip(limit_names(name), networks_of(address), strict=False)
    ]


def limit_names(name: str) -> list[str]:
    """Return the names of the limits that ``address_limits`` makes of ``name``."""
    return [name, *(f"{name} /{length}" for length in WIDER_NETWORKS)]
