# SPDX-License-Identifier: AGPL-3.0-or-later
"""The network between server and database delays, goes silent in one direction or both, cuts answers short and resets, under load. Every request is
answered, refusals are quick once the silence is noticed, nobody has to help, and the auditor has nothing to complain of."""
import threading
import time

import pytest

from fault_proxy import FaultProxy, Through
from fault_site import Site, until
from wardmote_long import LONG, pick, rng

DEADLINE = 1          # seconds: request_timeout_ms
GRACE = 5             # what the server waits beyond it before it gives a silent connection up (src/db/internal.h)
RECOVERY_SECONDS = 5  # after the end of the fault
SLACK = 3             # of a sanitizer's build on a busy machine


@pytest.fixture(scope="module", name="site")
def _site():
    proxies = []

    def through(cluster):
        proxies.append(FaultProxy(cluster, tcp=True))
        return Through(cluster, proxies[0])

    site = Site(through=through, request_timeout_ms=DEADLINE * 1000, heavy_timeout_ms=DEADLINE * 1000)
    site.proxy = proxies[0]
    yield site
    site.proxy.heal()
    site.close()
    site.proxy.close()


class Watcher(threading.Thread):
    """Reads, one request after another, and keeps (begun, seconds, status) of each: every one must be answered."""

    def __init__(self, client):
        super().__init__()
        self._client = client
        self.seen = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.05):  # 20 a second: a caller, not a load
            begun = time.monotonic()
            status = self._client.get("/v1/communities?limit=1").status
            self.seen.append((begun, time.monotonic() - begun, status))

    def stop(self):
        self.ended.set()
        self.join()

    def recovered(self, healed):
        """Seconds from the end of the fault to the first success that began after it."""
        return until(lambda: next((begun + seconds - healed for begun, seconds, status in list(self.seen) if begun > healed and status == 200), None))


@pytest.mark.parametrize("ways", [("to_server",), ("to_client",), ("to_server", "to_client")], ids=["to server", "to client", "both"])
def test_silence_for_a_moment(site, ways):
    """Shorter than any deadline: nobody is told."""
    with site.load(writers=4, pace=0.005) as load:
        load.more(20)
        for way in ways:
            site.proxy.stall(way)
        time.sleep(0.7)  # the fault
        site.proxy.heal()
        load.more(20)
        summary = site.finish(load)
    assert summary.unknown == 0 and summary.lost_answers == 0


SILENCES = [("to_server",), ("to_client",), ("to_server", "to_client")] if LONG else [("to_client",)]


@pytest.mark.parametrize("ways", SILENCES, ids=" ".join)
def test_silence(site, ways):
    watcher = Watcher(site.client())
    with site.load(writers=4, pace=0.005) as load:
        load.more(20)
        watcher.start()
        begun = time.monotonic()
        for way in ways:
            site.proxy.stall(way)
        noticed = until(lambda: next((start + seconds for start, seconds, status in list(watcher.seen) if start > begun and status >= 500), None)) - begun
        until(lambda: next((True for start, seconds, status in list(watcher.seen) if start > begun + noticed and status == 503 and seconds < 0.5), None))
        quick = time.monotonic()
        time.sleep(pick(2, 30))  # the fault goes on
        site.proxy.heal()
        healed = time.monotonic()
        recovered = watcher.recovered(healed)
        load.more(20)
        watcher.stop()
        summary = site.finish(load)
    meanwhile = [seconds for start, seconds, _ in watcher.seen if quick < start < healed]
    print(f"\nsilence {' and '.join(ways)}: noticed after {noticed:.2f} s, {len(meanwhile)} refusals meanwhile, longest {max(meanwhile):.3f} s; "
          f"recovered {recovered:.2f} s after its end; {summary}")
    assert noticed < DEADLINE + GRACE + SLACK
    assert max(meanwhile) < 1, "refused at once"
    assert recovered < RECOVERY_SECONDS + SLACK
    assert max(seconds for _, seconds, _ in watcher.seen) < 2 * (DEADLINE + GRACE) + SLACK, "a read is tried on two connections at most"


def test_cut_after_some_bytes(site):
    """Every connection ends in the middle of an answer, somewhere else each time."""
    random = rng("cut")
    with site.load(writers=4, pace=0.005) as load:
        for _ in range(pick(8, 400)):
            load.more(5)
            site.proxy.cut_after = random.choice([random.randrange(700, 3000), random.randrange(3000, 60000)])
            cuts = site.proxy.cuts
            until(lambda: site.proxy.cuts > cuts + 3)  # pylint: disable=cell-var-from-loop
            site.proxy.heal()
        begun = time.monotonic()
        load.more(5)
        assert time.monotonic() - begun < RECOVERY_SECONDS + SLACK
        print(f"\ncut: {site.finish(load)}")


def test_resets(site):
    random = rng("reset")
    with site.load(writers=4, pace=0.005) as load:
        for _ in range(pick(10, 1000)):
            load.more(5)
            time.sleep(random.random() * 0.02)  # so that it meets requests at every stage
            site.proxy.cut()
        begun = time.monotonic()
        load.more(5)
        assert time.monotonic() - begun < RECOVERY_SECONDS + SLACK
        summary = site.finish(load)
    print(f"\nresets: {summary}")
    assert summary.unknown > 0


def test_delay(site):
    with site.load(writers=4, pace=0.005) as load:
        load.more(5)
        site.proxy.delay = 0.3
        load.more(20)
        site.proxy.heal()
        load.more(20)
        summary = site.finish(load)
    assert summary.unknown == 0
