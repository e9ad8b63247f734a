# SPDX-License-Identifier: AGPL-3.0-or-later
"""The HTTP gate over raw sockets: what libmicrohttpd lets through and we refuse, deadlines, suspended requests, shedding and draining.

Everything runs against tests/unit/http_echo.c, a server over the HTTP layer alone (WARDMOTE_TEST_HTTP_ECHO names the binary; else it is looked for beside
WARDMOTE_BIN, or in the build folders); the refusals also against the real server, or the one at WARDMOTE_TEST_URL."""
import contextlib
import glob
import gzip
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOST = b"Host: localhost\r\n"


def echo_binary():
    named = os.environ.get("WARDMOTE_TEST_HTTP_ECHO")
    if named:
        return named
    build = os.environ.get("WARDMOTE_BIN", os.path.join(ROOT, "build*/src/server/wardmote"))
    found = glob.glob(os.path.join(os.path.dirname(build), "../../tests/unit/http_echo"))
    if not found:
        raise RuntimeError("no http_echo binary: build one, or set WARDMOTE_TEST_HTTP_ECHO")
    return max(found, key=os.path.getmtime)


class Server:
    def __init__(self, **limits):
        self.process = subprocess.Popen([echo_binary()] + [f"{name}={value}" for name, value in limits.items()], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        host, _, port = self.process.stdout.readline().strip().rpartition(":")
        self.address = (host, int(port))

    def stop(self):
        """Drains it; its counters must agree, and it must leave without a word."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, err) == (0, "")
        counters = json.loads(out)
        assert counters["begun"] == counters["ended"] and counters["made"] == counters["released"]
        return counters

    def stats(self):
        return json.loads(get(self.address, "/stats").body)


@contextlib.contextmanager
def serving(**limits):
    server = Server(**limits)
    try:
        yield server
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="module")
def echo():
    with serving() as server:
        yield server


@pytest.fixture(scope="module", params=["echo", "wardmote"])
def target(request):
    """Where refusals are tried: the HTTP layer alone, which also names the rule, and the real server."""
    if request.param == "echo":
        return request.getfixturevalue("echo").address, True
    parts = urlsplit(os.environ.get("WARDMOTE_TEST_URL") or request.getfixturevalue("server").url)
    return (parts.hostname, parts.port or 80), False


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name.lower())


class Client:
    """One connection. Reads answers one after another, bytes kept between them."""

    def __init__(self, address, timeout=10):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.rest += data
        return bool(data)

    def answer(self, head=False):
        """The next answer, or None when the connection was closed instead."""
        while b"\r\n\r\n" not in self.rest:
            if not self.fill():
                return None
        block, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = block.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            fields[name.lower()] = f"{fields[name.lower()]}, {value}" if name.lower() in fields else value
        length = 0 if head or status in (204, 304) or status < 200 else int(fields["content-length"])
        while len(self.rest) < length:
            if not self.fill():
                return None
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, fields, body)

    def closed(self):
        """Did the server close? Waits for it."""
        while self.fill():
            pass
        return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def get(address, target, fields=b""):
    with Client(address) as client:
        client.send(b"GET " + target.encode() + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n")
        return client.answer()


def request(fields=b"", method=b"GET", target=b"/echo", version=b"HTTP/1.1", host=HOST, body=b""):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

# name, bytes, statuses allowed (0: closed without an answer), rule or None where the library itself answers
REFUSED = [
    ("space before colon", request(b"Content-Length : 5\r\n", b"POST", body=b"hello" + SMUGGLED), {400}, "field_name"),
    ("space before colon of TE", request(b"Transfer-Encoding : chunked\r\n", b"POST", body=b"0\r\n\r\n"), {400}, "field_name"),
    ("folded value", request(b"Foo: bar\r\n baz\r\n"), {400}, "head_layout"),
    ("folded with tab", request(b"Foo: bar\r\n\tbaz\r\n"), {400}, "head_layout"),
    ("folded name becomes Content-Length", request(b"Content-: 00000000000005\r\n Length\r\n", b"POST", body=b"hello"), {400}, "head_layout"),
    ("folded name becomes Authorization", request(b"Authoriza: Bearer FORGED\r\n tion\r\n"), {400}, "head_layout"),
    ("folded, last of many", request(b"A: 1\r\nB: 2\r\nC: 3\r\n D\r\n\tE\r\n"), {400}, "head_layout"),
    ("folded to nothing", request(b"Foo: bar\r\n \r\nA: b\r\n"), {400}, "head_layout"),
    ("space before the first field", request(host=b" Host: localhost\r\n"), {400}, "field_name"),
    ("TE and CL", request(CHUNKED + b"Content-Length: 5\r\n", b"POST", body=b"0\r\n\r\n" + SMUGGLED), {400}, "transfer_encoding_and_content_length"),
    ("CL and TE", request(b"Content-Length: 5\r\n" + CHUNKED, b"POST", body=b"0\r\n\r\n" + SMUGGLED), {400}, "transfer_encoding_and_content_length"),
    ("two CLs", request(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"POST", body=b"hello!"), {400}, "duplicate_content_length"),
    ("two equal CLs", request(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"POST", body=b"hello"), {400}, "duplicate_content_length"),
    ("TE gzip, chunked", request(b"Transfer-Encoding: gzip, chunked\r\n", b"POST", body=b"0\r\n\r\n"), {501}, "transfer_encoding"),
    ("TE identity", request(b"Transfer-Encoding: identity\r\n", b"POST"), {501}, "transfer_encoding"),
    ("TE xchunked", request(b"Transfer-Encoding: xchunked\r\n", b"POST"), {501}, "transfer_encoding"),
    ("TE chunked with space", request(b"Transfer-Encoding: chunked \r\n", b"POST", body=b"0\r\n\r\n"), {501}, "transfer_encoding"),
    ("TE chunked, chunked", request(b"Transfer-Encoding: chunked, chunked\r\n", b"POST"), {501}, "transfer_encoding"),
    ("empty TE", request(b"Transfer-Encoding:\r\n", b"POST"), {501}, "transfer_encoding"),
    ("two TEs", request(CHUNKED + CHUNKED, b"POST", body=b"0\r\n\r\n"), {400}, "duplicate_transfer_encoding"),
    ("TE in HTTP/1.0", request(CHUNKED, b"POST", version=b"HTTP/1.0", body=b"0\r\n\r\n"), {400}, "transfer_encoding_in_http_1_0"),
    ("CL 2^64-1", request(b"Content-Length: 18446744073709551615\r\n", b"POST"), {413}, "body_length"),
    ("CL 2^64", request(b"Content-Length: 18446744073709551616\r\n", b"POST"), {413}, None),
    ("CL 10 GB", request(b"Content-Length: 10000000000\r\n", b"POST"), {413}, "body_length"),
    ("CL +5", request(b"Content-Length: +5\r\n", b"POST", body=b"hello"), {400}, None),
    ("CL -1", request(b"Content-Length: -1\r\n", b"POST"), {400}, None),
    ("CL 0x5", request(b"Content-Length: 0x5\r\n", b"POST", body=b"hello"), {400}, None),
    ("CL 5, 5", request(b"Content-Length: 5, 5\r\n", b"POST", body=b"hello"), {400}, None),
    ("empty CL", request(b"Content-Length:\r\n", b"POST"), {400}, None),
    ("HTTP/1.2", request(version=b"HTTP/1.2"), {505}, "http_version"),
    ("HTTP/1.9", request(version=b"HTTP/1.9"), {505}, "http_version"),
    ("HTTP/2.0", request(version=b"HTTP/2.0"), {505}, None),
    ("HTTP/0.9", b"GET /\r\n\r\n", {400, 0}, None),
    ("bare LF after a field", b"GET /echo HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", {400}, "head_layout"),
    ("bare LF after the request line", b"GET /echo HTTP/1.1\nHost: localhost\r\n\r\n", {400}, "head_layout"),
    ("bare LF at the end of the head", b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\n", {400}, "head_layout"),
    ("bare LFs only", b"GET /echo HTTP/1.1\nHost: localhost\n\n", {400}, "head_layout"),
    ("LF NUL x LF at the end of the head", b"GET /echo HTTP/1.1\r\nHost: localhost\n\0x\n", {400}, "head_layout"),
    ("bare CR in a value", request(b"A: a\rInj: 1\r\n"), {400}, "field_value"),
    ("escape in a value", request(b"A: a\x1b[31m\r\n"), {400}, "field_value"),
    ("DEL in a value", request(b"A: a\x7f\r\n"), {400}, "field_value"),
    ("NUL in a value", request(b"A: a\x00b\r\n"), {400}, "head_layout"),
    ("NUL at the end of a value", request(b"A: a\x00\r\n"), {400}, "head_layout"),
    ("NUL in the target", request(target=b"/echo\x00b"), {400}, "head_layout"),
    ("NUL in a name", request(b"A\x00: b\r\n"), {400}, None),
    ("NUL in the query", request(target=b"/echo?a=\x00b"), {400}, "head_layout"),
    ("two spaces before the target", b"GET  /echo HTTP/1.1\r\n" + HOST + b"\r\n", {400}, "head_layout"),
    ("%00 in the path", request(target=b"/a%00b"), {400}, "target_nul"),
    ("%00 in the query", request(target=b"/echo?a=%00"), {400}, "target_nul"),
    ("%2f", request(target=b"/a%2fb"), {400}, "target_not_canonical"),
    ("%2F", request(target=b"/a%2Fb"), {400}, "target_not_canonical"),
    ("%5c", request(target=b"/a%5cb"), {400}, "target_not_canonical"),
    ("%61", request(target=b"/%61dmin"), {400}, "target_not_canonical"),
    ("%2e%2e", request(target=b"/a/%2e%2e/b"), {400}, "target_not_canonical"),
    ("%7E", request(target=b"/%7Euser"), {400}, "target_not_canonical"),
    ("%0a in the path", request(target=b"/a%0ab"), {400}, "target_control"),
    ("%zz", request(target=b"/%zz"), {400}, "target_escape"),
    ("%4", request(target=b"/a%4"), {400}, "target_escape"),
    ("% at the end", request(target=b"/a%"), {400}, "target_escape"),
    ("%zz in the query", request(target=b"/echo?a=%zz"), {400}, "target_escape"),
    ("overlong UTF-8", request(target=b"/%c0%af"), {400}, "target_utf8"),
    ("overlong UTF-8, three bytes", request(target=b"/%e0%80%af"), {400}, "target_utf8"),
    ("surrogate", request(target=b"/%ed%a0%80"), {400}, "target_utf8"),
    ("beyond Unicode", request(target=b"/%f4%90%80%80"), {400}, "target_utf8"),
    ("UTF-8 cut by a slash", request(target=b"/%c3/%a9"), {400}, "target_utf8"),
    ("UTF-8 cut by the query", request(target=b"/%c3?%a9"), {400}, "target_utf8"),
    ("UTF-8 cut by the end", request(target=b"/a?b=%c3"), {400}, "target_utf8"),
    ("raw UTF-8", request(target="/é".encode()), {400}, "target_character"),
    ("dot segment", request(target=b"/v1/./admin"), {400}, "target_dot_segment"),
    ("two dots", request(target=b"/v1/../admin"), {400}, "target_dot_segment"),
    ("two dots at the end", request(target=b"/v1/.."), {400}, "target_dot_segment"),
    ("dot before the query", request(target=b"/v1/.?a=b"), {400}, "target_dot_segment"),
    ("backslash", request(target=b"/a\\b"), {400}, "target_character"),
    ("space in the target", request(target=b"/a b"), {400}, "target_character"),
    ("tab in the target", request(target=b"/a\tb"), {400}, "target_character"),
    ("quote in the query", request(target=b'/echo?a="'), {400}, "target_character"),
    ("fragment", request(target=b"/echo#a"), {400}, "target_fragment"),
    ("fragment in the query", request(target=b"/echo?a#b"), {400}, "target_fragment"),
    ("absolute form", request(target=b"http://evil/echo"), {400}, "target_form"),
    ("authority form", request(target=b"localhost:80"), {400}, "target_form"),
    ("asterisk form", request(target=b"*", method=b"OPTIONS"), {400}, "target_form"),
    ("no target", b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", {400, 0}, None),
    ("no Host", request(host=b""), {400}, "host_missing"),
    ("empty Host", request(host=b"Host:\r\n"), {400}, "host"),
    ("Host with a path", request(host=b"Host: a/b\r\n"), {400}, "host"),
    ("Host with a user", request(host=b"Host: a@b\r\n"), {400}, "host"),
    ("two Hosts", request(b"Host: other\r\n"), {400}, "duplicate_host"),
    ("two Hosts in HTTP/1.0", request(b"host: other\r\n", version=b"HTTP/1.0"), {400}, "duplicate_host"),
    ("two Authorizations", request(b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n"), {400}, "duplicate_authorization"),
    ("two Content-Types", request(b"Content-Type: a/b\r\nContent-Type: a/c\r\n"), {400}, "duplicate_content_type"),
    ("two If-Matches", request(b'If-Match: "a"\r\nIf-Match: "b"\r\n'), {400}, "duplicate_if_match"),
    ("two Idempotency-Keys", request(b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), {400}, "duplicate_idempotency_key"),
    ("lower case method", request(method=b"get"), {501}, "method"),
    ("TRACE", request(method=b"TRACE"), {501}, "method"),
    ("CONNECT", request(method=b"CONNECT", target=b"localhost:443"), {501}, "method"),
    ("PROPFIND", request(method=b"PROPFIND"), {501}, "method"),
    ("empty name", request(b": x\r\n"), {400}, "head_layout"),
    ("parenthesis in a name", request(b"A(b): x\r\n"), {400}, "field_name"),
    ("UTF-8 in a name", request("Ä: x\r\n".encode()), {400}, "field_name"),
    ("line without a colon", request(b"nonsense\r\n"), {400}, None),
    ("expectation", request(b"Expect: 200-ok\r\n"), {400}, "expect"),
    ("compressed body", request(b"Content-Encoding: gzip\r\nContent-Length: 1\r\n", b"POST", body=b"x"), {415}, "content_encoding"),
    ("long target", request(target=b"/" + b"a" * 8192), {414}, "target_length"),
    ("long query", request(target=b"/?" + b"a" * 8192), {414}, "target_length"),
    ("64 KiB target", request(target=b"/" + b"a" * 65536), {414, 0}, None),
    ("long value", request(b"A: " + b"a" * 8192 + b"\r\n"), {431}, "headers_length"),
    ("64 KiB value", request(b"A: " + b"a" * 65536 + b"\r\n"), {431, 0}, None),
    ("many fields", request(b"A: b\r\n" * 1500), {431, 0}, None),
    ("many cookies", request(b"Cookie: " + b"a=b; " * 1500 + b"\r\n"), {431, 0}, None),
    ("chunk size not hexadecimal", request(CHUNKED, b"POST", body=b"xyz\r\n"), {400}, None),
    ("chunk size 0x5", request(CHUNKED, b"POST", body=b"0x5\r\nhello\r\n0\r\n\r\n"), {400}, None),
    ("chunk size overflow", request(CHUNKED, b"POST", body=b"fffffffffffffffff\r\n"), {413}, None),
    ("chunk without CRLF", request(CHUNKED, b"POST", body=b"5\r\nhelloXY"), {400}, None),
]
# Faults of the body: the real server has no route there, and so reads none.
ROUTED = {"CL 10 GB", "chunk size not hexadecimal", "chunk size 0x5", "chunk size overflow", "chunk without CRLF"}


@pytest.mark.parametrize("name, data, statuses, rule", REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(target, name, data, statuses, rule):
    address, named = target
    if not named and name in ROUTED:
        statuses, rule = {404}, None
    with Client(address) as client:
        with contextlib.suppress(ConnectionError):
            client.send(data)
        answer = client.answer()
        assert (answer.status if answer else 0) in statuses
        if rule is not None:
            assert answer["Content-Type"] == "application/problem+json"
            assert answer["Connection"] == "close" and answer["Date"] and answer["Server"] is None
            assert not named or json.loads(answer.body)["rule"] == rule
        assert client.closed()
        # MHD's own answers repeat their head in the body; ours are followed by nothing.
        assert rule is None or client.rest == b""


PIECEWISE = [row for row in REFUSED if row[3] is not None and len(row[1]) <= 600]


@pytest.mark.parametrize("name, data, statuses, rule", PIECEWISE, ids=[row[0] for row in PIECEWISE])
def test_refused_byte_by_byte(echo, name, data, statuses, rule):
    """Segmentation must not change a verdict: the library's buffers move between the pieces."""
    with Client(echo.address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for i in range(len(data)):
                client.send(data[i:i + 1])
        answer = client.answer()
        assert answer is not None and answer.status in statuses


ACCEPTED = [
    ("plain", request(), {"path": "/echo", "length": 0}),
    ("HTTP/1.0 without Host", request(version=b"HTTP/1.0", host=b""), {"path": "/echo"}),
    ("no space after the colon", request(b"Accept:a/b\r\n"), {"accept": "a/b"}),
    ("spaces around a value", request(b"Accept:  \t a/b \t\r\n"), {"accept": "a/b"}),
    ("empty value", request(b"A:\r\nAccept: \r\nB: c\r\n"), {"accept": ""}),
    ("list in several lines", request(b"Accept: a/b\r\nX: y\r\naccept: c/d\r\n"), {"accept": "a/b, c/d"}),
    ("bytes above 127 in a value", request("X: ä\r\nAccept: é\r\n".encode()), {"accept": "é"}),
    ("cookies", request(b"Cookie: a=b; c=d\r\n"), {"path": "/echo"}),
    ("encoded UTF-8", request(target=b"/%C3%A9%e2%82%ac"), {"path": "/%C3%A9%e2%82%ac"}),
    ("encoded percent and space", request(target=b"/a%25b%20c"), {"path": "/a%25b%20c"}),
    ("reserved characters", request(target=b"/a:b@c!$&'()*+,;=d"), {"path": "/a:b@c!$&'()*+,;=d"}),
    ("three dots", request(target=b"/.../a."), {"path": "/.../a."}),
    ("query as browsers write it", request(target=b"/echo?a=%7E%2F%61&b=x+y&c&=d?/:@"), {"query": "a=%7E%2F%61&b=x+y&c&=d?/:@"}),
    ("empty query", request(target=b"/echo?"), {"path": "/echo", "query": ""}),
    ("four thousand parameters", request(target=b"/echo?" + b"a&" * 4000), {"query": "a&" * 4000}),
    ("body", request(b"Content-Length: 5\r\n", b"POST", body=b"hello"), {"length": 5, "method": "POST"}),
    ("CL with zeros", request(b"Content-Length: 005\r\n", b"PATCH", body=b"hello"), {"length": 5, "method": "PATCH"}),
    ("identity", request(b"Content-Encoding: identity\r\nContent-Length: 1\r\n", b"PUT", body=b"x"), {"length": 1}),
    ("chunks", request(CHUNKED, b"POST", body=b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"), {"length": 5}),
    ("chunks, Capital", request(b"transfer-encoding: Chunked\r\n", b"POST", body=b"5\r\nhello\r\n0\r\n\r\n"), {"length": 5}),
    ("trailers are no headers", request(CHUNKED, b"POST", body=b"1\r\nx\r\n0\r\nAccept: forged/x\r\n\r\n"), {"length": 1, "accept": ""}),
    ("empty lines first", b"\r\n\r\n" + request(), {"path": "/echo"}),
    ("DELETE", request(method=b"DELETE"), {"method": "DELETE"}),
    ("OPTIONS", request(method=b"OPTIONS"), {"method": "OPTIONS"}),
    ("longest target", request(target=b"/" + b"a" * 8191), {"path": "/" + "a" * 8191}),
    ("longest target and headers", request(b"A: " + b"a" * 8100 + b"\r\n", target=b"/" + b"a" * 8191), {"path": "/" + "a" * 8191}),
    ("many fields", request(b"".join(b"f%d: x\r\n" % i for i in range(180))), {"path": "/echo"}),
]


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("name, data, expected", ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_accepted(echo, name, data, expected, pieces):
    with Client(echo.address) as client:
        if pieces == "whole" or len(data) > 2000:
            client.send(data)
        else:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(data)):
                client.send(data[i:i + 1])
        answer = client.answer()
        assert answer is not None and answer.status == 200
        got = json.loads(answer.body.decode("utf-8"))
        assert {name: got[name] for name in expected} == expected
        assert got["peer"] == "127.0.0.1"
        if b"HTTP/1.0" not in data:
            client.send(request())
            assert client.answer().status == 200


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
    source = open(os.path.join(ROOT, "src/http/gate.c")).read()
    rules = set(re.findall(r'(?:MALFORMED\(|SINGLE\("[^"]+", |, \d{3}, )"([a-z0-9_]+)"', source))
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \|", open(os.path.join(ROOT, "docs/http-gate.md")).read(), re.M))
    assert len(rules) > 35 and rules == documented
