# SPDX-License-Identifier: AGPL-3.0-or-later
"""Long files: memory stays as it is, a client that leaves half-way leaves nothing, and a server that stops or dies says so or is found out."""
import contextlib
import http.client
import json
import math
import os
import pathlib
import signal
import time

import pytest

from test_imports import PARAMETERS, Site, collection, feature
from wardmote_client import Client
from wardmote_suite import COVERAGE

MEGABYTE = 1 << 20


def long_feature(i, positions):
    """A comb, so that every position counts; valid, and beside the ones before it."""
    x, y = 1 + (i % 100) / 100, 52 + (i // 100) / 100
    upper = [[x + 0.009 * k / positions, y + (0.008 if k % 2 else 0.004)] for k in range(positions)]
    ring = [[x, y], *reversed(upper), [x, y]] if positions == 0 else [[x, y], [x + 0.009, y], *reversed(upper), [x, y]]
    return feature(f"L{i:05}", geometry={"type": "Polygon", "coordinates": [ring]}, note="n" * (200000 - 36 * positions))


def pieces(total):
    """The text of a collection of about so many bytes, never in memory as a whole. Each tenth feature is all boundary: what they cost the database is not the point here."""
    yield b'{"type":"FeatureCollection","features":['
    sent, i = 0, 0
    while sent < total:
        text = (b"," if i else b"") + json.dumps(long_feature(i, 500 if i % 10 else 5000)).encode()
        sent, i = sent + len(text), i + 1
        yield text
    yield b"]}"


def resident(server):
    return int(pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii").split("VmRSS:")[1].split()[0]) << 10


def spooled(server):
    """Files that the server holds for imports: they have no name."""
    found = 0
    for link in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(link).startswith("/tmp/#")
    return found


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(name="lonely")
def _lonely(start_server, contract, host):
    """A server of the test's own, and an administrator's client of it."""
    server = start_server()
    caller = Client(server, contract, COVERAGE)
    return server, caller.as_token(caller.token_for(host["client_id"], host["client_secret"]))


def begin(server, client, site, length=None):
    """The connection of an import whose head was sent."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
    connection.putrequest("POST", f"/v1/boundary-sets/{site.id}/imports?{PARAMETERS}")
    for name, value in (("Authorization", f"Bearer {client.token}"), ("Content-Type", "application/geo+json"), ("Prefer", "wait=60"),
                        *(() if length is None else (("Content-Length", str(length)),)), *((("Transfer-Encoding", "chunked"),) if length is None else ())):
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def test_sixty_megabytes(lonely):
    server, client = lonely
    site = Site(client)
    site.take(collection(feature("first")))
    before, most = resident(server), 0
    connection = begin(server, client, site)
    for piece in pieces(60 * MEGABYTE):
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        most = max(most, resident(server))
    connection.send(b"0\r\n\r\n")
    arrived = most - before
    answer = connection.getresponse()
    made = json.loads(answer.read())
    path = f"/v1/imports/{made['id']}"
    until = time.monotonic() + 300
    while (made := client.get(path).json())["state"] in ("queued", "running"):
        assert time.monotonic() < until
        most = max(most, resident(server))
        time.sleep(0.05)
    assert made["state"] == "done" and made["bytes"] > 60 * MEGABYTE and made["created_count"] == made["features"] > 200
    assert arrived < 8 * MEGABYTE
    # a batch is what it holds beside: with a sanitizer's own book-keeping, which keeps what was freed for a while
    assert most - before < 60 * MEGABYTE or "asan" in pathlib.Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")


def test_a_client_that_leaves_leaves_nothing(lonely):
    server, client = lonely
    site = Site(client)
    before = client.get("/v1/imports?count=exact&limit=1").json()
    connection = begin(server, client, site, 10 * MEGABYTE)
    connection.send(b" " * (5 * MEGABYTE))
    wait_for(lambda: spooled(server) == 1)
    connection.close()
    wait_for(lambda: spooled(server) == 0)
    after = client.get("/v1/imports?count=exact&limit=1").json()
    assert after["count"] == before["count"] and site.localities() == []


def test_as_many_as_have_room(lonely, records):
    """Two of an account and nine of all arrive; the next is told so before it sends anything."""
    server, client = lonely
    site = Site(client)
    me = client.get("/v1/me").json()["partner_id"]
    accounts = [records.account_record(me, "administrator") for _ in range(4)]
    clients = [client] + [client.as_token(client.token_for(made["client_id"], made["client_secret"])) for made in accounts]
    connections = [begin(server, client, site, MEGABYTE) for _ in range(2)]
    wait_for(lambda: spooled(server) == 2)
    answer = site.send(collection())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    connections += [begin(server, clients[1 + n // 2], site, MEGABYTE) for n in range(7)]
    wait_for(lambda: spooled(server) == 9)
    answer = site.send(collection(), client=clients[4])
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    for connection in connections:
        connection.close()
    wait_for(lambda: spooled(server) == 0)
    assert site.send(collection()).status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends(start_server, contract, host, cluster, how):
    """What it was about to store is not there; after a crash the database finds out by itself."""
    server = start_server()
    caller = Client(server, contract, COVERAGE)
    client = caller.as_token(caller.token_for(host["client_id"], host["client_secret"]))
    site = Site(client)
    with cluster.connect() as connection, connection.cursor() as cursor:
        # whoever applies an import waits for this
        cursor.execute("LOCK TABLE wardmote.locality IN EXCLUSIVE MODE")
        answer = site.send(collection(feature("A")), headers={})
        assert answer.status == 202
        path = f"/v1/imports/{answer.json()['id']}"
        until = time.monotonic() + 20
        while client.get(path).json()["state"] != "running":
            assert time.monotonic() < until
            time.sleep(0.02)
        server.process.send_signal(how)
        server.process.wait(20)  # the lock is still held
        connection.rollback()
    server.start()
    client.close()
    if how == signal.SIGKILL:
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE wardmote.import_work SET touched_at = touched_at - interval '16 minutes'")
            cursor.execute("SELECT wardmote.forget_imports()")
            connection.commit()
    made = client.get(path).json()
    assert (made["state"], made["reason"]) == ("failed", "The server stopped before it was done.")
    assert site.localities() == []
    assert site.take(collection(feature("A")))["created_count"] == 1
    with contextlib.suppress(OSError):
        client.close()


def test_nothing_waits_for_an_import_that_is_being_written(cluster):
    """What tidies up goes on: an import whose row is locked is not lost. One that is, is told so."""
    with contextlib.closing(cluster.connect("wardmote_owner")) as writer, contextlib.closing(cluster.connect("wardmote_owner")) as tidier:
        writer.autocommit, tidier.autocommit = False, True
        with writer.cursor() as held, tidier.cursor() as cursor:
            cursor.execute("INSERT INTO wardmote.import (partner_id, visibility, kind, state, bytes, settings)"
                           " SELECT p.id, 'private', 'postcodes', 'running', 1, '{}' FROM wardmote.partner p LIMIT 1 RETURNING id")
            ((made,),) = cursor.fetchall()
            cursor.execute("INSERT INTO wardmote.import_work VALUES (%s, now() - interval '16 minutes')", (made,))
            held.execute("UPDATE wardmote.import_work SET touched_at = now() WHERE import_id = %s", (made,))
            cursor.execute("SET lock_timeout = '2s'; SELECT wardmote.forget_imports()")
            cursor.execute("SELECT state FROM wardmote.import WHERE id = %s", (made,))
            assert cursor.fetchall() == [("running",)]
            writer.rollback()
            cursor.execute("SELECT wardmote.forget_imports(); SELECT state FROM wardmote.import WHERE id = %s", (made,))
            assert cursor.fetchall() == [("failed",)]


def test_what_an_import_asks_for_ends_with_its_server(lonely, cluster):
    """The backend does not work on, with its locks, for nobody. What makes it long here is a lock."""
    server, client = lonely
    site = Site(client)
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('wardmote.import ' || %s, 0))", (site.id,))
        assert site.send(collection(feature("A")), headers={}).status == 202
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%wardmote.import_apply%'"

        def waits():
            cursor.execute(waiting)
            return cursor.rowcount > 0

        wait_for(waits)
        server.process.kill()
        server.process.wait(20)
        wait_for(lambda: not waits())
    server.start()


def test_of_too_many_positions_nothing_is_repaired(administrator):
    """Edges that cross by the thousand: the repair would take what time and memory there is."""
    site = Site(administrator)
    star = [[round(1 + 0.01 * math.cos(k * math.pi * 0.999), 9), round(52 + 0.01 * math.sin(k * math.pi * 0.999), 9)] for k in range(20001)]
    answer = site.take(collection(feature("S", geometry={"type": "Polygon", "coordinates": [[*star, star[0]]]})))
    assert answer["state"] == "rejected"
    (reject,) = administrator.get(f"/v1/imports/{answer['id']}/rejected").json()["items"]
    assert reject["reason"] == "invalid_geometry" and "20,000" in reject["detail"]
