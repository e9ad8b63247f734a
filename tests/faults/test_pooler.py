# SPDX-License-Identifier: AGPL-3.0-or-later
"""PgBouncer in transaction mode between server and database, and transactions that are begun and ended by name. (The whole suite runs that way with
WARDMOTE_TEST_POOLER=1 or WARDMOTE_TEST_TRANSACTIONS=explicit.)"""
import contextlib
import pathlib
import subprocess
import time

import psycopg2
import pytest

import wardmote_server
from fault_site import DURABLE, Site, until
from wardmote_long import pick, rng
from wardmote_pooler import Pooler

POOL = 3  # connections to the database, fewer than the server's to the pooler


class PooledSite(Site):
    """With PgBouncer in between; two segments of one connection rarely meet the same backend."""

    def __init__(self, **settings):
        cluster = wardmote_server.Cluster(DURABLE + " -c log_statement=all")
        self.pooler = Pooler(cluster, POOL)
        super().__init__(cluster, lambda _: self.pooler, pooler="transaction", database_direct=cluster.uri("wardmote_api"), **settings)

    def backends(self):
        """What PostgreSQL knows of those behind the pooler: (state, statements prepared is their own business)."""
        with contextlib.closing(self.cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT state FROM pg_stat_activity WHERE usename = 'wardmote_api' AND application_name = 'wardmote' AND backend_type = 'client backend'")
            return [row[0] for row in cursor.fetchall()]

    def close(self):
        super().close()
        self.pooler.close()


@pytest.fixture(scope="module", name="pooled", params=["implicit", "explicit"])
def _pooled(request):
    site = PooledSite(transactions=request.param)
    yield site
    site.close()


def test_every_way_of_asking(pooled):
    officer = pooled.client()
    made = [officer.post("/v1/communities", {"name": f"Pooled {n}", "kind": "interest"}) for n in range(20)]
    assert {answer.status for answer in made} == {201}
    record = made[0].json()
    path = f"/v1/communities/{record['id']}"
    assert officer.get(path).json() == record
    assert officer.get("/v1/communities", params={"q": "Pooled", "limit": 5}).status == 200
    assert officer.get("/v1/communities", params={"count": "exact", "limit": 1}).json()["count"] >= 20
    assert len(officer.get("/v1/communities", params={"limit": "all"}).json()["items"]) >= 20
    assert officer.delete(path, headers={"If-Match": '"99"'}).status == 412
    assert officer.post("/v1/communities", {"name": "x", "kind": "interest", "external_id": "one"}).status == 201
    assert officer.post("/v1/communities", {"name": "x", "kind": "interest", "external_id": "one"}).status == 409
    assert officer.get(path).status == 200, "a transaction that failed is over"


def test_the_server_is_behind_the_pooler(pooled):
    """With fewer backends than it has connections, and none that remembers anything of it."""
    assert pooled.server.metric("db_connections") > POOL
    # those of the threads go past it
    assert len(pooled.backends()) <= POOL + 3
    with contextlib.closing(psycopg2.connect(pooled.pooler.uri("wardmote_api"))) as direct, direct.cursor() as cursor:
        for name in ("wardmote.account", "wardmote.partner", "wardmote.rank", "wardmote.scopes"):
            cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [name])
            assert cursor.fetchone()[0] == "", name
        cursor.execute("SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ('"$user", public', "0", "0")
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone()[0] == 0


def test_nothing_stays_in_a_failed_transaction(pooled):
    officer = pooled.client()
    for _ in range(8):
        assert officer.post("/v1/communities", {"name": "x", "kind": "interest", "external_id": "two"}).status in (201, 409)
    until(lambda: set(pooled.backends()) == {"idle"}, what="an end of all transactions")


def test_begin_and_commit_are_sent(pooled):
    log = pathlib.Path(f"{pooled.cluster.folder}/log").read_text(encoding="utf-8")
    commits = log.count("execute <unnamed>: COMMIT")
    assert commits > 20 if pooled.server.settings["transactions"] == "explicit" else commits == 0
    assert "execute w1" not in log, "nothing is prepared by name"


def test_it_restarts_under_load(pooled):
    """kill -9 of the pooler: what was under way is unknown, and nothing that was acknowledged is lost."""
    random, gaps = rng("pooler"), []
    with pooled.load(writers=4, pace=0.005) as load:
        load.more(20)
        for _ in range(pick(4, 200)):
            time.sleep(random.random() * 0.2)  # so that it meets requests at every stage
            pooled.pooler.kill()
            killed = time.monotonic()
            pooled.pooler.start()
            load.more(5)
            gaps.append(time.monotonic() - killed)
        summary = pooled.finish(load)
    print(f"pooler: {len(gaps)} restarts, {summary}, slowest {max(gaps):.2f} s")
    assert max(gaps) < 20
    assert pooled.server.metric("db_mismatches_total") == 0


def test_the_threads_need_a_way_past_it():
    done = subprocess.run([wardmote_server.binary(), "config", "--pooler", "transaction"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "database_direct must be set" in done.stderr
