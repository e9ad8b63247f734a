# SPDX-License-Identifier: AGPL-3.0-or-later
"""Slow loris: thousands of connections that send or take a byte now and then, while healthy clients go on as ever. Their 99th percentile and the server's
memory are measured on a release build, against the same healthy clients a moment before the crowd came."""
import pytest

import crowd
from wardmote_long import pick
from wardmote_records import unique

pytestmark = pytest.mark.alone
CROWD = pick(1000, 10000)
SECONDS = pick(4, 40)
HEALTHY_MS = 5
TRIES = 3  # this machine has other work, and its host has: what the server does to its clients it does each time
MEMORY_MIB = 100
HELD_MIB = 2 * 32  # what two workers hold of answers that wait for slow readers
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture(scope="module", name="library")
def _library(administrator):
    """A list that is long: a page of it is about 1 MB."""
    place = unique("Library")
    for number in range(250):
        body = {"name": f"{place} {number}", "kind": "interest", "description": "long" * 1000}
        assert administrator.post("/v1/communities", body).status == 201


def healthy(release, server, token, seconds):
    return crowd.Load(release, server, [crowd.get("/v1/me", token), crowd.get("/.well-known/jwks.json")], 250, seconds, 8)


def compare(release, server, token, flood, expected, record_property, memory_mib=MEMORY_MIB, count=CROWD):
    """The crowd comes, stays, goes: the healthy ones before, meanwhile, after."""
    pid = server.process.pid
    crowd.prefer(pid)
    crowd.prefer_cluster(server.cluster)
    before = healthy(release, server, token, 2).result()
    crowd.forget_peak(pid)
    with flood() as unwanted:
        crowd.until(lambda: unwanted.seen()["opened"] >= count * 9 // 10)
        crowd.settled(server)
        for _ in range(TRIES):
            meanwhile = healthy(release, server, token, SECONDS).result()
            if meanwhile["good"]["p99_ms"] < HEALTHY_MS:
                break
        seen = unwanted.seen()
        resident, peak = crowd.resident_mib(pid)
    after = healthy(release, server, token, 2).result()
    figures = {"p99_ms before": before["good"]["p99_ms"], "meanwhile": meanwhile["good"]["p99_ms"], "after": after["good"]["p99_ms"],
               "p50_ms": meanwhile["good"]["p50_ms"], "max_ms": meanwhile["good"]["max_ms"], "resident_mib": round(resident, 1), "peak_mib": round(peak, 1), "crowd": seen}
    record_property("figures", str(figures))
    assert set(seen["statuses"]) <= expected, seen
    print(figures)
    for figure in (before, meanwhile, after):
        assert set(figure["statuses"]) == {"200"} and figure["broken"] == figure["late"] == 0, figure
    assert meanwhile["good"]["p99_ms"] < HEALTHY_MS, figures
    assert peak < memory_mib, figures
    crowd.until(lambda: crowd.descriptors(pid) < 200)
    return seen


@pytest.mark.parametrize("timeout_ms", [10000, pick(1500, 5000)], ids=["held", "turned away"])
def test_heads_that_never_end(serve, release, host, anonymous, record_property, timeout_ms):
    """Below their deadline they are only held; with a short one they are turned away with 408 all the time, and come again."""
    server = serve(workers=2, header_timeout_ms=timeout_ms)
    client = crowd.client(server, host, anonymous)
    compare(release, server, client.token, lambda: crowd.Crowd(release, server, CROWD, "head", interval_ms=1000, reopen=1000), {"408"}, record_property)


@pytest.mark.parametrize("timeout_ms", [30000, pick(1500, 5000)], ids=["held", "turned away"])
def test_bodies_that_never_end(serve, release, host, anonymous, record_property, timeout_ms):
    server = serve(workers=2, body_timeout_ms=timeout_ms)
    client = crowd.client(server, host, anonymous)
    compare(release, server, client.token, lambda: crowd.Crowd(release, server, CROWD, "body", interval_ms=1000, reopen=1000, target="/oauth/token", field=FORM),
            {"408", "503"}, record_property)


@pytest.mark.parametrize("target, held_mib", [("/openapi.json", 0), ("/v1/communities?limit=250", HELD_MIB)], ids=["of the program", "of the database"])
@pytest.mark.usefixtures("library")
def test_answers_that_nobody_reads(serve, release, host, anonymous, record_property, target, held_mib):
    """Who reads slowly is reset when others need the memory: most of the crowd, and nobody else. 10,000 lists of 1 MB at once are an overload (test_overload)
    before they are slow readers."""
    count = 1000 if held_mib else CROWD
    server = serve(workers=2)
    token = crowd.client(server, host, anonymous).token
    compare(release, server, token,
            lambda: crowd.Crowd(release, server, count, "read", interval_ms=1000, target=target, field=f"Authorization: Bearer {token}"),
            {"200"}, record_property, MEMORY_MIB + held_mib, count)
