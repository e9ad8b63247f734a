# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every status of 500 and above that the document names, each made by the fault that it stands for, and how the server comes back from it."""
import concurrent.futures
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request

import pytest

import wardmote_server
from fault_proxy import FaultProxy, Through
from wardmote_client import Client
from wardmote_records import unique

RECOVERY_SECONDS = 10


def eventually(check, seconds=RECOVERY_SECONDS):
    """The first true answer of `check`, within the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def ready(server):
    """(status, body) of /readyz."""
    try:
        with urllib.request.urlopen(f"{server.admin_url}/readyz", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class World:
    """A server behind a proxy, and the host's administrator in it. The setting is small, so that every limit is in reach."""

    def __init__(self, cluster, keys, host, anonymous, database="wardmote", **settings):
        self.proxy = FaultProxy(cluster)
        self.cluster = cluster
        self.database = database
        settings = {"lane_read": 1, "lane_write": 2, "lane_heavy": 1, "lane_stream": 1, "request_timeout_ms": 1000, "heavy_timeout_ms": 1000, **settings}
        self.server = wardmote_server.Server(Through(cluster, self.proxy), keys, database, **settings)
        self.anonymous = Client(self.server, anonymous.contract, anonymous.coverage)
        self.token = self.anonymous.token_for(host["client_id"], host["client_secret"])

    def client(self):
        return self.anonymous.as_token(self.token)

    def well(self):
        """Reads and writes work again."""
        self.proxy.heal()
        client = self.client()
        eventually(lambda: ready(self.server)[0] == 200 and client.get("/v1/me").status == 200)
        return client

    def close(self):
        self.proxy.heal()
        self.server.close()
        self.proxy.close()


@pytest.fixture(scope="module", name="world")
def _world(cluster, keys, host, anonymous):
    world = World(cluster, keys, host, anonymous)
    yield world
    world.close()


@pytest.fixture(name="client")
def _client(world):
    return world.well()


@contextlib.contextmanager
def locked(cluster, table, database="wardmote"):
    """Nobody reads or writes the table meanwhile."""
    with contextlib.closing(cluster.connect(database=database)) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
        connection.rollback()


def partner(name):
    return {"name": name, "kind": "voluntary"}


def named(client, name):
    return client.pages("/v1/partners", params={"name.contains": name})


# --- 503: the database is away ---

def test_database_away(world, client):
    world.proxy.refuse = True
    world.proxy.cut()
    eventually(lambda: client.get("/v1/partners").status == 503)
    eventually(lambda: world.server.metric("db_connections", 'lane="write"') == 0)  # they are cut one after another
    begun = time.monotonic()
    for answer in (client.get("/v1/partners"), client.get("/v1/me"), client.post("/v1/partners", partner(unique("Away")))):
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["type"].endswith("/unavailable") and "outcome" not in answer.json()
    assert time.monotonic() - begun < 2, "none of the three waited for its deadline of a second"
    status, body = eventually(lambda: (lambda seen: seen if seen[0] == 503 and not seen[1]["database_reachable"] else None)(ready(world.server)))
    assert status == 503 and body["ready"] is False and body["lanes_connected"] is False and body["draining"] is False
    with urllib.request.urlopen(f"{world.server.admin_url}/livez", timeout=5) as answer:
        assert answer.status == 200
    assert client.get("/openapi.json").status == 200  # what needs no database goes on
    world.proxy.heal()
    begun = time.monotonic()
    eventually(lambda: client.get("/v1/me").status == 200)
    assert time.monotonic() - begun < 5


def test_token_endpoint_without_database(world, client, host):
    world.proxy.refuse = True
    world.proxy.cut()
    eventually(lambda: client.get("/v1/partners").status == 503)
    answer = world.anonymous.form("/oauth/token", {"grant_type": "client_credentials", "client_id": host["client_id"],
                                                   "client_secret": host["client_secret"]})
    assert answer.status == 503 and "retry-after" in answer.headers


# --- 504: a statement takes too long ---

def test_statement_timeout(world, client):
    with locked(world.cluster, "wardmote.partner"):
        answer = client.get("/v1/partners")
        assert answer.status in (503, 504)  # lock_timeout is 2 s, the request's deadline 1 s
        assert answer.status == 504 and answer.json()["type"].endswith("/timeout")
    assert client.get("/v1/partners").status == 200


def test_lock_timeout(cluster, keys, host, anonymous):
    """A write that waits for a lock ends with 503 and changes nothing."""
    world = World(cluster, keys, host, anonymous, request_timeout_ms=20000)
    try:
        client = world.client()
        record = client.post("/v1/partners", partner(unique("Locked"))).json()
        with contextlib.closing(cluster.connect()) as connection:
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM wardmote.partner WHERE id = %s FOR UPDATE", (record["id"],))
                begun = time.monotonic()
                answer = client.patch(f"/v1/partners/{record['id']}", {"short_name": "x"}, headers={"If-Match": "*"})
                assert answer.status == 503 and "retry-after" in answer.headers and "outcome" not in answer.json()
                assert 1.5 < time.monotonic() - begun < 6
            connection.rollback()
        assert client.get(f"/v1/partners/{record['id']}").json()["version"] == record["version"]
    finally:
        world.close()


# --- 503: the queue is full ---

def test_queue_full(cluster, keys, host, anonymous):
    world = World(cluster, keys, host, anonymous, queue_limit=4, pipeline_depth=1, request_timeout_ms=3000)
    try:
        world.proxy.delay = 0.4
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: world.client().get("/v1/partners?limit=1"), range(24)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        assert all("retry-after" in answer.headers for answer in answers if answer.status == 503)
        world.proxy.heal()
        eventually(lambda: world.client().get("/v1/me").status == 200)
        assert world.server.metric("http_shed_total") == statuses.count(503)
    finally:
        world.close()


# --- 500: a statement fails as nobody foresaw ---

@pytest.fixture(scope="module", name="broken")
def _broken(cluster, keys, anonymous):
    """A database of its own, to be broken."""
    cluster.setup("faults")
    host = wardmote_server.make_administrator(cluster, "faults")
    world = World(cluster, keys, host, anonymous, "faults", request_timeout_ms=5000)
    yield world
    world.close()


def test_unexpected_failure_and_its_repair(broken):
    """Requests in one pipeline share statements that failed to prepare: once the cause is gone, all work."""
    client = broken.client()
    with contextlib.closing(broken.cluster.connect(database="faults")) as owner, owner.cursor() as cursor:
        cursor.execute("ALTER VIEW api.partner RENAME TO partner_gone")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: broken.client().get("/v1/partners", params={"limit": 1, "name.contains": f"n{n}"}), range(16)))
        assert {answer.status for answer in answers} == {500}
        body = answers[0].json()
        assert body["type"].endswith("/internal") and "partner_gone" not in answers[0].text() and "api." not in answers[0].text()
        cursor.execute("ALTER VIEW api.partner_gone RENAME TO partner")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: broken.client().get("/v1/partners", params={"limit": 1, "name.contains": f"n{n}"}), range(16)))
    assert {answer.status for answer in answers} == {200}
    assert broken.server.metric("db_mismatches_total") == 0
    line = next(json.loads(line) for line in broken.server.log().splitlines() if '"statement failed"' in line)
    assert line["sqlstate"] == "42P01" and line["route"] == "/v1/partners" and line["level"] == "error"
    assert client.get("/v1/me").status == 200


def test_readiness_when_migrations_are_missing(broken):
    with contextlib.closing(broken.cluster.connect(database="faults")) as owner, owner.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE kept AS SELECT * FROM meta.migration ORDER BY number DESC LIMIT 1")
        cursor.execute("DELETE FROM meta.migration WHERE number = (SELECT number FROM kept)")
        try:
            status, body = eventually(lambda: (lambda seen: seen if seen[0] == 503 else None)(ready(broken.server)))
            assert body == {"ready": False, "draining": False, "database_reachable": True, "migrations_current": False, "lanes_connected": True}
        finally:
            cursor.execute("INSERT INTO meta.migration SELECT * FROM kept")
        eventually(lambda: ready(broken.server)[0] == 200)


# --- the outcome is unknown ---

@pytest.mark.parametrize("moment", ["before", "after"])
def test_unknown_outcome_is_settled_by_the_key(world, client, moment):
    """The connection breaks while a write is under way. Whether the database did it or not, the same request with the same key settles it: one effect."""
    name, key = unique(f"Unknown {moment}"), unique("key")
    world.proxy.cut_at(name, moment)
    answer = client.post("/v1/partners", partner(name), headers={"Idempotency-Key": key})
    assert answer.status == 503 and answer.json()["outcome"] == "unknown" and "retry-after" in answer.headers
    client = world.well()
    assert len(named(client, name)) == (1 if moment == "after" else 0)

    def settled():
        """As a client does: again after a 503, with the same key, while the lane still connects."""
        answer = client.post("/v1/partners", partner(name), headers={"Idempotency-Key": key})
        return answer if answer.status != 503 else None

    again = eventually(settled)
    assert again.status == 201
    assert again.headers.get("idempotency-replayed") == ("true" if moment == "after" else None)
    found = named(client, name)
    assert [record["id"] for record in found] == [again.json()["id"]] and found[0]["version"] == 1


def test_unknown_outcome_of_a_backend_that_was_killed(world, client):
    """As above, by SIGKILL of nothing but our connection's end: terminated while it waits for a lock, so that nothing was done."""
    record = client.post("/v1/partners", partner(unique("Terminated"))).json()
    with contextlib.closing(world.cluster.connect("postgres")) as killer, contextlib.closing(world.cluster.connect()) as holder:
        holder.autocommit = False
        with holder.cursor() as cursor, killer.cursor() as kill, concurrent.futures.ThreadPoolExecutor(1) as pool:
            cursor.execute("SELECT FROM wardmote.partner WHERE id = %s FOR UPDATE", (record["id"],))
            write = pool.submit(world.client().patch, f"/v1/partners/{record['id']}", {"short_name": "never"}, headers={"If-Match": "*"})

            def terminated():
                kill.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wardmote_api' AND wait_event_type = 'Lock'")
                return kill.rowcount > 0

            eventually(terminated)
            answer = write.result(20)
        holder.rollback()
    assert answer.status == 503
    assert world.well().get(f"/v1/partners/{record['id']}").json()["version"] == 1


def test_a_read_is_tried_again(cluster, keys, host, anonymous):
    """A connection that breaks under reads is invisible while another one is there."""
    world = World(cluster, keys, host, anonymous, lane_read=2)
    try:
        client = world.client()
        eventually(lambda: world.server.metric("db_connections") == 6)
        for n in range(5):
            name = unique(f"Reread {n}")
            world.proxy.cut_at(name, "before" if n % 2 else "after")
            assert client.get("/v1/partners", params={"name.contains": name}).status == 200
            eventually(lambda: world.server.metric("db_connections_lost_total") == n + 1 and world.server.metric("db_connections") == 6)
        assert world.proxy.cuts == 5
    finally:
        world.close()


# --- silence ---

@pytest.mark.parametrize("way", ["to_server", "to_client"])
def test_a_silent_database(cluster, keys, host, anonymous, way):
    """The network takes everything and gives nothing: every request is answered, however many are on the connection, and the process can still end."""
    world = World(cluster, keys, host, anonymous, request_timeout_ms=500, heavy_timeout_ms=500)
    try:
        assert world.client().get("/v1/partners").status == 200
        world.proxy.stall(way)
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: world.client().get("/v1/partners"), range(12)))
        assert {answer.status for answer in answers} <= {503, 504}
        assert time.monotonic() - begun < 20
        eventually(lambda: ready(world.server)[1]["database_reachable"] is False, 20)
        begun = time.monotonic()
        assert world.server.stop() == 0
        assert time.monotonic() - begun < 15
    finally:
        world.close()


def test_a_slow_network(world, client):
    world.proxy.delay = 0.2
    name = unique("Slow")
    assert client.post("/v1/partners", partner(name)).status == 201
    assert len(named(client, name)) == 1


@pytest.mark.parametrize("size", [0, 1, 5, 17, 100, 333, 1000, 5000, 20000])
def test_answers_cut_short(world, client, size):
    """Whatever part of an answer arrives before the connection breaks: a whole answer goes to the client, or a refusal."""
    world.proxy.cut_after = size
    for _ in range(3):
        answer = client.get("/v1/partners?limit=5")
        assert answer.status in (200, 503)
        assert answer.status == 503 or len(answer.json()["items"]) > 0
    assert world.server.metric("db_mismatches_total") == 0


# --- another database answers ---

def test_the_second_host_is_tried(cluster, keys, host, anonymous):
    """The first host of the URI takes no writes; libpq goes on to the second within one attempt, with a new socket of the same number."""
    proxy = FaultProxy(cluster)
    proxy.read_only = True

    class Two(Through):
        def uri(self, role, database="wardmote"):
            return cluster.uri(role, database).replace("host=", f"host={proxy.folder},") + "&target_session_attrs=read-write"

    server = wardmote_server.Server(Two(cluster, proxy), keys)
    try:
        client = Client(server, anonymous.contract, anonymous.coverage)
        assert client.as_token(client.token_for(host["client_id"], host["client_secret"])).get("/v1/me").status == 200
    finally:
        server.close()
        proxy.close()


def test_a_database_that_takes_no_writes_for_a_while(cluster, keys, host, anonymous):
    """As one does that became a standby behind an address that stays, or whose disk is full. Told by a write that fails, and from then on by each new
    connection: writes are refused at once, reads go on and the server stays ready, and when it takes writes again they are back."""
    world = World(cluster, keys, host, anonymous)
    try:
        client = world.client()
        assert client.post("/v1/partners", partner(unique("Before"))).status == 201
        eventually(lambda: world.server.metric("db_connections") == 5)
        with contextlib.closing(cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            cursor.execute("SELECT pg_reload_conf()")
            try:
                answer = eventually(lambda: (lambda seen: seen if seen.status != 201 else None)(client.post("/v1/partners", partner(unique("Turning")))))
                assert answer.status == 503 and "outcome" not in answer.json()
                eventually(lambda: world.server.metric("db_connections_lost_total") >= 5)
                eventually(lambda: client.get("/v1/partners").status == 200)
                eventually(lambda: "it takes no writes" in world.server.log())
                begun = time.monotonic()
                for _ in range(20):
                    answer = client.post("/v1/partners", partner(unique("Standby")))
                    assert answer.status == 503 and "outcome" not in answer.json() and "retry-after" in answer.headers
                    assert client.get("/v1/partners?limit=1").status == 200
                assert time.monotonic() - begun < 5, "nobody waits for a deadline"
                assert ready(world.server)[0] == 200
            finally:
                cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
                cursor.execute("SELECT pg_reload_conf()")
        eventually(lambda: client.post("/v1/partners", partner(unique("After"))).status == 201)
        assert named(client, unique("Standby").rsplit("-", 1)[0]) == []
    finally:
        world.close()


# --- races ---

def test_deadlocks_and_serialisation_failures_are_tried_again(broken):
    """A trigger that fails twice in this way: the client sees success, once. One that always does: 503, and nothing was done."""
    client = broken.client()
    setup = """
        CREATE SEQUENCE IF NOT EXISTS wardmote.attempts; GRANT USAGE ON SEQUENCE wardmote.attempts TO PUBLIC;
        CREATE OR REPLACE FUNCTION wardmote.fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.name LIKE 'Flaky%' AND nextval('wardmote.attempts') % 3 <> 0 OR NEW.name LIKE 'Hopeless%' THEN
                RAISE EXCEPTION 'again' USING ERRCODE = CASE WHEN NEW.kind = 'council' THEN '40001' ELSE '40P01' END;
            END IF;
            RETURN NEW;
        END $$;
        CREATE OR REPLACE TRIGGER a_fail_at_first BEFORE INSERT ON wardmote.partner FOR EACH ROW EXECUTE FUNCTION wardmote.fail_at_first()"""
    with contextlib.closing(broken.cluster.connect(database="faults")) as owner, owner.cursor() as cursor:
        cursor.execute(setup)
        try:
            for kind in ("council", "voluntary"):
                name = unique("Flaky")
                answer = client.post("/v1/partners", {"name": name, "kind": kind}, headers={"Idempotency-Key": unique("key")})
                assert answer.status == 201 and len(named(client, name)) == 1
                name = unique("Hopeless")
                answer = client.post("/v1/partners", {"name": name, "kind": kind})
                assert answer.status == 503 and "retry-after" in answer.headers and "outcome" not in answer.json()
                assert named(client, name) == []
        finally:
            cursor.execute("DROP TRIGGER a_fail_at_first ON wardmote.partner")
    eventually(lambda: broken.server.metric("db_retries_total") >= 2 * 2 + 2 * 3)  # published a moment later


def test_no_update_is_lost(world, client):
    """Ten callers read, change and write back one record. Every change that was accepted is one version, and no other."""
    record = client.post("/v1/partners", partner(unique("Contended"))).json()
    path, accepted, lock = f"/v1/partners/{record['id']}", [], threading.Lock()

    def change(number):
        mine = world.client()
        for turn in range(5):
            read = mine.get(path)
            answer = mine.patch(path, {"short_name": f"{number}.{turn}"}, headers={"If-Match": read.etag})
            assert answer.status in (200, 412)
            if answer.status == 200:
                with lock:
                    accepted.append((answer.json()["version"], answer.json()["short_name"]))

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(change, range(10)))
    accepted.sort()
    assert [version for version, _ in accepted] == list(range(2, len(accepted) + 2))
    assert client.get(path).json()["short_name"] == accepted[-1][1]


def test_more_statements_than_are_kept(world, client):
    """A connection keeps 200 prepared statements: going round more of them, twice, evicts and prepares again without an error."""
    filters = {"name.contains": "x", "kind": "voluntary", "status": "active", "updated_at.gte": "2020-01-01T00:00:00Z",
               "created_at.gte": "2020-01-01T00:00:00Z", "code": "none", "updated_at.lt": "2090-01-01T00:00:00Z", "parent_id.null": "true"}
    names = list(filters)
    before = world.server.metric("db_errors_total")
    for _ in range(2):
        for mask in range(1 << len(names)):
            chosen = {name: filters[name] for bit, name in enumerate(names) if mask >> bit & 1}
            answer = client.get("/v1/partners", params={**chosen, "limit": 1})
            assert answer.status == 200, answer.text()
    eventually(lambda: world.server.metric("db_prepares_total") > 400)  # published a moment later
    assert world.server.metric("db_errors_total") == before and world.server.metric("db_mismatches_total") == 0
