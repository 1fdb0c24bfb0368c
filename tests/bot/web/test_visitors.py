"""Whose wrong passwords are counted together, directly and behind reverse proxies."""

from ipaddress import ip_network

import pytest

from lorabot.bot.web.visitors import visitor

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/64"))


@pytest.mark.parametrize(
    ("peer", "named", "who"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # nobody trusts it, so whom it names says nothing
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),  # the first was made up by the visitor
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7", "10.0.0.2"], "203.0.113.7"),  # two proxies, one behind the other
        ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),  # somebody in the proxies' own network
        ("10.0.0.1", [" 203.0.113.7:4711 "], "203.0.113.7"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7", "_hidden"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", [], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["203.0.113.7"], ""),
    ],
)
def test_the_visitor_is_the_last_one_on_the_way_back_that_is_no_proxy(peer: str, named: list[str], who: str) -> None:
    assert visitor(peer, named, PROXIES) == who
