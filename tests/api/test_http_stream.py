# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a streamed answer ends (src/http/stream.c), against tests/unit/http_echo.c: the library gives back the connection whatever the client does with its side."""
import contextlib

import pytest

from wardmote_suite import until
from wardmote_wire import Client, request, serving

PIECE = b"It begins.\n"
OLD = b"GET %s HTTP/1.0\r\n\r\n"


def body_of(client):
    """(All that comes behind the head, whether it ended without a reset)"""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := client.socket.recv(65536):
            got += data
        return got.partition(b"\r\n\r\n")[2], True
    return got.partition(b"\r\n\r\n")[2], False


@contextlib.contextmanager
def serving_another():
    """The library looks at its oldest connection each time, whatever happens: here that is none of those that are tested."""
    with serving() as server, Client(server.address) as oldest:
        oldest.send(request())
        assert oldest.answer().status == 200
        yield server


@pytest.mark.parametrize("late", [0, 50])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_connections_are_given_back(late, cut, old):
    """The end comes with the last bytes, or when all that there was has been sent long since."""
    target = b"/stream?ms=%d%s" % (late, b"&cut" if cut else b"")
    with serving_another() as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(5)]
        for client in clients:
            client.send(OLD % target if old else request(b"Connection: close\r\n", target=target))
        for client in clients:
            body, ended = body_of(client)
            if old:
                assert ended == (not cut) and (cut or body == PIECE)
            else:
                assert body.endswith(b"\r\n0\r\n\r\n") == (not cut)
        until(lambda: server.stats()["connections"] == 2, 5)  # the oldest and the one that asks; the clients have closed nothing


def test_memory_of_an_ended_connection_is_left_alone():
    """Its pool may be another's by now: what that one has sent so far must still be there when the other would have rested."""
    with serving_another() as server, contextlib.ExitStack() as stack:
        halves = []
        for _ in range(10):
            ended = stack.enter_context(Client(server.address))
            ended.send(OLD % b"/stream?ms=20")
            assert body_of(ended) == (PIECE, True)
            half = stack.enter_context(Client(server.address))
            half.send(request(b"X-Front-Id: " + b"b" * 6000 + b"\r\n")[:-4])
            halves.append(half)
        waiting = stack.enter_context(Client(server.address))
        waiting.send(request(target=b"/suspend?ms=1500"))  # longer than it takes until a connection rests
        assert waiting.answer().status == 200
        for half in halves:
            half.send(b"\r\n\r\n")
            assert half.answer().status == 200
