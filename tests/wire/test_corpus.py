# SPDX-License-Identifier: AGPL-3.0-or-later
"""The corpus sent straight to us, whole, byte by byte and cut at random. After each message a further request with an id of its own comes on the same
connection: a refused message ends the connection before it, and an accepted one ends exactly where it says. What the application saw is read from the
server's own trace, so that a request made of a body's bytes would be found."""
import contextlib
import json
import os
import re
import socket
from urllib.parse import urlsplit

import pytest
from wire_corpus import ACCEPTED, REFUSED, ROWS, name_of, segments
from wardmote_long import pick, rng
from wardmote_wire import ROOT, Client, Traced, request

HOW = ["whole", "bytes", "random"]
ROUNDS = {"whole": 1, "bytes": 1, "random": pick(1, 200)}


@pytest.fixture(scope="module", name="traced")
def _traced():
    with Traced() as server:
        yield server


@pytest.fixture(scope="module", name="target", params=["echo", "wardmote"])
def _target(request):
    """Where refusals are tried: the HTTP layer alone, which also names the rule, and the real server."""
    if request.param == "echo":
        return request.getfixturevalue("traced").address, True
    parts = urlsplit(os.environ.get("WARDMOTE_TEST_URL") or request.getfixturevalue("server").url)
    return (parts.hostname, parts.port or 80), False


def sentinel(name):
    return request(target=b"/echo?sentinel=" + name.encode())


def send(client, pieces):
    if len(pieces) > 1:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            client.send(piece)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_refused(target, row, how):
    address, named = target
    routed = not named and row.get("routed")
    statuses, rule = ([404], None) if routed else (row["status"], row["rule"])
    random = rng(f"{row['name']} {how}")
    for _ in range(ROUNDS[how] if named else 1):
        with Client(address) as client:
            # Without an answer of ours the library may read on until it has a head: a further request would only feed it.
            send(client, segments(row["data"] + (sentinel("x") if rule else b""), how, random))
            answer = client.answer()
            assert (answer.status if answer else 0) in statuses
            if rule is not None:
                assert answer["Content-Type"] == "application/problem+json"
                assert answer["Connection"] == "close" and answer["Date"] and answer["Server"] is None
                assert not named or json.loads(answer.body)["rule"] == rule
            assert client.closed()
            # The library's own answers repeat their head in the body; ours are followed by nothing.
            assert rule is None or client.rest == b""


def test_nothing_refused_reaches_the_application(traced):
    for row in REFUSED:
        traced.forget()
        with Client(traced.address) as client:
            send(client, [row["data"] + sentinel("x")])
            assert client.answer() is None or client.closed()
        seen = traced.seen()
        assert [line for line in seen if "method" in line] == [], row["name"]
        assert len(seen) <= 1, row["name"]


def check_accepted(traced, row, pieces):
    traced.forget()
    stays = not row.get("closes")
    with Client(traced.address) as client:
        send(client, pieces + [sentinel("after")])
        for wanted in row["requests"]:
            answer = client.answer()
            assert answer is not None and answer.status == 200
            got = json.loads(answer.body.decode("utf-8"))
            target = got["path"] + ("?" + got["query"] if "?" in wanted["target"] else "")
            assert (got["method"], target, got["length"]) == (wanted["method"], wanted["target"], wanted["length"])
            assert got["peer"] == "127.0.0.1"
            assert {name: got[name] for name in row.get("sees", {})} == row.get("sees", {})
        if stays:
            assert json.loads(client.answer().body)["query"] == "sentinel=after"
        else:
            assert client.answer() is None
    assert len(traced.seen()) == len(row["requests"]) + stays


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("row", ACCEPTED, ids=name_of)
def test_accepted(traced, row, how):
    random = rng(f"{row['name']} {how}")
    for _ in range(ROUNDS[how]):
        check_accepted(traced, row, segments(row["data"], how, random))


def test_the_corpus_covers_the_table():
    """Every pitfall of the library that a message can show, and every rule that a head can break. (H23 is the library's own answers: rows without a rule.)"""
    assert {row["row"] for row in ROWS} >= {f"H{number}" for number in range(1, 26) if number != 23}
    source = (ROOT / "src/http/gate.c").read_text(encoding="utf-8")
    rules = set(re.findall(r'(?:MALFORMED\(|SINGLE\("[^"]+", |, \d{3}, )"([a-z0-9_]+)"', source))
    without_a_head = {"body_disk", "body_memory", "connection_limit", "header_timeout", "body_timeout", "content_length", "duplicate_authorization"}
    assert rules - {row.get("rule") for row in ROWS} <= without_a_head
