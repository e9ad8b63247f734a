# SPDX-License-Identifier: AGPL-3.0-or-later
"""The synchronous standby is away: commits wait for it, and no client waits for ever. At the deadline a write's outcome is unknown (nothing is cancelled: the
commit stays where it is), further writes are refused at once, reads go on, few backends are left waiting, and all settles when the standby returns."""
import concurrent.futures
import contextlib
import time
import urllib.request

import pytest

from fault_site import Site, until
from pair import Pair
from wardmote_long import pick
from wardmote_records import unique

DEADLINE = 1  # seconds: request_timeout_ms
GRACE = 5     # what the server waits beyond it (src/db/internal.h)
SLACK = 4     # of a sanitizer's build on a busy machine
WORKERS, LANE_WRITE = 2, 3


@pytest.fixture(scope="module", name="pair")
def _pair():
    pair = Pair()
    yield pair
    pair.close()


@pytest.fixture(scope="module", name="site")
def _site(pair):
    site = Site(pair, request_timeout_ms=DEADLINE * 1000, workers=WORKERS, lane_write=LANE_WRITE)
    yield site
    site.server.close()


def create(client, name):
    begun = time.monotonic()
    answer = client.post("/v1/communities", {"name": name, "kind": "interest"}, headers={"Idempotency-Key": name})
    return answer, time.monotonic() - begun


def _if_made(answer):
    assert answer.status in (201, 503), answer.text()
    return answer if answer.status == 201 else None


def waiting(pair):
    """Backends that wait for the standby."""
    return pair.ask(pair.primary, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0]


def stored(pair, prefix):
    with contextlib.closing(pair.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM wardmote.community WHERE name LIKE %s", (f"{prefix}%",))
        return sorted(name for (name,) in cursor.fetchall())


@contextlib.contextmanager
def without_standby(pair, site, mode="fast"):
    """From when each worker has all its connections: what came before may have cost some."""
    until(lambda: site.server.metric("db_connections", 'lane="write"') == WORKERS * LANE_WRITE, what="all connections for writes")
    pair.standby.stop(mode)
    try:
        yield
    finally:
        pair.standby.start()


def is_ready(site):
    try:
        with urllib.request.urlopen(f"{site.server.admin_url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def refusals(pair, site):
    """(seconds of each refusal, how many more writes were sent on their way, the most backends that waited) while callers go on."""
    begun, refused, late, backlog = time.monotonic(), [], 0, 0
    while time.monotonic() - begun < pick(8, 60):
        answer, seconds = create(site.client(), unique("Refused"))
        assert answer.status == 503
        if "outcome" in answer.json():  # of a worker that had nothing to do so far, and finds out by this
            late += 1
        else:
            refused.append(seconds)
        assert site.client().get("/v1/communities?limit=5").status == 200
        backlog = max(backlog, waiting(pair))
        time.sleep(0.1)  # a caller, not a load
    return refused, late, backlog


def test_standby_away(pair, site):
    prefix = unique("Waiting")
    names = [f"{prefix}-{number:02}" for number in range(16)]
    with without_standby(pair, site):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda name: create(site.client(), name), names))
        unknown = {name for name, (answer, _) in zip(names, answers) if answer.json().get("outcome") == "unknown"}
        assert {answer.status for answer, _ in answers} == {503}
        assert 1 <= len(unknown) <= WORKERS * LANE_WRITE * 2, "what was under way; the rest had not begun"
        assert max(seconds for _, seconds in answers) < DEADLINE + GRACE + SLACK
        assert stored(pair, prefix) == [], "no commit was cut off from its wait: that would have made it visible"

        until(lambda: create(site.client(), unique("Refused"))[1] < 0.5, what="quick refusals")
        refused, late, backlog = refusals(pair, site)
        assert max(refused) < SLACK and len(refused) > late, "refused at once"
        assert late <= WORKERS * LANE_WRITE and backlog <= WORKERS * LANE_WRITE + 2, "each connection leaves one waiting, and the jobs thread"
        assert is_ready(site), "reads go on, so that nobody should turn away from this server"

    returned = time.monotonic()
    until(lambda: create(site.client(), unique("Back"))[0].status == 201)
    recovered = time.monotonic() - returned
    until(lambda: waiting(pair) == 0)
    assert set(stored(pair, prefix)) <= unknown, "what was refused did not happen"
    done = stored(pair, prefix)
    # Each worker finds the database again by itself: a client asks once more while the other one has not.
    again = [until(lambda: _if_made(create(site.client(), name)[0])) for name in names]  # pylint: disable=cell-var-from-loop
    assert {name for name, answer in zip(names, again) if answer.headers.get("idempotency-replayed")} == set(done)
    assert stored(pair, prefix) == names, "each once"
    print(f"\nstandby away: {len(unknown)} of 16 unknown, {len(done)} of them done; {len(refused)} refusals meanwhile, longest {max(refused):.3f} s; "
          f"at most {backlog} backends waiting; recovered {recovered:.2f} s after its return")


def test_an_answer_from_the_store_waits_for_the_standby(pair, site):
    """A commit that waits is there for all to see once the primary was started anew, standby or not. If that primary were lost then, so would be the record:
    whoever asks again under the key must not be told that it is done before the standby has it."""
    name = unique("Restarted")
    with without_standby(pair, site):
        answer, _ = create(site.client(), name)
        assert answer.status == 503 and answer.json()["outcome"] == "unknown"
        pair.primary.stop("immediate")
        pair.primary.start()
        assert stored(pair, name) == [name], "it was committed where it is"
        until(lambda: site.client().get("/v1/communities?limit=1").status == 200)
        begun = time.monotonic()
        while time.monotonic() - begun < DEADLINE + GRACE:
            again, _ = create(site.client(), name)
            assert again.status == 503
    again = until(lambda: (lambda answer: answer if answer.status != 503 else None)(create(site.client(), name)[0]))
    assert again.status == 201 and again.headers["idempotency-replayed"] == "true"
    assert stored(pair, name) == [name]


def test_standby_comes_and_goes_under_load(pair, site):
    with site.load(writers=4, pace=0.005) as load:
        for _ in range(pick(1, 20)):
            load.more(20)
            with without_standby(pair, site, "immediate"):
                until(lambda: waiting(pair) > 0)
                time.sleep(DEADLINE + GRACE)  # beyond every deadline
            assert load.more(20) < 5 + SLACK
        summary = site.finish(load)
    print(f"\nstandby comes and goes: {summary}")
    assert summary.unknown > 0
