# SPDX-License-Identifier: AGPL-3.0-or-later
"""A pooler that leads to the wrong server: to a standby, or after a failover to the former primary. Nothing is read or written there, as without a pooler."""
import concurrent.futures
import contextlib
import pathlib

import pytest

from fault_proxy import FaultProxy, Through
from fault_site import Site, until
from pair import Pair
from pooled import POOL
from wardmote_pooler import Pooler
from wardmote_records import unique

TIMEOUT_MS = 20000
PATH = "/v1/communities"
ASKED = "SELECT 1 FROM pg_stat_activity WHERE usename = 'wardmote_api' AND query <> '' AND query NOT LIKE 'SET %' AND query NOT LIKE '%pg_walfile_name%'"


class Astray:
    """A pair of nodes, a pooler that a proxy leads to one of them, and the way past it, which a second proxy leads."""

    def __init__(self):
        self.pair = Pair()
        self.proxy, self.direct = FaultProxy(self.pair.primary), FaultProxy(self.pair.primary)
        self.pooler = Pooler(self.proxy, POOL)
        self.site = Site(self.pair, lambda _: self.pooler, pooler="transaction", database_direct=self.direct.uri("wardmote_api"), request_timeout_ms=TIMEOUT_MS)

    def lead(self, node):
        """As an address that moves does: what is under way there is lost."""
        self.proxy.lead(node)
        self.direct.lead(node)

    def create(self, name):
        return self.site.client().post(PATH, {"name": name, "kind": "interest"}, headers={"Idempotency-Key": name})

    def answers(self):
        """(a record, a list, an exact count, an export, a write)"""
        client = self.site.client()
        return [client.get(self.path), client.get(PATH, params={"limit": 5}), client.get(PATH, params={"count": "exact", "limit": 1}),
                client.get(PATH, params={"limit": "all"}), self.create(unique("astray"))]

    def works(self):
        until(lambda: {answer.status for answer in self.answers()} == {200, 201}, what="all ways of asking")

    def names(self, node):
        return {name for (name,) in ask(node, "SELECT name FROM wardmote.community")}

    def close(self):
        self.site.server.close()
        self.pooler.close()
        self.proxy.close()
        self.direct.close()
        self.pair.close()


def ask(node, statement):
    with contextlib.closing(node.connect("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


@pytest.fixture(scope="module", name="astray")
def _astray():
    astray = Astray()
    astray.path = f"{PATH}/{astray.create(unique('first')).json()['id']}"
    yield astray
    astray.close()


def refused_by(node):
    """Segments that refused themselves there, as its log has it."""
    return pathlib.Path(f"{node.folder}/log").read_text(encoding="utf-8").count("no primary: its timeline is")


def nothing_from(astray, node):
    """Every request is refused while the pooler leads there."""
    written = astray.names(node)
    for _ in range(6):
        for answer in astray.answers():
            assert answer.status == 503 and "outcome" not in answer.json()
    assert astray.names(node) == written


def test_a_standby_behind_the_pooler(astray):
    astray.works()
    astray.lead(astray.pair.standby)
    nothing_from(astray, astray.pair.standby)
    assert refused_by(astray.pair.standby) > 0, "connections to the pooler were there already, and the first segments found out"
    astray.lead(astray.pair.primary)
    astray.works()


def test_a_former_primary_behind_the_pooler(astray):
    """It still runs, waits for no standby, which hears nothing of it any more, and takes writes. First what was under way there while another was promoted is told late."""
    pair = astray.pair
    astray.works()
    for node, setting in ((pair.primary, "synchronous_standby_names"), (pair.standby, "primary_conninfo")):
        ask(node, f"ALTER SYSTEM SET {setting} = ''")
        ask(node, "SELECT pg_reload_conf()")
    until(lambda: ask(pair.primary, "SHOW synchronous_standby_names") == [("",)])
    until(lambda: ask(pair.primary, "SELECT 1 FROM pg_stat_replication") == [], what="the end of replication")
    late = unique("late")
    with concurrent.futures.ThreadPoolExecutor(24) as threads:  # the pooler has a connection for each: a new one could not sign in while its answers are held
        for asked in [threads.submit(astray.create, unique("warm")) for _ in range(24)] + [threads.submit(astray.site.client().get, PATH, params={"limit": "all"}) for _ in range(24)]:
            asked.result()
    astray.proxy.stall("to_client")
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        read = threads.submit(astray.site.client().get, astray.path)
        export = threads.submit(astray.site.client().get, PATH, params={"limit": "all"})
        write = threads.submit(astray.create, late)
        until(lambda: late in astray.names(pair.primary), what="a commit whose answer is on its way")
        pair.promote()
        new, old = pair.primary, pair.standby
        ask(new, f"UPDATE wardmote.community SET description = 'of today' WHERE id = '{astray.path.rsplit('/', 1)[1]}'")
        astray.direct.lead(new)
        until(lambda: ask(new, ASKED), what="a thread's question to the new primary, and its next statement")
        astray.proxy.heal()
        assert write.result().status == 503 and write.result().json()["outcome"] == "unknown"
        assert read.result().status == 503 and export.result().status == 503
    nothing_from(astray, old)
    astray.lead(new)
    astray.works()
    assert astray.site.client().get(astray.path).json()["description"] == "of today"
    again = astray.create(late)
    assert again.status == 201 and "idempotency-replayed" not in again.headers, "it was done where nobody will see it"
