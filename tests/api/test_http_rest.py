# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an idle connection gives back (src/http/rest.c), against tests/unit/http_echo.c: its memory, but nothing that a client has sent."""
import contextlib
import json
import pathlib
import time

from wardmote_suite import until
from wardmote_wire import Client, request, serving

RESTS_AFTER = 1.0
LOOKS = 0.3  # until the worker has looked at it
MANY = 400


def resident_mib(server):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii").splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def checksum(body):
    total = 0
    for byte in body:
        total = (total * 31 + byte) % (1 << 32)
    return total


def rest():
    time.sleep(RESTS_AFTER + LOOKS)  # the time after which a connection gives its memory back is what is tested


def asked(client, data):
    client.send(data)
    answer = client.answer()
    assert answer is not None and answer.status == 200
    return json.loads(answer.body)


def test_memory_comes_back_and_requests_go_on():
    """Each time: what was dropped is zeros, as the library left it."""
    pools = MANY * 36 / 1024
    with serving(connections=1000) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(MANY)]
        for turn in range(3):
            body = b"%d" % turn * 5
            before = resident_mib(server)
            for client in clients:
                client.send(request(b"Content-Length: 5\r\n", b"POST", body=body))
            for client in clients:
                assert json.loads(client.answer().body)["sum"] == checksum(body)
            held = resident_mib(server)
            assert held - before > 0.8 * pools
            until(lambda held=held: held - resident_mib(server) > 0.8 * pools, 5)


def test_the_begin_of_a_request_is_kept():
    """It came behind a request, with its last bytes, and lies in the pool while nothing is done."""
    whole = request(b"X-Front-Id: second\r\n")
    with serving() as server, contextlib.ExitStack() as stack:
        clients = {cut: stack.enter_context(Client(server.address)) for cut in (1, 2, 16, 40)}
        for cut, client in clients.items():
            assert asked(client, request(b"X-Front-Id: first\r\n") + whole[:cut])["front"] == "first"
        rest()
        for cut, client in clients.items():
            assert asked(client, whole[cut:])["front"] == "second"
        rest()
        for client in clients.values():
            assert asked(client, request(b"Content-Length: 3\r\n", b"POST", body=b"abc"))["sum"] == checksum(b"abc")


def test_what_lies_elsewhere_than_it_seems():
    """Empty lines before a request move its head within the pool, by a page when it is meant ill; what lies behind the pool belongs to others."""
    with serving() as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(20)]  # their pools lie one below the other
        halves, others = clients[::2], clients[1::2]
        for half in halves:
            half.send(request(b"X-Front-Id: " + b"b" * 6000 + b"\r\n")[:-4])
        for n, other in enumerate(others):
            asked(other, b"\r\n" * (1, 2048, 3000)[n % 3] + request())
        rest()
        for half in halves:
            assert asked(half, b"\r\n\r\n")["front"] == "b" * 6000
        for other in others:
            assert asked(other, request())["method"] == "GET"


def test_an_idle_connection_still_ends_in_time():
    with serving(idle=1500, header=1000) as server, Client(server.address) as client:
        asked(client, request())
        begun = time.monotonic()
        assert client.closed()
        assert 1.4 < time.monotonic() - begun < 2.5
