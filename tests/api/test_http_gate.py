# SPDX-License-Identifier: AGPL-3.0-or-later
"""The HTTP layer over raw sockets: deadlines, suspended requests, long bodies and answers, shedding and draining, against tests/unit/http_echo.c. What is refused
before it is routed is in tests/wire."""
import contextlib
import gzip
import json
import os
import re
import select
import signal
import socket
import threading
import time

import pytest

from wardmote_wire import CHUNKED, ROOT, Client, Server, get, request, serving


@pytest.fixture(scope="module")
def echo():
    with serving() as server:
        yield server


def test_pipelined_in_order(echo):
    with Client(echo.address) as client:
        sent = b"".join(request(target=b"/suspend?ms=0&n=%d" % i if i % 3 == 0 else b"/echo?n=%d" % i) for i in range(1000))
        sender = threading.Thread(target=client.send, args=(sent,))
        sender.start()
        for i in range(1000):
            answer = client.answer()
            assert answer is not None and f"n={i}\"" in answer.body.decode()
        sender.join()


def test_pipelined_bodies_in_order(echo):
    with Client(echo.address) as client:
        client.send(b"".join(request(b"Content-Length: %d\r\n" % i, b"POST", body=b"x" * i) for i in range(200)))
        for i in range(200):
            assert json.loads(client.answer().body)["length"] == i


def test_refusal_ends_a_pipeline(echo):
    with Client(echo.address) as client:
        client.send(request() + request(b"Host: b\r\n") + request(target=b"/never"))
        assert [client.answer().status, client.answer().status] == [200, 400]
        assert client.answer() is None


def test_large_body(echo):
    body = os.urandom(16 << 20)
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % len(body), b"POST", b"/large") + body)
        got = json.loads(client.answer().body)
        total = 0
        for byte in body[:100000]:
            total = (total * 31 + byte) & 0xffffffff
        assert got["length"] == len(body)
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 50000\r\n", b"POST") + body[:50000])
        total = 0
        for byte in body[:50000]:
            total = (total * 31 + byte) & 0xffffffff
        assert json.loads(client.answer().body)["sum"] == total


@pytest.mark.parametrize("size", [65537, 2 << 20, 50 << 20])
def test_body_over_the_cap(echo, size):
    """The answer arrives although the client is still sending."""
    with Client(echo.address) as client:
        with contextlib.suppress(ConnectionError):
            client.send(request(b"Content-Length: %d\r\n" % size, b"POST"))
            client.send(b"x" * min(size, 900000))
        answer = client.answer()
        assert answer.status == 413 and json.loads(answer.body)["rule"] == "body_length" and answer["Connection"] == "close"
        assert client.closed()


def test_refused_body_is_dropped_for_a_while(echo):
    """A reset could overtake the answer, so what is under way is still taken in: 1 MiB of it, and for 2 s."""
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % (50 << 20), b"POST"))
        assert client.answer().status == 413
        for _ in range(8):
            client.send(b"x" * 100000)
            time.sleep(0.03)
        with pytest.raises(ConnectionError):
            for _ in range(200):
                client.send(b"x" * 100000)
                time.sleep(0.03)
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % (50 << 20), b"POST"))
        assert client.answer().status == 413
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            dribble_on(client)
        assert 1.5 < time.monotonic() - start < 5


def dribble_on(client):
    while True:
        client.send(b"x")
        time.sleep(0.05)


def test_endless_chunks(echo):
    with Client(echo.address) as client:
        client.send(request(CHUNKED, b"POST"))
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                client.send(b"8000\r\n" + b"x" * 32768 + b"\r\n")
        answer = client.answer()
        assert answer.status == 413 and answer["Date"] and answer["Content-Type"] == "application/problem+json"
        assert client.closed()


def test_memory_for_bodies_is_bounded():
    """128 MiB for all of a worker's bodies: above it 503 and not the machine's memory."""
    with serving() as server:
        clients = [Client(server.address) for _ in range(9)]
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.send(request(b"Content-Length: %d\r\n" % (16 << 20), b"POST", b"/large") + b"x" * (9 << 20))
        readable, _, _ = select.select([client.socket for client in clients], [], [], 10)
        answer = next(client for client in clients if client.socket in readable).answer()
        assert answer.status == 503 and json.loads(answer.body)["rule"] == "body_memory" and answer["Retry-After"]
        for client in clients:
            client.close()
        wait_for(lambda: server.stats()["active"] == 1)
        with Client(server.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % (16 << 20), b"POST", b"/large") + b"x" * (16 << 20))
            assert client.answer().status == 200


def test_early_answer(echo):
    with Client(echo.address) as client:
        client.send(request(target=b"/early") + request())
        assert client.answer().status == 403
        assert client.answer().status == 200  # a request without body keeps the connection
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 100000\r\nExpect: 100-continue\r\n", b"POST", b"/early"))
        answer = client.answer()
        assert answer.status == 403 and answer["Connection"] == "close"
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 800000\r\n", b"POST", b"/early") + b"x" * 800000)
        assert client.answer().status == 403
        assert client.closed()


def test_continue(echo):
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 5\r\nExpect: 100-Continue\r\n", b"POST"))
        assert client.answer().status == 100
        client.send(b"hello")
        assert json.loads(client.answer().body)["length"] == 5


def test_head(echo):
    with Client(echo.address) as client:
        client.send(request(method=b"HEAD", target=b"/big?bytes=5000") + request())
        answer = client.answer(head=True)
        assert (answer.status, answer["Content-Length"]) == (200, "5000")
        assert client.answer().status == 200


@pytest.mark.parametrize("vectors", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 100000, 5 << 20])
def test_answer_bodies(echo, size, vectors):
    expected = bytes(ord("a") + i % 23 for i in range(23)) * (size // 23 + 1)
    plain = get(echo.address, f"/big?bytes={size}&vectors={vectors}&gzip")
    assert plain.body == expected[:size] and plain["Content-Encoding"] is None
    coded = get(echo.address, f"/big?bytes={size}&vectors={vectors}&gzip", b"Accept-Encoding: br, gzip\r\n")
    assert (plain["Vary"], coded["Vary"]) == ("Origin, Accept-Encoding",) * 2
    if 1024 < size <= 4 << 20:
        assert coded["Content-Encoding"] == "gzip" and len(coded.body) < size
        assert gzip.decompress(coded.body) == expected[:size]
    else:
        assert coded["Content-Encoding"] is None and coded.body == expected[:size]


@pytest.mark.parametrize("accept, coded", [("gzip", True), ("GZIP;q=0.001", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("*", True),
                                           ("*;q=0", False), ("br", False), ("*, gzip;q=0", False), ("", False), ("x-gzip", True),
                                           ("identity;q=1, *;q=0", False), ("gzip;q=x", False)])
def test_accept_encoding(echo, accept, coded):
    answer = get(echo.address, "/big?bytes=2000&gzip", b"Accept-Encoding: " + accept.encode() + b"\r\n")
    assert (answer["Content-Encoding"] == "gzip") == coded


def test_suspended_requests_run_side_by_side(echo):
    clients = [Client(echo.address) for _ in range(200)]
    start = time.monotonic()
    for i, client in enumerate(clients):
        client.send(request(target=b"/suspend?ms=300&n=%d" % i))
    for i, client in enumerate(clients):
        assert f"n={i}\"" in client.answer().body.decode()
        client.close()
    assert time.monotonic() - start < 5


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def test_client_gone_while_suspended():
    with serving() as server:
        for _ in range(20):
            client = Client(server.address)
            client.send(request(target=b"/suspend?ms=200"))
            client.close()
        wait_for(lambda: server.stats()["ended"] >= 20)
        stats = server.stats()
        assert stats["sent"] < stats["ended"]  # an answer to nobody does not count as sent
        assert stats["active"] == 1 and stats["connections"] <= 2


def test_client_that_sends_and_leaves():
    """The library misses an end of input that comes together with data; such a connection must not wait for its deadline."""
    with serving(header=500, body=3000) as server:
        clients = [Client(server.address) for _ in range(20)]
        server.stats()  # all are accepted
        server.process.send_signal(signal.SIGSTOP)
        for client, data in zip(clients, (request(), request(b"Content-Length: 900000\r\n", b"POST", b"/large") + b"x" * 20000) * 10):
            client.send(data)
            client.close()
        server.process.send_signal(signal.SIGCONT)
        wait_for(lambda: server.stats()["connections"] == 1, seconds=2)


def test_client_gone_within_an_answer():
    with serving() as server:
        for _ in range(5):
            client = Client(server.address)
            client.send(request(target=b"/big?bytes=30000000&vectors=3"))
            client.fill()
            client.close()
        wait_for(lambda: server.stats()["released"] == 5)


def elapsed_until_closed(client):
    start = time.monotonic()
    client.closed()
    return time.monotonic() - start


def dribble(client, data, interval):
    """Sends byte by byte until the server has had enough."""
    with contextlib.suppress(ConnectionError):
        for i in range(len(data)):
            client.send(data[i:i + 1])
            time.sleep(interval)


def test_header_deadline_is_absolute():
    with serving(header=600) as server:
        silent, partial, dribbling, later = (Client(server.address) for _ in range(4))
        start = time.monotonic()
        partial.send(b"GET /echo HTTP/1.1\r\nHost: loc")
        thread = threading.Thread(target=dribble, args=(dribbling, request(b"A: " + b"a" * 400 + b"\r\n"), 0.05))
        thread.start()
        assert silent.closed() and silent.rest == b""
        answer = partial.answer()
        assert answer.status == 408 and answer["Connection"] == "close"
        assert partial.closed() and dribbling.closed()
        assert 0.5 < time.monotonic() - start < 3
        thread.join()
        later.close()


def test_header_deadline_on_a_kept_connection():
    with serving(header=500, idle=60000) as server, Client(server.address) as client:
        client.send(request())
        assert client.answer().status == 200
        time.sleep(1.2)  # longer than the header's time: idle is not dribbling
        client.send(request())
        assert client.answer().status == 200
        time.sleep(0.1)
        start = time.monotonic()
        dribble(client, b"GET /" + b"a" * 60, 0.05)
        assert client.closed() and time.monotonic() - start < 4


def test_idle_deadline():
    with serving(header=400, idle=800) as server, Client(server.address) as client:
        client.send(request())
        assert client.answer().status == 200
        assert 0.6 < elapsed_until_closed(client) < 3
        assert client.rest == b""


def test_body_deadline_is_absolute():
    with serving(body=600) as server, Client(server.address) as client:
        client.send(request(b"Content-Length: 100\r\n", b"POST"))
        start = time.monotonic()
        dribble(client, b"x" * 60, 0.05)
        answer = client.answer()
        assert answer is None or answer.status == 408
        assert client.closed() and 0.4 < time.monotonic() - start < 5


def test_body_deadline_is_told():
    with serving(body=300) as server, Client(server.address) as client:
        client.send(request(b"Content-Length: 100\r\n", b"POST") + b"x")
        answer = client.answer()
        assert answer.status == 408 and json.loads(answer.body)["rule"] == "body_timeout"
        assert client.closed()


def test_long_body_keeps_its_rate():
    """Longer than 1 MiB: slow but steady passes the deadline of short ones, a stall does not."""
    with serving(body=600) as server:
        with Client(server.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % (3 << 20), b"POST", b"/large"))
            for _ in range(12):
                client.send(b"x" * (256 << 10))
                time.sleep(0.1)
            assert json.loads(client.answer().body)["length"] == 3 << 20
        with Client(server.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % (3 << 20), b"POST", b"/large") + b"x" * (2 << 20))
            assert client.answer().status == 408
    with serving(body=400, transfer=1000) as server, Client(server.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % (16 << 20), b"POST", b"/large"))
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for _ in range(60):
                client.send(b"x" * (64 << 10))
                time.sleep(0.05)
        assert client.closed() and time.monotonic() - start < 6


def slow_reader(server, size):
    client = Client.__new__(Client)
    client.socket = socket.socket()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.socket.settimeout(10)
    client.socket.connect(server.address)
    client.rest = b""
    client.send(request(target=b"/big?bytes=%d" % size))
    return client


@pytest.mark.parametrize("size", [900000, 30 << 20])
def test_slow_reader_is_cut(size):
    with serving(body=600) as server:
        clients = [slow_reader(server, size) for _ in range(10)]
        wait_for(lambda: server.stats()["made"] == 10)
        if size > 1 << 20:  # the kernel holds what is less: then the library is done before the client
            wait_for(lambda: server.stats()["released"] == 10)
            stats = server.stats()
            assert stats["ended"] - stats["sent"] == 10 and stats["connections"] == 1
        for client in clients:
            client.close()


def test_steady_reader_of_a_long_answer():
    with serving(body=600) as server, Client(server.address) as client:
        size = 20 << 20
        client.send(request(target=b"/big?bytes=%d" % size))
        got = 0
        while got < size:
            got += len(client.socket.recv(1 << 20))
            if got % 7 == 0:
                time.sleep(0.01)
        assert got > size


def test_soft_limit():
    with serving(connections=10) as server:
        inside = [Client(server.address) for _ in range(9)]
        for client in inside:
            client.send(request())
            assert client.answer().status == 200
        start = time.monotonic()
        with Client(server.address) as client:
            client.send(request())
            answer = client.answer()
            assert answer.status == 503 and answer["Retry-After"] == "1" and answer["Connection"] == "close"
            assert time.monotonic() - start < 1 and client.closed()
        for client in inside:
            client.send(request())
            assert client.answer().status == 200  # those inside are not disturbed
        for client in inside[:3]:
            client.close()
        wait_for(lambda: get(server.address, "/echo").status == 200)
        for client in inside:
            client.close()


def test_slow_connections_do_not_slow_others():
    with serving(connections=3000) as server:
        slow = [Client(server.address) for _ in range(500)]
        for client in slow:
            client.send(b"GET /echo HTTP/1.1\r\nHost: l")
        start = time.monotonic()
        with Client(server.address) as client:
            for _ in range(200):
                client.send(request())
                assert client.answer().status == 200
        assert time.monotonic() - start < 2
        for client in slow:
            client.close()


def cpu_seconds(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("data", [request(target=b"/echo?" + b"a&" * 4090)[:-2], request(b"Content-Length: 100\r\n", b"POST") + b"x",
                                  request(CHUNKED, b"POST") + b"ffff\r\nx", request(CHUNKED, b"POST") + b"f", b"GET /echo HTTP/1.1\r\nA: b",
                                  request(b"Cookie: " + b"a=b; " * 1500 + b"\r\nA: b")[:-2], request(target=b"/suspend?ms=1500")],
                         ids=["parameters", "body", "chunk", "chunk size", "head", "cookies", "suspended"])
def test_waiting_costs_no_cpu(data):
    with serving() as server, Client(server.address) as client:
        client.send(data)
        time.sleep(0.1)
        before = cpu_seconds(server)
        time.sleep(1)
        assert cpu_seconds(server) - before < 0.1


def test_drain():
    server = Server()
    kept, busy, fresh = Client(server.address), Client(server.address), Client(server.address)
    kept.send(request())
    assert kept.answer().status == 200
    busy.send(request(target=b"/suspend?ms=500"))
    wait_for(lambda: server.stats()["active"] == 2)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert kept.closed() and time.monotonic() - start < 0.4
    fresh.send(request())  # connected before the drain began: served
    assert fresh.answer().status == 200
    answer = busy.answer()
    assert answer.status == 200 and answer["Connection"] == "close" and busy.closed()
    out, err = server.process.communicate(timeout=20)
    counters = json.loads(out)
    assert (server.process.returncode, err) == (0, "") and counters["begun"] == counters["ended"]
    assert time.monotonic() - start < 3


def test_stop_with_everything_under_way():
    """Whatever connections do, a stop neither aborts nor leaks (run it under ASan)."""
    server = Server()
    clients = [Client(server.address) for _ in range(8)]
    for client, data in zip(clients, [b"", b"GET /ec", request(), request(b"Content-Length: 9\r\n", b"POST") + b"x",
                                      request(target=b"/suspend?ms=60000"), request(target=b"/big?bytes=40000000"),
                                      request(b"Content-Length: 900000\r\n", b"POST") + b"x", request(CHUNKED, b"POST") + b"5\r\nhe"]):
        client.send(data)
    wait_for(lambda: server.stats()["begun"] >= 6)
    server.stop()
    for client in clients:
        client.close()


def test_every_rule_is_documented():
    """docs/http-gate.md and the source name the same rules."""
    source = (ROOT / "src/http/gate.c").read_text(encoding="utf-8")
    rules = set(re.findall(r'(?:MALFORMED\(|SINGLE\("[^"]+", |, \d{3}, )"([a-z0-9_]+)"', source))
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \|", (ROOT / "docs/http-gate.md").read_text(encoding="utf-8"), re.M))
    assert len(rules) > 35 and rules == documented
