# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is asking, behind proxies: only what a trusted one says of its peer counts, and nobody gets a fresh limit by inventing an address."""
import http.client

import pytest

import wardmote_server

RATE = 50


@pytest.fixture(scope="module", name="behind")
def _behind(start_server):
    """A server that trusts one loopback address and a private network."""
    return start_server(trusted_proxies="127.0.0.1,10.0.0.0/8,fd00::/8", rate_anonymous=RATE)


def left(server, *forwarded, source="127.0.0.1", **others):
    """How many requests the asking address has left, after one with these lines of X-Forwarded-For."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30, source_address=(source, 0))
    connection.putrequest("GET", "/v1/partners?limit=1")
    for line in forwarded:
        connection.putheader("X-Forwarded-For", line)
    for name, value in others.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])


def is_counted_as(server, address, *forwarded, **options):
    """Two requests of an address, and this one between them, take from one limit."""
    before = left(server, address)
    left(server, *forwarded, **options)
    return left(server, address) == before - 2


@pytest.mark.parametrize("address, forwarded", [
    ("203.0.113.1", ["203.0.113.1"]),
    ("203.0.113.2", ["198.51.100.1, 203.0.113.2"]),
    ("203.0.113.3", ["198.51.100.1,198.51.100.2 ,\t203.0.113.3 "]),
    ("203.0.113.4", ["203.0.113.4, 10.1.2.3"]),
    ("203.0.113.5", ["198.51.100.1, 203.0.113.5, 10.1.2.3, fd00::7, 127.0.0.1"]),
    ("203.0.113.6", ["not an address, 203.0.113.6"]),
    ("203.0.113.7", ["203.0.113.7, 10.1.2.3", "10.3.2.1"]),
    ("203.0.113.8", ["198.51.100.1", "203.0.113.8"]),
    ("2001:db8:1:1::1", ["198.51.100.1, 2001:db8:1:1::2"]),
    ("203.0.113.9", ["203.0.113.10, ::ffff:203.0.113.9"]),
])
def test_the_last_address_that_no_trusted_proxy_has_counts(behind, address, forwarded):
    assert is_counted_as(behind, address, *forwarded)


def test_ipv4_clients_in_the_form_of_ipv6_are_no_single_client(behind):
    """Some proxies write ::ffff:a.b.c.d: these addresses share all but their last 32 bits."""
    assert left(behind, "::ffff:203.0.113.31") == left(behind, "::ffff:203.0.113.32") == RATE - 1


def test_what_stands_before_it_changes_nothing(behind):
    """Ten requests of one client that invents a new origin each time."""
    first = left(behind, "198.51.100.0, 203.0.113.20")
    assert [left(behind, f"198.51.100.{number}, 203.0.113.20") for number in range(1, 10)] == list(range(first - 1, first - 10, -1))
    first = left(behind, "198.51.100.0", "203.0.113.21")
    assert [left(behind, f"198.51.100.{number}", "203.0.113.21") for number in range(1, 10)] == list(range(first - 1, first - 10, -1))


def test_a_peer_that_is_not_trusted_is_not_believed(behind):
    first = left(behind, "203.0.113.30", source="127.0.0.2")
    assert [left(behind, f"203.0.113.{number}", source="127.0.0.2") for number in range(31, 36)] == list(range(first - 1, first - 6, -1))
    assert left(behind, "203.0.113.30") == RATE - 1, "nothing was taken from the address that it named"


def test_other_fields_say_nothing(behind):
    first = left(behind, "203.0.113.40")
    others = [{"Forwarded": "for=203.0.113.41"}, {"X_Real_IP": "203.0.113.42"}, {"True_Client_IP": "203.0.113.43"},
              {"CF_Connecting_IP": "203.0.113.44"}]
    assert [left(behind, "203.0.113.40", **other) for other in others] == list(range(first - 1, first - 5, -1))


@pytest.mark.parametrize("junk", ["", " ", ",", "unknown", "203.0.113.50:4711", "[2001:db8::1]", "203.0.113.300", "203.0.113", "0x7f.1", "_hidden",
                                  "::1%lo", "203.0.113.50;", "," * 500, "a" * 3000])
def test_what_is_no_address_stands_for_who_passed_it_on(behind, junk):
    first = left(behind)
    assert left(behind, junk) == first - 1
    assert left(behind, f"{junk}, 10.9.9.9") == left(behind, "10.9.9.9") + 1


def test_without_trusted_proxies_nobody_is_believed(start_server):
    server = start_server(rate_anonymous=RATE)
    first = left(server, "203.0.113.1")
    assert [left(server, f"203.0.113.{number}") for number in range(2, 6)] == list(range(first - 1, first - 5, -1))


@pytest.mark.parametrize("value", ["10.0.0.0/33", "proxy.example.org", "10.0.0.1,,10.0.0.2", "10.0.0", "2001:db8::/129"])
def test_a_list_of_proxies_that_is_none_is_refused(value):
    with pytest.raises(RuntimeError, match="trusted.proxies"):
        wardmote_server.run(["config", "--trusted-proxies", value])
