# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lists with conditions have a short time in the lane of reads and all the time of the heavy one. What makes them slow here is a lock on their table."""
import contextlib
import concurrent.futures
import re

import pytest

from wardmote_client import Client
from wardmote_suite import COVERAGE, until

TABLE = "wardmote.risk_scale"
ONE = {"lane_read": 1, "lane_write": 1, "lane_heavy": 1, "request_timeout_ms": 4000}  # a list is tried for 200 ms


@pytest.fixture(name="asked")
def _asked(cluster, start_server, contract):
    server = start_server(**ONE)
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield Locked(connection.cursor(), lambda: Client(server, contract, COVERAGE), pool)


class Locked:
    """Lists while nobody may read their table."""

    def __init__(self, cursor, client, pool):
        self.cursor = cursor
        self.client = client
        self.pool = pool

    def waiting(self, table=TABLE):
        """The backend that waits for the table, for a request, and its transaction."""
        self.cursor.execute("SELECT l.pid, l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND l.relation = %s::regclass"
                            " AND a.query NOT LIKE '%%wardmote.overlap_step%%' AND a.query NOT LIKE '%%wardmote.prune%%'", (table,))
        return self.cursor.fetchone()

    @contextlib.contextmanager
    def list(self, target):
        """The list that waits; afterwards it is answered. Its statement is known by then: taking it in would wait, too, and is not what is limited."""
        assert self.client().get(target.replace("=", "=prepared-", 1) if "contains" in target else "/v1/risk-scales").status == 200
        self.cursor.execute(f"BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        answer = self.pool.submit(lambda: self.client().request("GET", target))
        try:
            yield until(self.waiting, what="the list is waiting")
        finally:
            self.cursor.execute("ROLLBACK")
        assert answer.result(30).status == 200, answer.result().text()

    def moved(self, first):
        """The transaction that waits after a while, of another backend where no pooler gives it the same one."""
        return until(lambda: self.waiting() not in (None, first) and self.waiting(), what="the list is tried elsewhere")


def test_what_takes_long_goes_on_in_the_heavy_lane(asked):
    with asked.list("/v1/risk-scales?name.contains=zero") as first:
        heavy = asked.moved(first)
        assert asked.client().get("/v1/partners").status == 200  # by the one connection that the list has left
        assert asked.waiting() == heavy


def test_it_is_remembered(asked):
    with asked.list("/v1/risk-scales?name.contains=one") as read:
        heavy = asked.moved(read)
        asked.cursor.execute("SELECT pg_sleep(0.4)")  # it takes its time there, too
    with asked.list("/v1/risk-scales?name.contains=one&limit=3") as first:
        assert first[0] == heavy[0]
    with asked.list("/v1/risk-scales?name.contains=two") as first:
        assert first[0] == read[0]


def test_what_stood_still_with_everything_else_is_not_dear(cluster, start_server, contract):
    """It was stopped in the lane of reads, and was quick in the other: its next ones are reads as before."""
    server = start_server(**{**ONE, "request_timeout_ms": 40000})  # tried for a second
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        table = Locked(connection.cursor(), lambda: Client(server, contract, COVERAGE), pool)
        with table.list("/v1/risk-scales?name.contains=still") as read:
            table.moved(read)
        with table.list("/v1/risk-scales?name.contains=still") as first:
            assert first[0] == read[0]


def test_a_list_without_conditions_is_not_cut_short(asked):
    with asked.list("/v1/risk-scales?name.contains=three") as read:
        asked.moved(read)
    with asked.list("/v1/risk-scales?sort=-updated_at&count=estimated") as first:
        assert first[0] == read[0]
        asked.cursor.execute("SELECT pg_sleep(0.6)")  # three times as long as one with conditions has
        assert asked.waiting() == first


def test_counting_all_is_heavy_from_the_start(asked):
    with asked.list("/v1/risk-scales?name.contains=four") as read:
        heavy = asked.moved(read)
    with asked.list("/v1/risk-scales?count=exact") as first:
        assert first[0] == heavy[0]


def test_a_full_heavy_lane_refuses_its_own_alone(cluster, start_server, contract):
    server = start_server(**{**ONE, "queue_limit": 3, "server_timing": "true"})
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(6) as pool:
        table = Locked(connection.cursor(), lambda: Client(server, contract, COVERAGE), pool)
        assert table.client().get("/v1/risk-scales?name.contains=prepared").status == 200
        table.cursor.execute(f"BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        answers = [pool.submit(lambda: table.client().get("/v1/risk-scales?count=exact"))]
        until(table.waiting, what="the first is waiting for the table")
        answers += [pool.submit(lambda: table.client().get("/v1/risk-scales?count=exact")) for _ in range(5)]
        until(lambda: sum(answer.done() for answer in answers) == 2, what="three wait for the connection, two are refused")
        other, moved = table.client().get("/v1/partners"), table.client().get("/v1/risk-scales?name.contains=moved")
        table.cursor.execute("ROLLBACK")
    assert other.status == 200
    assert moved.status == 503, "it was tried among the reads for a tenth of a second, and there is no room in the heavy lane"
    assert 100 <= float(re.match("db;dur=([0-9.]+)", moved.headers["server-timing"])[1]) < 1500
    assert sorted(answer.result(30).status for answer in answers) == [200] * 4 + [503] * 2


def test_reads_are_refused_while_one_has_waited_for_long(cluster, start_server, contract):
    """Not when the queue is full, but when it stands."""
    server = start_server(**{**ONE, "pipeline_depth": 1, "queue_wait_ms": 300})
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(4) as pool:
        table = Locked(connection.cursor(), lambda: Client(server, contract, COVERAGE), pool)
        table.cursor.execute(f"BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        first = pool.submit(lambda: table.client().get("/v1/risk-scales"))
        until(table.waiting, what="the first is waiting for the table")
        waits = [pool.submit(lambda: table.client().get("/v1/partners")) for _ in range(2)]
        until(lambda: server.metric("db_queued_jobs", 'lane="read"') == 2, what="two wait for the connection")
        table.cursor.execute("SELECT pg_sleep(0.4)")  # longer than one may wait before others are refused
        refused = table.client().get("/v1/partners?limit=1")
        assert refused.status == 503 and refused.headers["retry-after"] == "1" and not any(answer.done() for answer in (first, *waits))
        table.cursor.execute("ROLLBACK")
        assert [answer.result(30).status for answer in (first, *waits)] == [200] * 3
    until(lambda: table.client().get("/v1/partners").status == 200, what="reads are taken again")


# --- what stands for hundreds of areas ---

@pytest.fixture(scope="module", name="dear")
def _dear(records, partner, administrator):
    """Operations that are dear for few records, each with one that takes none."""
    square = {"type": "Polygon", "coordinates": [[[1.0, 52.0], [1.1, 52.0], [1.1, 52.1], [1.0, 52.1], [1.0, 52.0]]]}
    locality = records.make("localities", visibility="public", geometry=square)
    code = administrator.get(f"/v1/boundary-sets/{locality['boundary_set_id']}").json()["code"]
    service = records.make("service-entries", partner.officer, visibility="public", locality_ids=[locality["id"]])
    return {"lineage": f"/v1/localities/{locality['id']}/lineage", "overlaps": f"/v1/localities/{locality['id']}/overlaps",
            "hsds": f"/hsds/services/{service['id']}", "collection": f"/ogc/collections/{code}",
            "item": f"/ogc/collections/{code}/items/{locality['id']}", "areas": "/v1/localities?geometry=simplified&limit=1",
            "whole areas": "/v1/localities?geometry=full&limit=1"}


@pytest.fixture(scope="module", name="patient")
def _patient(start_server):
    """A second for each try, so that what is new to the database is no reason to go elsewhere."""
    return start_server(**{**ONE, "request_timeout_ms": 40000})


@pytest.mark.parametrize("name", ["lineage", "overlaps", "hsds", "collection", "item", "areas", "whole areas"])
def test_what_may_be_dear_leaves_the_reads_alone(cluster, patient, contract, dear, name):
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = Locked(connection.cursor(), lambda: Client(patient, contract, COVERAGE), pool)
        assert asked.client().get(dear[name]).status == 200
        asked.cursor.execute("BEGIN; LOCK TABLE wardmote.locality IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(lambda: asked.client().get(dear[name]))
        try:
            first = until(lambda: asked.waiting("wardmote.locality"), what="it is waiting")
            until(lambda: asked.waiting("wardmote.locality") not in (None, first), seconds=10, what="it is tried elsewhere")
            assert asked.client().get("/v1/partners").status == 200  # by the one connection of reads
        finally:
            asked.cursor.execute("ROLLBACK")
        assert answer.result(30).status == 200, answer.result().text()


def test_a_drawing_that_was_stopped_in_the_midst_of_a_shape_goes_on(cluster, start_server, contract):
    """PostGIS does not always say that it was stopped, but that it got no shape."""
    with contextlib.closing(cluster.connect("postgres")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_get_functiondef('wardmote.tile_box'::regproc)")
        definition = cursor.fetchone()[0]
        try:
            cursor.execute("ALTER FUNCTION wardmote.tile_box RENAME TO tile_box_itself")
            cursor.execute("CREATE FUNCTION wardmote.tile_box(z text, x text, y text) RETURNS public.geometry LANGUAGE plpgsql AS $$ BEGIN"
                           " IF current_setting('statement_timeout') = '100ms' THEN RAISE EXCEPTION 'clipping routine returned NULL' USING ERRCODE = 'XX000'; END IF;"
                           " RETURN wardmote.tile_box_itself(z, x, y); END $$")
            server = start_server(**ONE)
            assert Client(server, contract, COVERAGE).get("/v1/tiles/map-items-facility/0/0/0.mvt").status in (200, 204)
        finally:
            cursor.execute("DROP FUNCTION wardmote.tile_box; ALTER FUNCTION wardmote.tile_box_itself RENAME TO tile_box")
            cursor.execute("SELECT pg_get_functiondef('wardmote.tile_box'::regproc)")
            assert cursor.fetchone()[0] == definition


def test_strangers_leave_one_of_the_heavy_ones(cluster, start_server, contract, host):
    """However many wait who have not signed in: whoever has is served beside them."""
    server = start_server(**{**ONE, "lane_heavy": 2, "queue_limit": 8})
    signed_in = Client(server, contract, COVERAGE)
    signed_in = signed_in.as_token(signed_in.token_for(host["client_id"], host["client_secret"]))
    with contextlib.closing(cluster.connect("postgres")) as connection, concurrent.futures.ThreadPoolExecutor(8) as pool:
        table = Locked(connection.cursor(), lambda: Client(server, contract, COVERAGE), pool)

        def waiting():
            table.cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", (TABLE,))
            return table.cursor.fetchone()[0]

        table.cursor.execute(f"BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        strangers = [pool.submit(lambda: table.client().get("/v1/risk-scales?count=exact")) for _ in range(6)]
        until(lambda: sum(answer.done() for answer in strangers) == 1, what="one has a connection, four wait, which is half of the queue, and one is refused")
        until(lambda: waiting() == 1, what="one of them asks")
        table.cursor.execute("SELECT pg_sleep(0.2)")
        assert waiting() == 1
        answer = pool.submit(lambda: signed_in.get("/v1/risk-scales?count=exact"))
        until(lambda: waiting() == 2, what="the one who has signed in asks, too")
        table.cursor.execute("ROLLBACK")
        assert answer.result(30).status == 200
        assert sorted(stranger.result(30).status for stranger in strangers) == [200] * 5 + [503]
