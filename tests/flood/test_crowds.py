# SPDX-License-Identifier: AGPL-3.0-or-later
"""More connections than the server takes, more files than it may open, bodies without an end: what is refused is refused at once and told so, what is
inside goes on, and when the flood ends everything is as before."""
import contextlib
import time

import pytest

import crowd
from wardmote_client import Client
from wardmote_long import pick

LIMIT = pick(400, 10000)
SOFT = LIMIT * 9 // 10
MANY = pick(3000, 10000)
FLAT_MIB = 10
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
GIGABYTES = 10 << 30


# --- connections ---

def test_connections_above_the_soft_limit_are_told(serve, release, host, anonymous):
    """503 with Retry-After within 100 ms; who is inside goes on; when the crowd leaves, the next request is answered."""
    server = serve(connection_limit=LIMIT)
    client = crowd.client(server, host, anonymous)
    assert client.get("/v1/me").status == 200  # its connection is inside, and stays there
    crowd.prefer(server.process.pid)
    with crowd.Crowd(release, server, SOFT, "idle") as held:
        held.wait_open()
        crowd.until(lambda: crowd.descriptors(server.process.pid) > SOFT)
        with crowd.Crowd(release, server, LIMIT // 20, "full", reopen=1000) as refused:
            seen = crowd.until(lambda: (lambda seen: seen if seen["answers"] >= 500 else None)(refused.seen()))
        assert set(seen["statuses"]) == {"503"} and seen["retry_after"] == seen["answers"], seen
        assert seen["p99_ms"] < 100, seen
        assert client.get("/v1/me").status == 200
    begun = time.monotonic()
    crowd.until(lambda: Client(server, anonymous.contract, anonymous.coverage, client.token).get("/v1/me").status == 200)
    assert time.monotonic() - begun < 1


def test_silent_connections_above_the_soft_limit_make_room(serve, release, host, anonymous):
    """At the hard limit newcomers wait in the kernel's queue, not for long: above the soft limit a head has a second."""
    server = serve(connection_limit=LIMIT)
    token = crowd.client(server, host, anonymous).token
    with crowd.Crowd(release, server, LIMIT + 20, "head") as held:
        held.wait_open(LIMIT)
        crowd.until(lambda: crowd.descriptors(server.process.pid) > LIMIT)
        begun = time.monotonic()
        answer = Client(server, anonymous.contract, anonymous.coverage, token).get("/v1/me")
        waited = time.monotonic() - begun
        assert answer.status == 503 and "retry-after" in answer.headers
        assert 0.1 < waited < 4, waited
        assert held.seen()["statuses"].keys() <= {"503"}
    crowd.until(lambda: Client(server, anonymous.contract, anonymous.coverage, token).get("/v1/me").status == 200)


def test_a_flood_of_connections_comes_and_goes(serve, release, host, anonymous):
    """Far more than the hard limit, again and again; healthy clients that were inside see nothing of it, and nothing is left behind."""
    server = serve(connection_limit=LIMIT, workers=2)
    token = crowd.client(server, host, anonymous).token
    crowd.prefer(server.process.pid)
    crowd.prefer_cluster(server.cluster)
    crowd.settled(server)
    before = crowd.descriptors(server.process.pid)
    load = crowd.Load(release, server, [crowd.get("/v1/me", token)], 250, pick(5, 60), 4)
    crowd.until(lambda: crowd.descriptors(server.process.pid) > before)
    for _ in range(pick(2, 20)):
        with crowd.Crowd(release, server, LIMIT + pick(600, 5000), "full", reopen=1000) as flood:
            crowd.until(lambda: flood.seen()["answers"] > LIMIT)  # pylint: disable=cell-var-from-loop
    seen = load.result()
    assert seen["statuses"].get("200", 0) > 0 and set(seen["statuses"]) <= {"200", "503"}, seen
    assert seen["late"] == 0 and seen["without_retry_after"] == 0, seen
    assert seen["statuses"]["200"] > 0.5 * sum(seen["statuses"].values()), seen
    crowd.until(lambda: crowd.descriptors(server.process.pid) <= before)


@pytest.mark.parametrize("mode, before_kib, kept_kib", [("idle", 2, 2), ("full", 40, 4)])
def test_memory_of_a_crowd(serve, release, host, anonymous, mode, before_kib, kept_kib):
    """Of connections that never spoke, and of such that have each made a request and stay: what one of them holds, at most and after a while."""
    server = serve(workers=2, connection_limit=20000)
    token = crowd.client(server, host, anonymous).token
    pid = server.process.pid
    before = crowd.resident_mib(pid)[0]
    with crowd.Crowd(release, server, MANY, mode, field=f"Authorization: Bearer {token}") as held:
        held.wait_open()
        seen = crowd.until(lambda: (lambda seen: seen if mode == "idle" or seen["answers"] == MANY else None)(held.seen()))
        assert set(seen["statuses"]) <= {"200"}, seen
        crowd.until(lambda: crowd.descriptors(pid) >= MANY)
        assert crowd.resident_mib(pid)[1] < before + MANY * before_kib / 1024 + FLAT_MIB
        crowd.until(lambda: crowd.resident_mib(pid)[0] < before + MANY * kept_kib / 1024 + FLAT_MIB, 5)
        assert held.seen()["open"] == MANY


# --- bodies ---

@pytest.mark.parametrize("mode", ["huge", "chunked"])
@pytest.mark.parametrize("who", ["stranger", "account"])
def test_a_hundred_endless_bodies(serve, release, host, anonymous, mode, who):
    """10 GB by Content-Length, and chunks that never end: refused with 413 before they are read, in bounded time and memory."""
    server = serve(workers=2)
    client = crowd.client(server, host, anonymous)
    pid = server.process.pid
    options = {"target": "/oauth/token", "field": FORM}
    if who == "account":
        options = {"target": "/v1/communities", "field": f"{JSON}\r\nAuthorization: Bearer {client.token}"}
    before = crowd.resident_mib(pid)[0]
    for _ in range(pick(3, 30)):
        with crowd.Crowd(release, server, 100, mode, size=GIGABYTES, **options) as flood:
            crowd.until(lambda: flood.seen()["answers"] == 100, 10)  # pylint: disable=cell-var-from-loop
            begun = time.monotonic()
            seen = crowd.until(lambda: (lambda seen: seen if seen["open"] == 0 else None)(flood.seen()), 10)  # pylint: disable=cell-var-from-loop
        assert seen["statuses"] == {"413": 100}, seen
        assert time.monotonic() - begun < 5
        # No more than the cap of each, what was on its way, and what is read and dropped so that no reset overtakes the answer.
        assert seen["bytes"] < 100 * (8 << 20), seen
    # Without a length, each may hold what its caller may send, in memory that is doubled when it is full.
    held = 0 if mode == "huge" else 100 * 2 * (1 if who == "account" else 1 / 16)
    assert crowd.resident_mib(pid)[1] < before + held + FLAT_MIB
    crowd.until(lambda: crowd.resident_mib(pid)[0] < before + held / 4 + FLAT_MIB)
    assert client.get("/v1/me").status == 200


# --- files ---

@pytest.mark.parametrize("files", [64, 48])
def test_files_run_out(serve, release, host, anonymous, cluster, files):
    """200 clients where there are files for a few: 503 or the queue, no spinning; and the database is found again meanwhile, since its files are kept."""
    server = serve(before=f"ulimit -n {files};", lane_read=1, lane_write=2, lane_heavy=1, lane_stream=1)
    pid = server.process.pid
    client = crowd.client(server, host, anonymous)
    assert client.get("/v1/me").status == 200
    crowd.settled(server)
    before = crowd.descriptors(pid)
    with crowd.Crowd(release, server, 200, "head", reopen=1000, interval_ms=1000) as flood:
        crowd.until(lambda: crowd.descriptors(pid) >= before + 6)
        begun, spent = time.monotonic(), crowd.cpu_seconds(pid)
        with contextlib.closing(cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            for _ in range(3):
                cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'wardmote_api'")
                crowd.until(lambda: server.metric("db_connections") == 5)
        assert client.get("/v1/me").status in (200, 503)
        time.sleep(max(0, begun + 3 - time.monotonic()))  # the span over which its time is counted
        assert (crowd.cpu_seconds(pid) - spent) / (time.monotonic() - begun) < 0.2
        assert flood.seen()["statuses"].keys() <= {"408", "503"}
    crowd.until(lambda: Client(server, anonymous.contract, anonymous.coverage, client.token).get("/v1/me").status == 200)
    client.close()
    crowd.until(lambda: crowd.descriptors(pid) <= before)
