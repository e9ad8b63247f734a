# SPDX-License-Identifier: AGPL-3.0-or-later
"""A new version takes over under load, side by side with the old one on the same sockets, after its migrations were applied beneath the old one; and back.
No request gets 5xx, none that was read is left without an answer, and a client that asks once more when its kept connection was closed sees no failure at
all. The auditor then compares what was acknowledged with the tables."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

import crowd
import wardmote_callers
import wardmote_server
from fault_site import Site
from load import entries
from wardmote_long import pick

ROLLS = pick(3, 100)


@pytest.fixture(scope="module", name="site")
def _site():
    site = Site(drain_wait_ms=50)
    yield site
    site.close()


def next_binary():
    """Beside the binary of the tests: the same with two more migrations."""
    return str(pathlib.Path(wardmote_server.binary()).resolve().parent.parent.parent / "tests/flood/wardmote_next")


def callers(site):
    return wardmote_callers.callers(site.client, 4, "/v1/communities?limit=5", ("/v1/communities", {"kind": "interest"}))


def expand(cluster):
    """`wardmote migrate` of the next version."""
    done = subprocess.run([next_binary(), "migrate", "--database", cluster.uri("wardmote_owner")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def forget(cluster):
    """As if the migrations had never been applied, so that the next roll applies them again."""
    with contextlib.closing(cluster.connect()) as owner, owner.cursor() as cursor:
        cursor.execute("DELETE FROM meta.migration WHERE number >= 900")
        assert cursor.rowcount == 2
        cursor.execute("DROP INDEX CONCURRENTLY wardmote.community_by_next_note")


def hand_over(site, program, served):
    """A second process on the same sockets; both serve for a while; then the first one is told to end."""
    old, log = site.server.process, site.server.log().count('"message":"the database answers"')
    site.server.program = program
    site.server.start()
    crowd.until(lambda: site.server.log().count('"message":"the database answers"') > log)
    mark = min(served())
    crowd.until(lambda: min(served()) > mark + 5)
    old.send_signal(signal.SIGTERM)
    assert old.wait(crowd.PATIENCE) == 0
    mark = min(served())
    crowd.until(lambda: min(served()) > mark + 5)


def test_versions_take_turns_under_load(site):
    with site.load(writers=2, pace=0.005) as load, callers(site) as served:
        load.more(20)
        for roll in range(ROLLS):
            if roll % 2 == 0:
                expand(site.cluster)
                hand_over(site, next_binary(), served)
            else:
                hand_over(site, None, served)
                forget(site.cluster)
        load.more(20)
        load.stop()
    lines = entries(load.journal)
    assert not [line for line in lines if line.get("status", 0) >= 500]
    assert '"client":"gone"' not in site.server.log() and '"status":0' not in site.server.log()
    print(f"{ROLLS} rolls, {sum('status' in line for line in lines)} answers in the journal: {site.finish(load)}")
    descriptors = len(os.listdir(f"/proc/{site.server.process.pid}/fd"))
    assert descriptors < 60, "each process got its own two copies of the sockets and left none"
