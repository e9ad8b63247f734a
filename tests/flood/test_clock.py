# SPDX-License-Identifier: AGPL-3.0-or-later
"""The server's wall clock is wrong, or jumps: deadlines and limits of rate count by the clock that does not jump, the database's clock says when a record was
made, and a token is taken at most a minute after its end. The release build runs under libfaketime; the database does not."""
import datetime
import glob
import socket
import time

import pytest

import crowd
from wardmote_client import Client
from wardmote_records import unique

HOUR, DAY = 3600, 86400
LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Clock:
    """What the server takes for the time: ours and so many seconds."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.set(0)

    def set(self, seconds):
        self.path.write_text(f"{seconds:+d}\n", encoding="utf-8")

    def environment(self, monotonic=False):
        found = glob.glob(LIBRARY)
        assert found, "libfaketime is missing"
        settings = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_NO_CACHE": "1"}
        return settings if monotonic else {**settings, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture(name="clock")
def _clock(tmp_path):
    return Clock(tmp_path)


def slow_head(server):
    """How long a head that never ends is waited for."""
    with socket.create_connection((server.host, server.port), timeout=crowd.PATIENCE) as slow:
        slow.sendall(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begun = time.monotonic()
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        return time.monotonic() - begun


@pytest.mark.parametrize("offset", [HOUR, -HOUR, DAY, -DAY])
def test_a_wrong_clock(serve, host, anonymous, clock, offset):
    clock.set(offset)
    server = serve(environment=clock.environment(), header_timeout_ms=1000, rate_account=6)
    client = crowd.client(server, host, anonymous)
    assert client.get("/v1/me").status == 200, "its own tokens hold"
    made = client.post("/v1/communities", {"name": unique("Clock"), "kind": "interest"}).json()
    at = datetime.datetime.fromisoformat(made["created_at"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 60, "the database's clock"
    assert 0.9 < slow_head(server) < 3
    statuses = [client.get("/v1/me").status for _ in range(8)]
    assert statuses.count(429) >= 3 and set(statuses) <= {200, 429}


def test_jumps_under_load(serve, release, host, anonymous, clock):
    """Forwards and backwards by an hour and a day: nobody who asks without a token notices."""
    server = serve(environment=clock.environment(), header_timeout_ms=1000)
    del host, anonymous
    load = crowd.Load(release, server, [crowd.get("/v1/communities?limit=1"), crowd.get("/.well-known/jwks.json")], 100, 5, 4)
    for offset in (HOUR, -HOUR, DAY, -DAY, 0):
        clock.set(offset)
        assert 0.9 < slow_head(server) < 3
    seen = load.result()
    assert set(seen["statuses"]) == {"200"} and seen["broken"] == seen["late"] == 0, seen


def test_a_token_near_its_end(serve, host, anonymous, clock):
    server = serve(environment=clock.environment(), access_token_seconds=10)
    token = crowd.client(server, host, anonymous).token

    def status(offset):
        clock.set(offset)
        return Client(server, anonymous.contract, anonymous.coverage, token).get("/v1/me").status

    assert [status(offset) for offset in (0, 25, 72, HOUR, DAY, 0)] == [200, 200, 401, 401, 401, 200]
    assert status(-HOUR) == 401, "issued in an hour"
    assert crowd.client(server, host, anonymous).get("/v1/me").status == 200


def test_limits_of_rate_outlast_jumps(serve, host, anonymous, clock):
    """Neither are they forgotten nor do they shut out for a day."""
    server = serve(environment=clock.environment(), rate_anonymous=60)
    del host
    client = Client(server, anonymous.contract, anonymous.coverage, source="127.88.1.1")
    for offset in (0, DAY, -DAY):
        clock.set(offset)
        statuses = [client.get("/v1/communities?limit=1").status for _ in range(80)]
        assert statuses.count(429) >= 10, (offset, statuses)
        crowd.until(lambda: client.get("/v1/communities?limit=1").status == 200, 10)


def test_the_other_clock_jumps_too(serve, host, anonymous, clock):
    """No machine does that, but for a virtual one that slept: what was waited for is over, and the server goes on."""
    server = serve(environment=clock.environment(monotonic=True))
    for offset in (HOUR, DAY):
        clock.set(offset)
        crowd.until(lambda: crowd.client(server, host, anonymous).get("/v1/me").status == 200)
    spent, begun = crowd.cpu_seconds(server.process.pid), time.monotonic()
    time.sleep(1)  # the span over which its time is counted
    assert (crowd.cpu_seconds(server.process.pid) - spent) / (time.monotonic() - begun) < 0.3
