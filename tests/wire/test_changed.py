# SPDX-License-Identifier: AGPL-3.0-or-later
"""Changed messages straight to us, beside a reader of our own that takes the RFC at its word: what our application saw is what that one reads, request by request and
byte by byte, or nothing. The exceptions are those that docs/http-gate.md names: they need a NUL or a colon at the place of a line's end."""
import collections
import contextlib
import re
import socket
import threading

import pytest
from wire_corpus import segments
from wire_front import without_empty_query
from wire_mutants import mutant
from wire_reference import requests_of
from wardmote_long import pick, rng
from wardmote_wire import Client, Traced, get, request

MESSAGES = pick(2000, 200000)
PIPELINED = pick(1000, 20000)
# "What the gate cannot see": NUL before a line end, at the start of a line, or a colon for a line's CR.
UNSEEN = re.compile(rb"(^|\n)\0|\0\n|\0\r\n\n|(^|\n):\n")


@pytest.fixture(scope="module", name="traced")
def _traced():
    with Traced() as server:
        yield server


def deliver(traced, pieces):
    """What the application saw of a message. The server has one thread, which does one request of each connection at a turn: it has come to the last of the
    message when as many others, and one for its end, were answered on connections of their own."""
    traced.forget()
    with Client(traced.address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            for piece in pieces:
                client.send(piece)
        for _ in range(len(requests_of(b"".join(pieces))) + 1):
            assert get(traced.address, "/echo?looked").status == 200
    return [line for line in traced.seen() if line.get("query") != "looked"]


def differences(data, seen):
    requests = [line for line in seen if "method" in line]
    read = requests_of(data)
    for at, line in enumerate(requests):
        target = line["path"] + ("?" + line["query"] if line["query"] else "")
        if at >= len(read):
            return f"the reader sees no request here: {line}"
        method, wanted, chunked, length, checksum = read[at]
        if (line["method"], target) != (method, without_empty_query(wanted)):
            return f"another request: {line}, {read[at]}"
        if length is not None and (line["length"], line["sum"]) != (length, checksum):
            return f"another body: {line}, {read[at]}"
        if chunked and at + 1 < len(requests):
            return f"something was read after a chunked body: {requests[at + 1]}"
    return None


def test_what_is_seen_is_what_is_there(traced, capsys):
    random = rng("changed messages")
    counts = collections.Counter()
    for number in range(MESSAGES):
        data = mutant(random) + request(target=b"/echo?after")
        pieces = segments(data, random.choice(["whole", "whole", "random"]), random)
        seen = deliver(traced, pieces)
        wrong = differences(data, seen)
        if wrong and UNSEEN.search(data):
            counts["a documented exception"] += 1
            continue
        assert wrong is None, f"message {number}: {data!r} in {pieces!r}: {wrong}"
        counts["accepted" if any("method" in line for line in seen) else "refused"] += 1
    assert counts["accepted"] > MESSAGES // 20 and counts["refused"] > MESSAGES // 20
    with capsys.disabled():
        print(f"\n{MESSAGES} changed messages: {dict(counts)}")


def valid(random, number):
    """A request in order, one of several kinds, and the status and query that its answer has."""
    kind = random.randint(0, 3)
    query = b"n=%d" % number
    if kind == 0:
        return request(target=b"/echo?" + query)
    if kind == 1:
        return request(target=b"/suspend?ms=%d&" % random.randint(0, 2) + query)
    body = bytes(random.choices(b"\r\n\0GET /HT1.:{}", k=random.randint(0, 300)))
    return request(b"Content-Length: %d\r\n" % len(body), random.choice([b"POST", b"PUT", b"PATCH"]), b"/echo?" + query, body=body)


def test_pipelined_with_faults_in_between(traced, capsys):
    """A thousand requests in one stream, cut at random; about every fiftieth is malformed. The order is kept, each answer is its request's, and the
    stream ends at a fault, with nothing of it done: the client goes on behind it on another connection, as if it had never been cut."""
    random = rng("pipelined")
    stream = [(number, valid(random, number)) for number in range(PIPELINED)]
    faulty = {number for number, _ in stream if random.random() < 0.02}
    left, done, streams = stream, [], 0
    while left:
        streams += 1
        bad = next((at for at, (number, _) in enumerate(left) if number in faulty), None)
        data = b"".join(b"GET /echo?n=%d HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" % number if number in faulty else text for number, text in left)
        expected = [number for number, _ in (left if bad is None else left[:bad])]
        traced.forget()
        with Client(traced.address) as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sender = threading.Thread(target=send_in_pieces, args=(client, data, random.randint(1, 400), random))
            sender.start()
            for number in expected:
                answer = client.answer()
                assert answer is not None and answer.status == 200 and f"n={number}\"" in answer.body.decode()
                done.append(number)
            if bad is not None:
                answer = client.answer()
                assert answer is not None and answer.status == 400 and client.closed() and client.rest == b""
            sender.join()
        assert [line["query"].split("n=")[1] for line in traced.seen() if "query" in line] == [str(number) for number in expected]
        left = [] if bad is None else left[bad + 1:]
    assert done == [number for number, _ in stream if number not in faulty]
    with capsys.disabled():
        print(f"\n{PIPELINED} pipelined requests, {len(faulty)} malformed, {streams} streams: each answer its own")


def send_in_pieces(client, data, longest, random):
    at = 0
    with contextlib.suppress(OSError):
        while at < len(data):
            size = random.randint(1, longest)
            client.send(data[at:at + size])
            at += size
