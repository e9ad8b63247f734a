# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who gives way when one worker has too many bodies or answers under way (src/http/pressure.c), against tests/unit/http_echo.c."""
import contextlib
import os
import select
import signal
import time

from wardmote_suite import until
from wardmote_wire import Client, Traced, request, serving


def test_what_was_refused_is_not_done():
    """The rest of a body comes in the tick in which its connection has to give way: 503 was said, so the application must not see the request."""
    with Traced(connections=2000) as traced, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(traced.address)) for _ in range(513)]
        newcomer = clients.pop()
        newcomer.send(request())
        assert newcomer.answer().status == 200
        for n, client in enumerate(clients, 1):
            client.send(request(b"Content-Length: 10\r\n", b"POST") + b"x")
            if n in (1, 512):
                until(lambda n=n: traced.server.stats()["active"] == n + 1)
        traced.forget()
        os.kill(traced.server.process.pid, signal.SIGSTOP)
        newcomer.send(request(b"Content-Length: 10\r\n", b"POST") + b"x")
        time.sleep(0.05)  # the server hears of the newcomer first
        clients[0].send(b"123456789")
        os.kill(traced.server.process.pid, signal.SIGCONT)
        assert clients[0].answer().status == 503 and clients[0].closed()
        until(lambda: traced.server.stats()["active"] == 513)
        assert [seen.get("rule", seen.get("method")) for seen in traced.seen()] == ["body_memory"] + ["GET"] * (len(traced.seen()) - 1)


def test_the_oldest_body_gives_way():
    """Whoever was looked at in between: else those who hold many bodies stay, and the quick ones push each other out."""
    with serving(connections=2000, body=6000) as server, contextlib.ExitStack() as stack:
        def begin_body():
            client = stack.enter_context(Client(server.address))
            client.send(request(b"Content-Length: 10\r\n", b"POST") + b"x")
            return client

        start = time.monotonic()
        old = [begin_body() for _ in range(511)]
        until(lambda: server.stats()["active"] == 512)
        time.sleep(max(0.0, start + 0.9 - time.monotonic()))  # shortly before the old ones are looked at
        young = begin_body()
        until(lambda: server.stats()["active"] == 513)
        time.sleep(max(0.0, start + 1.6 - time.monotonic()))  # the old ones have been looked at, the young one has not
        begin_body()
        readable, _, _ = select.select([client.socket for client in [*old, young]], [], [], 10)
        assert readable and young.socket not in readable
        young.send(b"123456789")
        assert young.answer().status == 200


def test_a_long_answer_is_not_cut_for_the_short_ones_of_others():
    """Nor for another long one that began before it, and gives way."""
    got, long = {}, 34 << 20

    def read(client, size):
        with contextlib.suppress(ConnectionError):
            while got.get(client, 0) < size and (data := client.socket.recv(256 << 10)):
                got[client] = got.get(client, 0) + len(data)
                server.stats()
        return got[client] >= size

    with serving() as server, Client(server.address) as first, Client(server.address) as second:
        for client in (first, second):
            client.send(request(target=b"/big?bytes=%d" % long))
            assert read(client, 10 << 20)
            time.sleep(0.3)  # older than those that are left in peace
        assert read(second, long)
