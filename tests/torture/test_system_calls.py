# SPDX-License-Identifier: AGPL-3.0-or-later
"""System calls of the server that fail, in turn, once and from then on for a while: the client gets the right answer, 503 or a closed connection; the
server goes on without spinning, leaks no descriptor, and is as before when the fault is over."""
import contextlib
import errno
import json
import os
import re
import signal
import threading
import time
import urllib.request

import pytest

import wardmote_long
from torture import send, until
from torture_cases import Case, name
from torture_run import Run, all_connected, fixture_site  # pylint: disable=unused-import
from wardmote_client import Client
from wardmote_server import Server

HOLD_SECONDS = 1
CALLS_MAX = 3000      # in HOLD_SECONDS: a loop without a pause makes a hundred times as many
CPU_MAX = 0.5

# What the kernel does return. Of a socket's data never fewer bytes than there are, of epoll_wait nothing but EINTR, of EPOLL_CTL_DEL and clock_gettime nothing.
# libpq goes on after a failed send and waits for the end of the connection, which comes with the lane's deadline: these take long.
FAULTS = [("recv", errno.ECONNRESET), ("send", errno.ENOBUFS), ("recv", errno.ENOMEM), ("send", errno.EPIPE), ("sendmsg", errno.ECONNRESET),
          ("sendmsg", errno.ENOBUFS), ("accept", errno.EMFILE), ("accept", errno.ENFILE), ("accept", errno.ECONNABORTED), ("accept", errno.ENOMEM),
          ("epoll_add", errno.ENOSPC), ("epoll_add", errno.ENOMEM), ("epoll_wait", errno.EINTR), ("close", errno.EIO), ("close", errno.EINTR),
          ("fcntl", errno.EMFILE), ("sockopt", errno.ENOBUFS), ("shutdown", errno.ENOTCONN), ("write", errno.EAGAIN), ("write", errno.EIO), ("write", 0)]
RECONNECTION = [("socket", errno.EMFILE), ("socket", errno.ENOMEM), ("connect", errno.ECONNREFUSED), ("connect", errno.EAGAIN), ("fcntl", errno.EMFILE),
                ("epoll_add", errno.ENOSPC), ("sockopt", errno.ENOBUFS), ("getsockname", errno.ENOBUFS), ("recv", errno.ECONNRESET), ("send", errno.EPIPE),
                ("allocate", errno.ENOMEM)]


@pytest.fixture(scope="module", name="world")
def _world(site):
    community = f"/v1/communities/{site.community['id']}"

    def create():
        title = name()
        return site.json("POST", "/v1/communities", site.officer, {"name": title, "kind": "interest"}, Idempotency_Key=title.replace(" ", "-"))

    def named(wire):
        return site.rows("SELECT count(*) FROM wardmote.community WHERE name = %s", json.loads(wire.body)["name"])

    return site, [Case("list in gzip", lambda: site.get("/v1/communities?limit=30", site.officer, **{"Accept-Encoding": "gzip"})), Case("create", create, effect=named),
                  Case("foreign: record", lambda: site.get(community, site.other.officer))]


def descriptors(site):
    all_connected(site)
    return site.server.descriptors()


def none_left(site, before):
    """No descriptor more than before."""
    until(lambda: site.server.descriptors() <= before)


def hold(site, what):
    """While everything of a kind fails, the server waits."""
    calls, cpu = site.shim.count, site.server.cpu_seconds()
    time.sleep(HOLD_SECONDS)  # it is what happens in this time that is looked at
    assert site.shim.count - calls < CALLS_MAX, f"{what}: {site.shim.count - calls} calls in {HOLD_SECONDS} s"
    assert site.server.cpu_seconds() - cpu < CPU_MAX, f"{what}: spins"


@pytest.mark.parametrize("kind, error", wardmote_long.pick(FAULTS[::2], FAULTS), ids=lambda value: value if isinstance(value, str) else errno.errorcode.get(value, "short"))
def test_calls_of_a_request(world, kind, error):
    site, cases = world
    for case in cases:
        run = Run(site, case, [kind], error)
        base = descriptors(site)
        points = range(1, run.n + 1) if wardmote_long.LONG else sorted({1, run.n})
        for at in points:
            run.fail(at, False)
            if kind not in ("accept", "epoll_wait"):  # whom nobody accepts waits
                run.fail(at, True)
        none_left(site, base)


@pytest.mark.parametrize("kind, error", [("accept", errno.EMFILE), ("accept", errno.ENOMEM), ("epoll_add", errno.ENOMEM), ("sendmsg", errno.ENOBUFS)],
                         ids=lambda value: value if isinstance(value, str) else errno.errorcode[value])
def test_no_spinning(world, kind, error):
    site, cases = world
    run = Run(site, cases[0], [kind], error)
    wire = cases[0].make()
    site.shim.arm([kind], 1, True, error)
    try:
        with contextlib.suppress(AssertionError):
            send(site.server, wire, 1)
        hold(site, kind)
    finally:
        site.shim.disarm()
    run.settle(wire, kind)


def end_backends(site):
    with contextlib.closing(site.cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'torture'")
        assert cursor.fetchone()[0] > 0


@pytest.mark.parametrize("kind, error", wardmote_long.pick(RECONNECTION[::2], RECONNECTION), ids=lambda value: value if isinstance(value, str) else errno.errorcode[value])
def test_calls_of_a_reconnection(world, kind, error):
    """The database's connections are ended; what their renewal calls fails. The lanes come back, with the statements prepared anew."""
    site, cases = world
    run = Run(site, cases[1], [kind], error)
    base = descriptors(site)
    points = range(1, 60) if wardmote_long.LONG else (1, 4)
    for at in points:
        for forever in (False, True):
            site.shim.arm([kind], at, forever, error)
            end_backends(site)
            time.sleep(0.1 if not forever or wardmote_long.LONG else 0.3)  # the renewal is under way
            site.shim.disarm()
            assert site.server.alive(), f"{kind} {at}: {site.server.log()[-3000:]}\n{run.where()}"
            wire = cases[1].make()
            run.settle(wire, f"reconnection, {kind} {at}")
    none_left(site, base)


@pytest.mark.parametrize("kind, error", [("allocate", errno.ENOMEM), ("open", errno.EMFILE), ("read", errno.EIO), ("read", errno.EINTR), ("fstat", errno.EIO), ("close", errno.EIO)],
                         ids=lambda value: value if isinstance(value, str) else errno.errorcode[value])
def test_keys_are_read_again(world, kind, error):
    """On the main thread. The old keys stay, and tokens hold; nothing is left open."""
    site, cases = world
    run = Run(site, cases[0], ["allocate"])
    thread = "wardmote"
    site.shim.arm([kind], 0, thread=thread)
    site.server.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)  # the signal is read at once; the reading of a folder takes a millisecond
    site.shim.disarm()
    n, base = site.shim.count, descriptors(site)
    assert n > 0
    draw = wardmote_long.rng(kind)
    for at in range(1, n + 1) if wardmote_long.LONG and n < 300 else draw.sample(range(1, n + 1), min(n, wardmote_long.pick(3, 300))):
        for forever in (False, True):
            site.shim.arm([kind], at, forever, error, thread=thread)
            site.server.process.send_signal(signal.SIGHUP)
            until(lambda: site.shim.failures > 0)
            time.sleep(0.05)  # the rest of the reading
            site.shim.disarm()
            assert site.server.alive(), f"{kind} {at} of {n}: {site.server.log()[-3000:]}\n{run.where()}"
            run.settle(cases[0].make(), f"keys, {kind} {at} of {n}")
    site.server.process.send_signal(signal.SIGHUP)
    none_left(site, base)


def test_the_jobs_thread(world):
    """Its statements, and its connection, without memory: it comes back, and the server is ready again."""
    site, cases = world
    run = Run(site, cases[0], ["allocate"])
    for at in range(1, wardmote_long.pick(4, 120)):
        site.shim.arm(["allocate", "send", "recv", "poll", "socket", "connect"], at, at % 2 == 0, thread="jobs")
        until(lambda: site.shim.failures > 0)
        time.sleep(0.2)  # two rounds more
        site.shim.disarm()
        assert site.server.alive(), f"{at}: {site.server.log()[-3000:]}\n{run.where()}"
        site.server.wait_ready()


class PipedServer(Server):
    """Its log is a pipe."""

    reader = None

    def start(self):
        os.mkfifo(self.log_path)
        self.reader = os.open(self.log_path, os.O_RDONLY | os.O_NONBLOCK)
        super().start()

    def log(self):
        return ""

    def lost(self):
        with urllib.request.urlopen(f"{self.admin_url}/metrics", timeout=10) as answer:
            return int(re.search(rb"^wardmote_log_dropped_lines_total (\d+)", answer.read(), re.M)[1])


def test_a_blocked_log(cluster, keys, host):
    """Standard error and output are a pipe that nobody reads: lines are lost and counted, requests are not."""
    server = PipedServer(cluster, keys, workers=2)
    statuses = []

    def ask():
        client = Client(server, None, None)
        statuses.extend(client.get("/v1").status for _ in range(wardmote_long.pick(100, 5000)))
        client.close()

    def ask_all():
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ask_all()
    assert server.lost() > 0
    # Now and then there is room for one line: two workers must not both take it.
    for _ in range(wardmote_long.pick(3, 300)):
        os.read(server.reader, 4096)
        ask_all()
    assert set(statuses) == {200} and host
    while True:
        try:
            if not os.read(server.reader, 65536):
                break
        except BlockingIOError:
            break
    before = server.lost()
    assert Client(server, None, None).get("/v1").status == 200
    until(lambda: b'"route":"/v1"' in _read(server.reader))
    assert server.lost() == before
    server.close()
    os.close(server.reader)


def _read(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""
