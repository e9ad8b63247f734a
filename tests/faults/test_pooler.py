# SPDX-License-Identifier: AGPL-3.0-or-later
"""PgBouncer in transaction mode between server and database, and transactions that are begun and ended by name, behind it and without. (The suite of the API
runs that way with WARDMOTE_TEST_POOLER=1 or WARDMOTE_TEST_TRANSACTIONS=explicit: test_pooler_suite.py.)"""
import contextlib
import subprocess
import time

import psycopg2
import pytest

import wardmote_server
from fault_site import Prepared, until
from load import entries
from pooled import LOGGED, POOL, WatchedSite
from wardmote_long import pick, rng
from wardmote_records import unique

RECOVERY_SECONDS = 20  # of a sanitizer's build on a busy machine


@pytest.fixture(scope="module", name="prepared")
def _prepared():
    prepared = Prepared(LOGGED)
    yield prepared
    prepared.cluster.close()


@pytest.fixture(scope="module", name="site", params=["pooled implicit", "pooled explicit", "plain explicit"])
def _site(request, prepared):
    place, transactions = request.param.split()
    site = WatchedSite(prepared, place == "pooled", transactions=transactions)
    yield site
    site.close()


@pytest.fixture(name="pooled")
def _pooled(site):
    """What is said of the pooler alone holds by itself where there is none."""
    return site if site.pooler is not None else None


def create(client, name, **members):
    return client.post("/v1/communities", {"name": name, "kind": "interest", **members}, headers={"Idempotency-Key": unique("key")})


def test_every_way_of_asking(site):
    officer = site.client()
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


def test_the_server_is_behind_the_pooler(site, pooled):
    """With fewer backends than it has connections, and none that remembers anything of it."""
    backends = len(site.backends())
    if pooled is None:
        assert backends > POOL + 3
        return
    assert site.server.metric("db_connections") > POOL
    assert backends <= POOL + 3  # those of the threads go past it
    with contextlib.closing(psycopg2.connect(site.pooler.uri("wardmote_api"))) as direct, direct.cursor() as cursor:
        for name in ("wardmote.account", "wardmote.partner", "wardmote.rank", "wardmote.scopes"):
            cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [name])
            assert cursor.fetchone()[0] == "", name
        cursor.execute("SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ('"$user", public', "0", "0")
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone()[0] == 0


def test_what_fails_leaves_nothing(site):
    """Neither its transaction, for whoever has the backend next, nor an error in what comes next."""
    officer, times = site.client(), 12
    assert create(officer, "x", external_id="two").status == 201
    rollbacks, explicit = site.database_log().count("execute <unnamed>: ROLLBACK"), site.server.settings["transactions"] == "explicit"
    errors = site.database_log().count("ERROR:  ")
    for _ in range(times):  # the index refuses, in the midst of the segment
        assert create(officer, "x", external_id="two").status == 409
        assert create(officer, unique("next")).status == 201
        assert officer.get("/v1/communities?limit=1").status == 200
    assert site.database_log().count("ERROR:  ") == errors + times, "no statement met a transaction that had failed"
    until(lambda: set(site.backends()) == {"idle"}, what="an end of all transactions")
    assert site.database_log().count("execute <unnamed>: ROLLBACK") - rollbacks == (times if explicit else 0), "each is ended at once, by name or by its Sync"


def test_a_commit_that_fails_was_none(site):
    """Of a constraint that is looked at last. There is none in the schema, but may be in that of a later release."""
    site.ask("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE unique_violation; END$$; CREATE CONSTRAINT TRIGGER refuse "
             "AFTER INSERT ON wardmote.community DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse()")
    try:
        name = unique("refused")
        for _ in range(POOL + 1):
            assert create(site.client(), name).status == 409
        assert site.ask(f"SELECT count(*) FROM wardmote.community WHERE name = '{name}'") == [(0,)]
    finally:
        site.ask("DROP TRIGGER refuse ON wardmote.community; DROP FUNCTION public.refuse()")
    assert create(site.client(), unique("next")).status == 201


def test_begin_and_commit_are_sent(site, pooled):
    create(site.client(), unique("sent"))
    log = site.database_log()
    commits = log.count("execute <unnamed>: COMMIT")
    assert commits > 20 if site.server.settings["transactions"] == "explicit" else commits == 0
    assert ("execute w1" in log) == (pooled is None), "nothing is prepared by name behind a pooler"


def test_the_database_has_nothing_to_warn_of(site):
    assert create(site.client(), "x", external_id="three").status == 201
    assert create(site.client(), "x", external_id="three").status == 409
    log = site.database_log()
    assert "ERROR:  duplicate key value" in log, "a segment failed in the database"
    assert "WARNING:" not in log


def test_the_answer_to_a_commit_is_lost(site):
    """Between the pooler and the database, where there is one: neither it nor the server knows."""
    for moment, done in (("after", True), ("before", False)):
        name = unique(f"lost-{moment}")
        key = {"Idempotency-Key": name}
        site.proxy.cut_at(name, moment)
        lost = site.client().post("/v1/communities", {"name": name, "kind": "interest"}, headers=key)
        assert lost.status == 503 and lost.json()["outcome"] == "unknown"
        assert site.ask(f"SELECT count(*) FROM wardmote.community WHERE name = '{name}'") == [(int(done),)]
        again = until(lambda: (lambda answer: answer if answer.status != 503 else None)(
            site.client().post("/v1/communities", {"name": name, "kind": "interest"}, headers=key)))  # pylint: disable=cell-var-from-loop
        assert again.status == 201 and (again.headers.get("idempotency-replayed") == "true") == done
        assert site.ask(f"SELECT count(*) FROM wardmote.community WHERE name = '{name}'") == [(1,)]


def pause(pooler):
    pooler.command("PAUSE")
    pooler.command("RESUME")


def kill(pooler):
    pooler.kill()
    pooler.start()


def stop(pooler):
    pooler.stop()
    pooler.start()


GENTLE = [lambda pooler: pooler.command("RELOAD"), pause, lambda pooler: pooler.command("RECONNECT")]
ROUGH = [kill, stop]


def disturb(site, draw, ways, times):
    gaps = []
    with site.load(writers=4, pace=0.005) as load:
        load.more(20)
        for number in range(times):
            time.sleep(draw.random() * 0.2)  # so that it meets requests at every stage
            begun = time.monotonic()
            ways[number % len(ways)](site.pooler)
            load.more(5)
            gaps.append(time.monotonic() - begun)
        summary = site.finish(load)
    print(f"\npooler, {len(gaps)} times: {summary}; until five more writes were acknowledged: longest {max(gaps):.2f} s")
    assert max(gaps) < RECOVERY_SECONDS
    assert site.server.metric("db_mismatches_total") == 0
    return {line.get("status", "lost") for line in entries(load.journal) if "status" in line or "lost" in line}


def test_nobody_notices_a_reload(site, pooled):
    """Nor a pause that is over in time, nor fresh connections to the database."""
    statuses = disturb(site, rng("reload"), GENTLE, pick(3, 150)) if pooled else {200}
    assert statuses <= {200, 201, 204, 404, 412}, "an append may meet another's"


def test_who_waits_too_long_for_a_backend_is_told(site, pooled):
    """After query_wait_timeout PgBouncer ends the connection, and does not say whether it had begun."""
    if pooled is None:
        return
    name = unique("waited")
    site.pooler.command("SET query_wait_timeout = 1")
    site.pooler.command("PAUSE")
    try:
        write, read = create(site.client(), name), site.client().get("/v1/communities?limit=1")
    finally:
        site.pooler.command("RESUME")
        site.pooler.command("SET query_wait_timeout = 120")
    assert write.status == 503 and write.json()["outcome"] == "unknown"
    assert read.status == 503
    assert site.ask(f"SELECT count(*) FROM wardmote.community WHERE name = '{name}'") == [(0,)]
    until(lambda: create(site.client(), unique("resumed")).status == 201)


def test_restarts_lose_nothing(site, pooled):
    """What was under way is unknown, and nothing that was acknowledged is lost: kill -9, or SIGTERM; of the database's backend where there is no pooler."""
    if pooled:
        disturb(site, rng("pooler"), ROUGH, pick(4, 200))
        return
    with site.load(writers=4, pace=0.005) as load:
        for _ in range(pick(4, 200)):
            load.more(10)
            site.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wardmote_api'")
        load.more(10)
        print(f"\nplain, explicit: {site.finish(load)}")


def test_settings_that_are_refused_are_not_the_callers_fault(site, pooled):
    """Last of those that want this server: from then on it does not ask who answers."""
    officer = site.client()
    assert create(officer, unique("allowed")).status == 201
    if pooled is None:
        return
    site.ask("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
    try:
        assert create(officer, unique("untold")).status == 201, "a fresh connection finds out, and does not ask"
        site.ask("REVOKE EXECUTE ON FUNCTION set_config(text, text, boolean) FROM PUBLIC")
        answers = [officer.get("/v1/communities?limit=1"), create(officer, unique("unset"))]
        assert {answer.status for answer in answers} <= {500, 503} and "outcome" not in answers[1].json()
        assert '"statement failed"' in site.server.log() and '"sqlstate":"42501"' in site.server.log()
    finally:
        site.ask("GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn), set_config(text, text, boolean) TO PUBLIC")
    until(lambda: create(officer, unique("set")).status == 201)


def test_the_threads_need_a_way_past_it():
    done = subprocess.run([wardmote_server.binary(), "config", "--pooler", "transaction"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "database_direct must be set" in done.stderr
