# SPDX-License-Identifier: AGPL-3.0-or-later
"""SIGTERM: readiness goes first, what is in flight is finished, the process ends with 0; a second signal ends it now. And restarts that nobody notices."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import unique

PATIENCE = 20


def until(look, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)  # between two looks; the deadline decides


def admin(server, path):
    try:
        with urllib.request.urlopen(server.admin_url + path, timeout=2) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Here:
    def __init__(self, cluster, keys, host, anonymous, **settings):
        self.server = wardmote_server.Server(cluster, keys, **settings)
        self.public = Client(self.server, anonymous.contract, anonymous.coverage)
        self.token = self.public.token_for(host["client_id"], host["client_secret"])
        self.pool = concurrent.futures.ThreadPoolExecutor(40)

    def client(self):
        return self.public.as_token(self.token)

    def term(self, how=signal.SIGTERM):
        self.server.process.send_signal(how)

    def ends(self, seconds):
        """The exit status, which must come in time."""
        begun = time.monotonic()
        status = self.server.process.wait(seconds)
        return status, time.monotonic() - begun

    def close(self):
        if self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait()
        self.pool.shutdown()
        for listener in self.server.sockets:
            listener.close()


@pytest.fixture(name="start")
def _start(cluster, keys, host, anonymous):
    started = []

    def start(**settings):
        started.append(Here(cluster, keys, host, anonymous, **settings))
        return started[-1]

    yield start
    for here in started:
        here.close()


@contextlib.contextmanager
def held(cluster, here):
    """A write that waits for a row until the block ends: (its future, its path)."""
    record = here.client().post("/v1/partners", {"name": unique("Held"), "kind": "voluntary"}).json()
    path = f"/v1/partners/{record['id']}"
    with contextlib.closing(cluster.connect()) as owner, contextlib.closing(cluster.connect("postgres")) as watcher:
        owner.autocommit = False
        with owner.cursor() as cursor, watcher.cursor() as watch:
            cursor.execute("SELECT FROM wardmote.partner WHERE id = %s FOR UPDATE", (record["id"],))
            future = here.pool.submit(here.client().patch, path, {"short_name": "held"}, headers={"If-Match": "*"})

            def waits():
                watch.execute("SELECT FROM pg_stat_activity WHERE usename = 'wardmote_api' AND wait_event_type = 'Lock'")
                return watch.rowcount > 0

            until(waits)
            yield future, path
        owner.rollback()


def test_what_is_in_flight_is_finished(cluster, start):
    """The admin listener answers to the end; a SIGHUP meanwhile is no second signal."""
    here = start()
    with held(cluster, here) as (future, path):
        here.term()
        status, body = until(lambda: (lambda seen: seen if seen[0] == 503 else None)(admin(here.server, "/readyz")))
        assert status == 503 and body["draining"] is True
        here.term(signal.SIGHUP)
        for _ in range(5):
            assert admin(here.server, "/livez")[0] == 200
        assert not future.done() and here.server.process.poll() is None
    answer = future.result(PATIENCE)
    assert answer.status == 200 and answer.json()["short_name"] == "held" and path.endswith(answer.json()["id"])
    assert answer.headers["connection"] == "close"
    assert here.ends(PATIENCE)[0] == 0
    assert '"stopped"' in here.server.log()


def test_a_second_signal_ends_it_now(cluster, start):
    here = start(drain_timeout_ms=60000)
    with held(cluster, here) as (future, _):
        here.term()
        until(lambda: admin(here.server, "/readyz")[1]["draining"])
        here.term()
        answer = future.result(PATIENCE)
        status, seconds = here.ends(PATIENCE)
    assert answer.status == 503 and answer.json()["outcome"] == "unknown"
    assert status == 0 and seconds < 3


def test_a_second_signal_while_it_waits_for_the_proxies(start):
    here = start(drain_wait_ms=60000)
    here.term()
    until(lambda: admin(here.server, "/readyz")[1]["draining"])
    assert here.client().get("/v1/me").status == 200, "until accepting ends it serves as ever"
    here.term(signal.SIGINT)
    status, seconds = here.ends(PATIENCE)
    assert status == 0 and seconds < 5


def test_the_deadline_of_a_drain(cluster, start):
    """Both a read and a write are in flight when it comes: both are answered."""
    here = start(drain_timeout_ms=300)
    with held(cluster, here) as (write, _), contextlib.closing(cluster.connect()) as owner:
        owner.autocommit = False
        with owner.cursor() as cursor:
            cursor.execute("LOCK TABLE wardmote.code IN ACCESS EXCLUSIVE MODE")
            read = here.pool.submit(here.client().get, "/v1/codes")
            until(lambda: '"route":"/v1/codes"' not in here.server.log() and read.running())
            here.term()
            answers = write.result(PATIENCE), read.result(PATIENCE)
            status, seconds = here.ends(PATIENCE)
        owner.rollback()
    assert [answer.status for answer in answers] == [503, 503]
    assert answers[0].json()["outcome"] == "unknown" and "outcome" not in answers[1].json()
    assert status == 0 and seconds < 5


def test_sign_ins_under_way_when_it_ends(start):
    """Passwords are compared on a thread of their own, in memory of the request: the end waits for it."""
    here = start(workers=2)
    body = {"login": unique("nobody") + "@example.org", "password": "wrong horse battery staple"}
    futures = []
    for n in range(16):
        client = Client(here.server, None, None, source=f"127.77.{n}.1")
        futures.append(here.pool.submit(client.post, "/v1/sessions", {**body, "login": f"{n}{body['login']}"}))
    until(lambda: any(future.done() for future in futures))
    here.term()
    here.term(signal.SIGINT)
    assert here.ends(PATIENCE)[0] == 0
    for future in futures:
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert future.result(PATIENCE).status in (401, 503)


# --- restarts ---

class Load(threading.Thread):
    """Reads and writes without pause; every answer must be a good one."""

    def __init__(self, here, fresh):
        super().__init__()
        self.here = here
        self.fresh = fresh  # a new connection each time
        self.ended = threading.Event()
        self.bad = []
        self.good = 0

    def run(self):
        client = self.here.client()
        while not self.ended.is_set():
            try:
                answer = client.get("/v1/me") if self.good % 3 else client.post(
                    "/v1/partners", {"name": unique("Rolling"), "kind": "voluntary"}, headers={"Idempotency-Key": unique("key")})
                if answer.status in (200, 201):
                    self.good += 1
                else:
                    self.bad.append((answer.status, answer.text()))
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
            if self.fresh:
                client.close()


@contextlib.contextmanager
def load(here):
    threads = [Load(here, fresh=bool(n % 2)) for n in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(thread.good for thread in threads)
    finally:
        for thread in threads:
            thread.ended.set()
        for thread in threads:
            thread.join()
    assert [bad for thread in threads for bad in thread.bad] == []


@pytest.mark.parametrize("overlap", [True, False], ids=["side by side", "one after the other"])
def test_restarts_that_nobody_notices(start, overlap):
    """The listening sockets are handed on, as a service manager does, which makes them blocking ones; two workers in each process."""
    here = start(workers=2, drain_wait_ms=50)
    with load(here) as done:
        for turn in range(3):
            mark = done()
            until(lambda: done() > mark + 40)  # pylint: disable=cell-var-from-loop
            old = here.server.process
            if not overlap:
                old.send_signal(signal.SIGTERM)
                assert old.wait(PATIENCE) == 0
                for listener in here.server.sockets:
                    os.set_blocking(listener.fileno(), True)
            here.server.start()
            assert not os.get_blocking(here.server.sockets[0].fileno())
            until(lambda: here.server.log().count('"message":"listening"') == turn + 2)  # pylint: disable=cell-var-from-loop
            if overlap:
                old.send_signal(signal.SIGTERM)
                assert old.wait(PATIENCE) == 0
        mark = done()
        until(lambda: done() > mark + 40)
    assert here.server.stop() == 0


def test_nothing_is_left_behind(start):
    """After load and many connections the process has as many descriptors as before."""
    here = start(workers=2)
    here.client().get("/v1/me")
    folder = f"/proc/{here.server.process.pid}/fd"
    before = len(os.listdir(folder))
    with load(here) as done:
        until(lambda: done() > 200)
    until(lambda: len(os.listdir(folder)) <= before)
