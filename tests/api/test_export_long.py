# SPDX-License-Identifier: AGPL-3.0-or-later
"""Exports of a list too long for any buffer: what they hold in memory, and that each way in which one can end early leaves no lane taken and no client who
believes to have it all."""
import contextlib
import http.client
import re
import socket
import subprocess
import time

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_suite import until

ROWS = 200_000
LINE = re.compile(rb"[0-9a-f-]{36},")
TARGET = "/v1/communities.csv?limit=all"
FILL = """INSERT INTO wardmote.community (partner_id, visibility, name, kind, source)
    SELECT %s, 'public', 'Community ' || n %% 1000, 'interest', repeat('They meet on Tuesdays, mostly. ', 8 + n %% 8) FROM generate_series(1, %s) AS n"""


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys):
    """(database, administrator) of a database of its own, with a long list in it."""
    cluster.setup("exports")
    host = wardmote_server.make_administrator(cluster, "exports")
    with cluster.connect("postgres", "exports") as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET row_security = off")
        cursor.execute(FILL, (host["partner_id"], ROWS))
    with contextlib.closing(cluster.connect("postgres", "exports")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE wardmote.community")
    return cluster, keys, host


@contextlib.contextmanager
def serving(site, **settings):
    cluster, keys, host = site
    server = wardmote_server.Server(cluster, keys, "exports", **settings)
    try:
        client = Client(server, None, None)
        yield server, client.as_token(client.token_for(host["client_id"], host["client_secret"]))
    finally:
        server.close()


@pytest.fixture(scope="module", name="server")
def _server(site):
    with serving(site, request_timeout_ms=1500) as (server, client):
        yield server, client


class Reader:
    """A client that reads when it is told to."""

    def __init__(self, client, target=TARGET, version="1.1", buffer=65536):
        self.socket = socket.create_connection((client.server.host, client.server.port), timeout=60)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        token = f"Authorization: Bearer {client.token}\r\n" if client.token else ""
        self.socket.sendall(f"GET {target} HTTP/{version}\r\nHost: here\r\n{token}\r\n".encode())
        self.answer = http.client.HTTPResponse(self.socket)

    def begin(self):
        self.answer.begin()
        assert self.answer.status == 200, self.answer.read()
        return self

    def rest(self):
        """How many records there are in what is left of the body."""
        count, held = 0, b""
        while block := self.answer.read(1 << 18):
            held += block
            end = held.rfind(b"\r\n") + 2
            count += sum(bool(LINE.match(line)) for line in held[:end].split(b"\r\n"))
            held = held[end:]
        return count

    def close(self):
        self.answer.close()
        self.socket.close()


def running(server):
    return server.metric("db_in_flight_jobs", 'lane="stream"')


def idle(server):
    """No export is under way, and the lane is whole again."""
    return running(server) == 0 and server.metric("db_connections", 'lane="stream"') == 2


def backends(site):
    """Of exports that are at work."""
    with contextlib.closing(site[0].connect("postgres", "exports")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'wardmote_api' AND state = 'active' AND query LIKE 'SELECT NULL::text%'")
        return [pid for (pid,) in cursor.fetchall()]


def resident(server):
    """(bytes now, most ever)"""
    status = open(f"/proc/{server.process.pid}/status", encoding="ascii").read()
    return [int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) << 10 for name in ("VmRSS", "VmHWM")]


def is_sanitized():
    return b"__asan_init" in subprocess.run(["nm", "-D", wardmote_server.binary()], capture_output=True, check=True).stdout


# --- to the end ---

def test_all_rows_arrive_in_little_memory(site, server):
    server, client = server
    assert client.get("/v1/communities.csv?limit=all&name=none").status == 200
    before, _ = resident(server)
    for target in (TARGET, "/v1/communities.csv?limit=all&sort=-name"):
        assert Reader(client, target).begin().rest() == ROWS
    grown = resident(server)[1] - before
    assert grown <= 8 << 20 or is_sanitized(), grown
    until(lambda: not backends(site))


def test_a_slow_reader_holds_back_the_database_not_memory(site, server):
    """Read by and by over some seconds: nothing piles up on the way, the backend waits in its write, others are served, and all of it arrives."""
    server, client = server
    before, _ = resident(server)
    with contextlib.closing(Reader(client).begin()) as reader:
        until(lambda: backends(site))
        until(lambda: _waits_for_client(site))
        for _ in range(20):
            reader.answer.read(100_000)
            time.sleep(0.05)  # the reader is slow
            began = time.monotonic()
            assert client.get("/v1/communities?limit=5").status == 200
            assert time.monotonic() - began < 1
        assert _waits_for_client(site)
        grown = resident(server)[1] - before
        assert grown <= 8 << 20 or is_sanitized(), grown
        assert reader.rest() > ROWS * 0.9
    until(lambda: idle(server))


def _waits_for_client(site):
    with contextlib.closing(site[0].connect("postgres", "exports")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND pid = ANY (%s)", (backends(site),))
        return cursor.fetchone()[0] == 1


def test_a_rest_that_was_not_read_for_long_is_no_fault_of_the_database(site):
    """The deadline of a statement in the other lanes, and that of requests, do not count while an export is read."""
    with serving(site, request_timeout_ms=300, heavy_timeout_ms=300) as (server, client), contextlib.closing(Reader(client).begin()) as reader:
        time.sleep(1.5)  # past both
        assert reader.rest() == ROWS
        until(lambda: idle(server))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_head_has_no_byte_of_a_body(server, version):
    server, client = server
    with contextlib.closing(socket.create_connection((server.host, server.port), timeout=60)) as connection:
        connection.sendall(f"HEAD {TARGET} HTTP/{version}\r\nHost: here\r\nAuthorization: Bearer {client.token}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while block := connection.recv(65536):
            got += block
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\n") and got.count(b"\r\n\r\n") == 1 and b"content-length" not in got.lower()


# --- cut short ---

def expect_cut(reader):
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        assert 0 <= reader.rest() < ROWS


def test_a_backend_that_ends_leaves_a_body_without_its_end(site, server):
    server, client = server
    cut = server.metric("exports_cut_total")
    with contextlib.closing(Reader(client).begin()) as reader, contextlib.closing(site[0].connect("postgres", "exports")) as connection:
        reader.answer.read(1000)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", (until(lambda: backends(site))[0],))
        expect_cut(reader)
    until(lambda: idle(server))
    assert server.metric("exports_cut_total") == cut + 1
    assert '"message":"export cut short"' in server.log() and '"answer":"cut short"' in server.log()
    assert Reader(client).begin().rest() == ROWS


def test_an_older_client_sees_it_by_a_reset(site, server):
    """In HTTP/1.0 the end of the connection is that of the body."""
    server, client = server
    with contextlib.closing(Reader(client, version="1.0").begin()) as reader, contextlib.closing(site[0].connect("postgres", "exports")) as connection:
        assert reader.answer.getheader("transfer-encoding") is None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", (until(lambda: backends(site))[0],))
        with pytest.raises(ConnectionError):
            reader.rest()
    assert Reader(client, version="1.0").begin().rest() == ROWS


def test_a_client_that_leaves_frees_the_lane(site, server):
    server, client = server
    for _ in range(3):
        reader = Reader(client).begin()
        reader.answer.read(1000)
        until(lambda: running(server) == 1)
        reader.close()
        until(lambda: idle(server))
        until(lambda: not backends(site))
    assert '"client":"gone"' in server.log()


def test_clients_that_leave_are_no_loss_of_the_database(site):
    """The one connection of the lane is made anew each time: until it is there, exports wait, and whoever asks whether the server is ready hears that it is."""
    with serving(site, lane_stream=1) as (server, client):
        for _ in range(16):
            Reader(client).begin().close()
            enough = time.monotonic() + 0.3  # readiness is looked at five times a second
            while time.monotonic() < enough:
                with contextlib.closing(http.client.HTTPConnection(server.admin_url.removeprefix("http://"), timeout=30)) as admin:
                    admin.request("GET", "/readyz")
                    assert admin.getresponse().status == 200
            assert client.get("/v1/communities.csv?limit=all&name=none").status == 200


def test_the_deadline_of_exports(site):
    with serving(site, export_timeout_ms=1000) as (server, client), contextlib.closing(Reader(client).begin()) as reader:
        until(lambda: running(server) == 1)
        # 1 s, and the grace of 5 s that silence has: the backend waits in its write, where it cannot end its statement
        until(lambda: idle(server), seconds=30)
        expect_cut(reader)


def test_a_reader_that_stops_is_cut_off(site):
    """16 KiB/s over any span of body_timeout_ms."""
    with serving(site, body_timeout_ms=1200) as (server, client), contextlib.closing(Reader(client).begin()) as reader:
        until(lambda: server.metric("exports_cut_total") == 1, seconds=30)
        until(lambda: idle(server))
        expect_cut(reader)


# --- who gets a lane ---

def test_full_lanes_are_waited_for_then_503(site, server):
    server, client = server
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(contextlib.closing(Reader(client).begin()))
        until(lambda: running(server) == 2)
        began = time.monotonic()
        answer = client.get(TARGET)
        assert answer.status == 503 and answer.headers["retry-after"] == "1"
        assert 1.2 < time.monotonic() - began < 10
        waiting = stack.enter_context(contextlib.closing(Reader(client)))
        until(lambda: server.metric("db_queued_jobs", 'lane="stream"') == 1)
        stack.pop_all().close()
        del waiting
    until(lambda: idle(server) and server.metric("db_queued_jobs", 'lane="stream"') == 0)


def test_one_that_waits_gets_the_lane_that_is_left(site, server):
    server, client = server
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(contextlib.closing(Reader(client).begin())) for _ in range(2)]
        until(lambda: running(server) == 2)
        third = stack.enter_context(contextlib.closing(Reader(client, "/v1/communities.csv?limit=all&fields=name")))
        until(lambda: server.metric("db_queued_jobs", 'lane="stream"') == 1)
        readers[0].close()
        assert third.begin().rest() == ROWS


def test_strangers_leave_a_lane(server):
    server, client = server
    stranger = client.as_token(None)
    with contextlib.closing(Reader(stranger).begin()) as reader:
        assert stranger.get(TARGET).status == 503
        assert client.get("/v1/communities.csv?limit=all&name=none").status == 200
        reader.close()
        until(lambda: idle(server))
        assert stranger.get("/v1/communities.csv?limit=all&name=none").status == 200


# --- the server ends ---

def test_a_stop_waits_for_an_export_that_is_read(site):
    with serving(site) as (server, client):
        reader = Reader(client).begin()
        server.process.terminate()
        assert reader.rest() == ROWS
        reader.close()
        assert server.stop() == 0


@pytest.mark.parametrize("reads", [False, True])
def test_a_stop_cuts_off_what_takes_too_long(site, reads):
    with serving(site, drain_timeout_ms=300) as (server, client):
        with contextlib.closing(Reader(client).begin()) as reader:
            if reads:
                reader.answer.read(1_000_000)
            server.process.terminate()
            assert server.process.wait(20) == 0
            expect_cut(reader)
