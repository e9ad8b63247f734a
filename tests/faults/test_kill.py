# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 under load: of the server, of a backend (which makes PostgreSQL start all of them again), of the postmaster. Nothing that was acknowledged is lost,
nothing is done twice, what is unknown is settled, and each time the next write is acknowledged within the time that is promised, without a human."""
import contextlib
import os
import pathlib
import signal
import statistics
import time

import psycopg2
import pytest

from fault_site import Site, until
from wardmote_long import pick, rng

RECOVERY_SECONDS = 20  # of a sanitizer's build on a busy machine; docs/security.md has what was measured
BATCH = 100            # kills in one journal


@pytest.fixture(scope="module", name="site")
def _site():
    site = Site()
    yield site
    site.close()


def kill_server(site, _):
    site.server.process.kill()
    site.server.process.wait()
    site.server.start()


def kill_backend(site, random):
    """One of ours that is at work, where there is one; it takes all others with it, this test's as well."""
    with contextlib.closing(until(lambda: connection_to(site))) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'wardmote_api' ORDER BY state = 'idle', pid")
        os.kill(random.choice(cursor.fetchall()[:4])[0], signal.SIGKILL)
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT pg_sleep(60)")


def connection_to(site):
    """None while the database starts."""
    with contextlib.suppress(psycopg2.OperationalError):
        return site.cluster.connect("postgres")
    return None


def kill_postmaster(site, _):
    os.kill(int(pathlib.Path(f"{site.cluster.folder}/data/postmaster.pid").read_text(encoding="utf-8").split()[0]), signal.SIGKILL)

    def started():
        try:
            site.cluster.start()
            return True
        except RuntimeError:
            return False  # orphans of the old one hold the shared memory for a moment

    until(started, what="the start of the database")


def serves(site):
    """The server is the one that runs: its backends are there."""
    with contextlib.suppress(Exception), contextlib.closing(site.cluster.connect("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'wardmote_api'")
        return cursor.fetchone()[0] > 0
    return False


@pytest.mark.parametrize("kill, times", [(kill_server, pick(3, 1000)), (kill_backend, pick(5, 1000)), (kill_postmaster, pick(2, 100))],
                         ids=["server", "backend", "postmaster"])
def test_killed_under_load(site, kill, times):
    random, gaps, totals = rng(kill.__name__), [], {}
    for begun in range(0, times, BATCH):
        with site.load(writers=4, pace=0.005) as load:
            load.more(20)
            for _ in range(min(BATCH, times - begun)):
                time.sleep(random.random() * 0.05)  # so that the kill meets requests at every stage
                killed = time.monotonic()
                kill(site, random)
                until(lambda: serves(site), what="the server's return to the database")
                load.more(5)
                gaps.append(time.monotonic() - killed)
            summary = site.finish(load)
        for name, value in vars(summary).items():
            totals[name] = totals.get(name, 0) + value
    print(f"\n{kill.__name__} {times} times: {totals}; until five more writes were acknowledged: median {statistics.median(gaps):.2f} s, "
          f"longest {max(gaps):.2f} s")
    assert totals["acknowledged"] >= 5 * times and totals["unknown"] + totals["refused"] > 0, "the kills met writes under way"
    assert max(gaps) < RECOVERY_SECONDS
