# SPDX-License-Identifier: AGPL-3.0-or-later
"""Connections that break: in the middle of an answer, after each number of bytes, and in the middle of a request. Asking again with the same key gives the one answer
that there is, and the write was made once; a request that did not arrive whole did nothing."""
import contextlib
import json
import socket
import struct

import pytest
from wardmote_long import LONG, pick, rng
from wardmote_records import unique
from wardmote_wire import Client

ANSWER_CUTS = pick(40, None)    # None: at each byte
REQUEST_CUTS = pick(25, None)
IN_FLIGHT = 409


def reset(client):
    """Ends a connection as a broken network does: the other side gets a reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def post(server, token, key, body):
    text = json.dumps(body).encode()
    return (f"POST /v1/communities HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n").encode() + text


def whole(server, data):
    """The answer to a request that nobody cuts; while the first one is still being worked on, it is asked for again."""
    while True:
        with Client((server.host, server.port)) as client:
            client.send(data)
            answer = client.answer()
        assert answer is not None
        if answer.status != IN_FLIGHT:
            return answer


def some(random, total, count):
    return list(range(total)) if count is None else sorted({0, 1, total - 1, *random.sample(range(total), min(total, count))})


def made(client, name):
    answer = client.get("/v1/communities", params={"name": name})
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize("gone", ["reset", "closed"])
def test_answers_cut_at_each_byte(server, partner, gone):
    random = rng(f"answers {gone}")
    token = partner.officer.token
    body = {"name": unique("Cut"), "kind": "interest"}
    with Client((server.host, server.port)) as client:
        client.send(post(server, token, unique("key"), body))
        client.answer()
    length = len(whole_bytes(server, post(server, token, unique("key"), {**body, "name": unique("Cut")})))
    for count in some(random, length, ANSWER_CUTS):
        name, key = unique("Cut"), unique("key")
        data = post(server, token, key, {**body, "name": name})
        with Client((server.host, server.port)) as client:
            client.send(data)
            begun = b""
            while len(begun) < count:
                begun += client.socket.recv(count - len(begun)) or b"?"
            if gone == "reset":
                reset(client)
        answer = whole(server, data)
        assert answer.status == 201, answer.body
        head, found, first = begun.partition(b"\r\n\r\n")
        assert count == 0 or b"HTTP/1.1 201 Created".startswith(head[:20]), "the cut answer was the same"
        assert not found or answer.body.startswith(first), "and of the same record"
        assert made(partner.officer, name) == [json.loads(answer.body)["id"]], f"once, though the answer was cut after {count} bytes"


def whole_bytes(server, data):
    with Client((server.host, server.port)) as client:
        client.send(data)
        while b"\r\n\r\n" not in client.rest:
            assert client.fill()
        head, _, body = client.rest.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            assert client.fill()
            body = client.rest.partition(b"\r\n\r\n")[2]
        return client.rest


def test_requests_cut_at_each_byte(server, partner):
    random = rng("requests")
    name, key = unique("Cut"), unique("key")
    data = post(server, partner.officer.token, key, {"name": name, "kind": "interest"})
    for count in some(random, len(data), REQUEST_CUTS):
        with Client((server.host, server.port)) as client, contextlib.suppress(ConnectionError):
            client.send(data[:count])
            if random.random() < 0.5:
                reset(client)
    assert made(partner.officer, name) == [], "none of them was whole"
    answer = whole(server, data)
    assert answer.status == 201 and made(partner.officer, name) == [json.loads(answer.body)["id"]]
    assert LONG or len(data) > REQUEST_CUTS
