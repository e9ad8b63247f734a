# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bodies that go into a file as they arrive (http_spool), against tests/unit/http_echo.c: whole, bounded, and without memory for them."""
import contextlib
import functools
import json
import pathlib
import time

import pytest

from wardmote_wire import CHUNKED, Client, request, serving

PIECE = bytes(range(256)) * 256  # 64 KiB


@pytest.fixture(scope="module")
def echo():
    with serving() as server:
        yield server


def checksum(data):
    return functools.reduce(lambda total, byte: (total * 31 + byte) & 0xffffffff, data, 0)


def resident(server):
    """KiB of memory that the server holds."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_arrives_is_in_the_file(echo):
    for size in (0, 1, 1000, 100_000):
        body = (PIECE * 2)[:size]
        with Client(echo.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % size, b"POST", b"/spool") + body)
            got = json.loads(client.answer().body)
            assert (got["length"], got["sum"]) == (size, checksum(body))


def test_chunks(echo):
    with Client(echo.address) as client:
        client.send(request(CHUNKED, b"POST", b"/spool") + b"".join(b"%x\r\n%s\r\n" % (n, b"y" * n) for n in (1, 17, 4000)) + b"0\r\n\r\n")
        got = json.loads(client.answer().body)
        assert (got["length"], got["sum"]) == (4018, checksum(b"y" * 4018))


def test_the_next_request_on_the_connection(echo):
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 5\r\n", b"POST", b"/spool") + b"12345" + request(b"Content-Length: 3\r\n", b"POST") + b"abc")
        assert [json.loads(client.answer().body)["length"] for _ in range(2)] == [5, 3]


def test_no_memory_is_held_for_it():
    """More than the most that all bodies of a worker may take in memory."""
    with serving() as server:
        before = resident(server)
        with Client(server.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % (160 << 20), b"POST", b"/spool"))
            for _ in range(160 << 4):
                client.send(PIECE)
            grown = resident(server) - before
            assert json.loads(client.answer().body)["length"] == 160 << 20
        assert grown < 8 << 10


def test_the_cap_holds(echo):
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % ((256 << 20) + 1), b"POST", b"/spool"))
        answer = client.answer()
        assert answer.status == 413 and json.loads(answer.body)["rule"] == "body_length"
    with Client(echo.address) as client:
        with contextlib.suppress(ConnectionError):
            client.send(request(CHUNKED, b"POST", b"/spool"))
            for _ in range((256 << 4) + 1):
                client.send(b"10000\r\n" + PIECE + b"\r\n")
        answer = client.answer()
        assert answer.status == 413 and json.loads(answer.body)["rule"] == "body_length"


def test_a_full_disk_refuses(echo):
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 1000\r\n", b"POST", b"/spool?full") + b"x" * 1000)
        answer = client.answer()
        assert answer.status == 503 and json.loads(answer.body)["rule"] == "body_disk" and answer["Retry-After"]
        assert client.closed()


def test_a_client_that_leaves_takes_its_request_along(echo):
    before = echo.stats()["ended"]
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: 100000\r\n", b"POST", b"/spool") + b"x" * 50000)
    wait_until(lambda: echo.stats()["active"] == 1 and echo.stats()["ended"] > before)


def chunk(size):
    return b"%x\r\n%s\r\n" % (size, b"x" * size)


def test_a_byte_now_and_then_is_no_upload():
    """However long the file is said to be: at 16 KiB/s over any span of 600 ms it has 9.6 KiB."""
    for framing, piece in ((b"Content-Length: %d\r\n" % (200 << 20), b"x"), (CHUNKED, chunk(1))):
        with serving(body=600) as server, Client(server.address) as client:
            client.send(request(framing, b"POST", b"/spool"))
            begun = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - begun < 5:
                    client.send(piece)
                    time.sleep(0.05)
            assert time.monotonic() - begun < 4
            answer = client.answer()
            assert answer is None or (answer.status == 408 and json.loads(answer.body)["rule"] == "body_timeout")


def test_a_slow_upload_in_chunks_goes_on():
    """Slow and short of 1 MiB, but never slower than the rate."""
    with serving(body=600) as server, Client(server.address) as client:
        client.send(request(CHUNKED, b"POST", b"/spool"))
        for _ in range(30):
            client.send(chunk(16 << 10))
            time.sleep(0.05)
        client.send(b"0\r\n\r\n")
        assert json.loads(client.answer().body)["length"] == 30 * (16 << 10)


def test_an_upload_has_a_deadline_of_its_own():
    for limits, ends in (({"transfer": 500, "upload": 60000}, False), ({"transfer": 60000, "upload": 500}, True)):
        with serving(body=600, **limits) as server, Client(server.address) as client:
            client.send(request(b"Content-Length: %d\r\n" % (30 << 16), b"POST", b"/spool"))
            with contextlib.suppress(ConnectionError):
                for _ in range(30):
                    client.send(b"x" * (1 << 16))
                    time.sleep(0.05)
            answer = client.answer()
            assert ends == (answer is None or answer.status == 408)
