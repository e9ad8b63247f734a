# SPDX-License-Identifier: AGPL-3.0-or-later
"""SIGTERM: readiness goes first, what is in flight is finished, the process ends with 0; a second signal ends it now. And restarts that nobody notices."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import time
import urllib.error
import urllib.request

import pytest

import wardmote_server
from fault_proxy import FaultProxy, Through
from wardmote_callers import callers
from wardmote_client import Client
from wardmote_records import unique
from wardmote_suite import until

PATIENCE = 20


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

    def start(cluster=cluster, **settings):
        started.append(Here(cluster, keys, host, anonymous, **settings))
        return started[-1]

    yield start
    for here in started:
        here.close()


@pytest.fixture(name="held")
def _held(start, cluster):
    """held(drain_timeout_ms=300): a server that gets no answers from its database, with a read and a write in flight, as futures; and how to let go."""
    proxies = []

    def hold(**settings):
        proxies.append(FaultProxy(cluster))
        here = start(cluster=Through(cluster, proxies[-1]), **settings)
        partner = here.client().post("/v1/partners", {"name": unique("Held"), "kind": "voluntary"}).json()
        proxies[-1].stall("to_client")
        write = here.pool.submit(here.client().patch, f"/v1/partners/{partner['id']}", {"short_name": "held"}, headers={"If-Match": "*"})
        read = here.pool.submit(here.client().get, f"/v1/partners/{partner['id']}")
        until(lambda: here.server.metric("http_in_flight_requests") == 2)
        return here, read, write, proxies[-1].heal

    yield hold
    for proxy in proxies:
        proxy.close()


def test_what_is_in_flight_is_finished(held):
    """The admin listener answers to the end; a SIGHUP meanwhile is no second signal."""
    here, read, write, let_go = held()
    here.term()
    status, body = until(lambda: (lambda seen: seen if seen[0] == 503 else None)(admin(here.server, "/readyz")))
    assert status == 503 and body["draining"] is True
    here.term(signal.SIGHUP)
    for _ in range(5):
        assert admin(here.server, "/livez")[0] == 200
    assert not read.done() and not write.done() and here.server.process.poll() is None
    let_go()
    answers = read.result(PATIENCE), write.result(PATIENCE)
    assert [answer.status for answer in answers] == [200, 200] and answers[1].json()["short_name"] == "held"
    assert [answer.headers["connection"] for answer in answers] == ["close", "close"]
    assert here.ends(PATIENCE)[0] == 0
    assert '"stopped"' in here.server.log()


def assert_abandoned(read, write):
    answers = read.result(PATIENCE), write.result(PATIENCE)
    assert [answer.status for answer in answers] == [503, 503]
    assert "outcome" not in answers[0].json() and answers[1].json()["outcome"] == "unknown"


def test_a_second_signal_ends_it_now(held):
    here, read, write, _ = held(drain_timeout_ms=60000, request_timeout_ms=60000)
    here.term()
    until(lambda: admin(here.server, "/readyz")[1]["draining"])
    here.term()
    assert_abandoned(read, write)
    status, seconds = here.ends(PATIENCE)
    assert status == 0 and seconds < 10


def test_the_deadline_of_a_drain(held):
    here, read, write, _ = held(drain_timeout_ms=300, request_timeout_ms=60000)
    here.term()
    assert_abandoned(read, write)
    status, seconds = here.ends(PATIENCE)
    assert status == 0 and seconds < 10


def test_a_second_signal_while_it_waits_for_the_proxies(start):
    here = start(drain_wait_ms=60000)
    here.term()
    until(lambda: admin(here.server, "/readyz")[1]["draining"])
    assert here.client().get("/v1/me").status == 200, "until accepting ends it serves as ever"
    here.term(signal.SIGINT)
    status, seconds = here.ends(PATIENCE)
    assert status == 0 and seconds < 10


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

def load(here):
    return callers(here.client, 8, "/v1/me", ("/v1/partners", {"kind": "voluntary"}))


@pytest.mark.parametrize("overlap", [True, False], ids=["side by side", "one after the other"])
def test_restarts_that_nobody_notices(start, overlap):
    """The listening sockets are handed on, as a service manager does, which makes them blocking ones; two workers in each process."""
    here = start(workers=2, drain_wait_ms=50)
    with load(here) as done:
        for turn in range(3):
            mark = sum(done())
            until(lambda: sum(done()) > mark + 40)  # pylint: disable=cell-var-from-loop
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
        mark = sum(done())
        until(lambda: sum(done()) > mark + 40)
    assert here.server.stop() == 0


def test_nothing_is_left_behind(start):
    """After load and many connections the process has as many descriptors as before."""
    here = start(workers=2, lane_read=2, lane_write=3, lane_heavy=1, lane_stream=1)
    until(lambda: here.server.metric("db_connections") == 2 * (2 + 3 + 1 + 1))
    here.client().get("/v1/me")
    folder = f"/proc/{here.server.process.pid}/fd"
    before = len(os.listdir(folder))
    with load(here) as done:
        until(lambda: sum(done()) > 200)
    until(lambda: len(os.listdir(folder)) <= before)
