# SPDX-License-Identifier: AGPL-3.0-or-later
"""What clients are told when the database fails: too slow, locked, broken, gone. On a cluster of its own, since it breaks it."""
import contextlib
import threading
import urllib.error
import urllib.request

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records, unique
from wardmote_suite import until

PATIENCE = 20


class World:
    def __init__(self, cluster, server, partner):
        self.cluster = cluster
        self.server = server
        self.partner = partner
        self.client = partner.officer


def world(cluster, host, keys, contract, coverage, **settings):
    server = wardmote_server.Server(cluster, keys, **settings)
    public = Client(server, contract, coverage)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    return World(cluster, server, Records(administrator, contract).partner())


@pytest.fixture(scope="module", name="site")
def _site():
    cluster = wardmote_server.Cluster()
    cluster.setup()
    yield cluster, wardmote_server.make_administrator(cluster), wardmote_server.make_keys(cluster)
    cluster.close()


@pytest.fixture(name="start")
def _start(site, contract, anonymous):
    """start(request_timeout_ms=300): a server and a partner's clients."""
    cluster, host, keys = site
    started = []

    def start(**settings):
        started.append(world(cluster, host, keys, contract, anonymous.coverage, **settings))
        return started[-1]

    yield start
    for each in started:
        each.server.close()


@contextlib.contextmanager
def locked(cluster, table="wardmote.community"):
    """Nobody else comes to the table."""
    connection = cluster.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.rollback()
            connection.close()


def readiness(server):
    try:
        with urllib.request.urlopen(f"{server.admin_url}/readyz", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def community(key=None):
    return {"json_body": {"name": key or unique("Fault"), "kind": "interest"}, "headers": {"Idempotency-Key": key or unique("key")}}


def test_a_statement_that_runs_into_its_deadline(start):
    here = start(request_timeout_ms=300)
    with locked(here.cluster):
        answer = here.client.get("/v1/communities")
    assert answer.status == 504
    assert here.client.get("/v1/communities").status == 200


def test_a_lock_that_is_not_had_in_time(start):
    here = start(request_timeout_ms=8000)
    with locked(here.cluster):
        answer = here.client.post("/v1/communities", **community())
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert here.client.post("/v1/communities", **community()).status == 201


def test_what_the_server_did_not_foresee_is_told_without_detail(start):
    here = start()
    connection = here.cluster.connect()
    with connection.cursor() as cursor:
        cursor.execute("ALTER VIEW api.activity RENAME TO activity_away")
        try:
            answer = here.client.get("/v1/activities")
        finally:
            cursor.execute("ALTER VIEW api.activity_away RENAME TO activity")
    connection.close()
    assert answer.status == 500
    assert "api." not in answer.text() and "relation" not in answer.text()
    assert answer.json()["trace_id"] in here.server.log()
    assert here.client.get("/v1/activities").status == 200


def test_a_database_that_goes_and_comes_back(start):
    here = start()
    here.cluster.stop()
    try:
        until(lambda: readiness(here.server) == 503)
        for answer in (here.client.get("/v1/communities"), here.client.post("/v1/communities", **community())):
            assert answer.status == 503
            assert "retry-after" in answer.headers
        assert here.client.get("/openapi.json").status == 200, "what needs no database is there"
    finally:
        here.cluster.start()
    until(lambda: readiness(here.server) == 200)
    answer = here.client.get("/v1/communities")
    assert answer.status == 200, answer.text()


def test_a_write_whose_connection_breaks_is_settled_by_its_key(start):
    """Whatever the client was told, the same request with the same key makes one record."""
    here = start(request_timeout_ms=20000)
    name = unique("Broken")
    answers = []
    with locked(here.cluster):
        client = here.client.as_token(here.client.token)
        thread = threading.Thread(target=lambda: answers.append(client.post("/v1/communities", **community(name))))
        thread.start()
        connection = here.cluster.connect("postgres")
        with connection.cursor() as cursor:
            def waiting():
                cursor.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'wardmote_api'")
                return cursor.fetchall()

            for (pid,) in until(waiting):
                cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
        connection.close()
        thread.join(PATIENCE)
    assert answers and answers[0].status == 503, answers and answers[0].text()
    again = until(lambda: (lambda answer: answer if answer.status != 503 else None)(here.client.post("/v1/communities", **community(name))))
    assert again.status == 201
    assert len(here.client.get("/v1/communities", params={"name": name}).json()["items"]) == 1


def test_a_read_whose_connection_breaks_is_tried_on_another(start):
    here = start(request_timeout_ms=20000)
    answers = []
    client = here.client.as_token(here.client.token)
    connection = here.cluster.connect("postgres")
    until(lambda: here.server.metric("db_connections", 'lane="read"') >= 2)
    with locked(here.cluster), connection.cursor() as cursor:
        thread = threading.Thread(target=lambda: answers.append(client.get("/v1/communities")))
        thread.start()

        def waiting():
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'wardmote_api'")
            return cursor.fetchall()

        for (pid,) in until(waiting):
            cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
        until(waiting)  # it waits again, on another connection
    thread.join(PATIENCE)
    connection.close()
    assert answers and answers[0].status == 200, answers and answers[0].text()


def test_stopping_finishes_what_is_under_way(start):
    here = start(request_timeout_ms=20000)
    answers, status = [], []
    client = here.client.as_token(here.client.token)
    connection = here.cluster.connect("postgres")
    with locked(here.cluster), connection.cursor() as cursor:
        thread = threading.Thread(target=lambda: answers.append(client.get("/v1/communities")))
        thread.start()

        def waiting():
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'wardmote_api'")
            return cursor.fetchall()

        until(waiting)
        stopper = threading.Thread(target=lambda: status.append(here.server.stop()))
        stopper.start()
        until(lambda: "draining" in here.server.log())
    thread.join(PATIENCE)
    stopper.join(PATIENCE)
    connection.close()
    assert answers and answers[0].status == 200
    assert status == [0]


def test_a_feed_that_is_held_up_is_seen(start, site):
    here = start()
    lag = "feed_lag_seconds"
    until(lambda: here.server.metric(lag) < 0.5)
    with locked(site[0], "wardmote.feed"):
        until(lambda: here.server.metric(lag) > 1.5)
    until(lambda: here.server.metric(lag) < 0.5)
