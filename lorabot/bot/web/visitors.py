"""Who comes to the web chat, by address: also where a reverse proxy, which all come through, has to name them."""

import logging
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from lorabot.bot.config import Network

_NAMED = "X-Forwarded-For"
# What one customer of a provider gets (RFC 6177): whoever has one of these addresses has all of them.
_IPV6_PREFIX = 64
_log = logging.getLogger(__name__)


class Visitors:
    """Tells visitors apart. ``trusted`` are the proxies that are believed whom they name."""

    def __init__(self, trusted: Collection[Network]) -> None:
        self._trusted = trusted
        self._complained = False

    def address_of(self, request: web.Request) -> str:
        """Of one visitor always the same."""
        peer = request.remote or ""
        named = ",".join(request.headers.getall(_NAMED, ()))
        if named and not self._complained and not is_trusted(peer, self._trusted):
            self._complained = True
            _log.warning(
                "%s names the visitors it brings, as a reverse proxy does. If it is one, add it to"
                " LORABOT_WEB__TRUSTED_PROXIES: until then its visitors wait for each other's wrong passwords",
                peer,
            )
        return visitor(peer, named.split(","), self._trusted)


def visitor(peer: str, named: Iterable[str], trusted: Collection[Network]) -> str:
    """The first address on the way back from ``peer`` that is no trusted proxy's; an IPv6 one by its network.

    Each proxy adds to ``named`` where its request came from, so what stands before an untrusted one's own word may be
    made up.
    """
    address = _parsed(peer)
    for name in reversed(list(named)):
        further = _parsed(name)
        if address is None or further is None or not _within(address, trusted):
            break
        address = further
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_PREFIX), strict=False))
    return peer if address is None else str(address)


def is_trusted(peer: str, trusted: Collection[Network]) -> bool:
    """Is ``peer`` one of the ``trusted`` proxies?"""
    address = _parsed(peer)
    return address is not None and _within(address, trusted)


def _within(address: IPv4Address | IPv6Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address in ``1.2.3.4``, ``1.2.3.4:567``, ``[::1]:567`` or ``fe80::1%eth0``; None in anything else."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # What an IPv4 visitor looks like to a server that listens on IPv6.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
