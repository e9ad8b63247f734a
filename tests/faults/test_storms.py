# SPDX-License-Identifier: AGPL-3.0-or-later
"""Those who meet at one record: fifty changes of one version, storms of deadlocks and serialisation failures, tables that are altered underneath. No update is
lost, none is done twice, and what cannot be had is refused."""
import concurrent.futures
import contextlib
import threading
import time

import psycopg2
import pytest

import wardmote_server
from fault_site import DURABLE, Site
from wardmote_long import pick, rng
from wardmote_records import unique

CALLERS = 50


@pytest.fixture(scope="module", name="site")
def _site():
    site = Site(wardmote_server.Cluster(f"{DURABLE} -c deadlock_timeout=50ms"))
    yield site
    site.close()


def test_of_fifty_changes_of_one_version_one_is_accepted(site):
    record = site.officer.post("/v1/communities", {"name": unique("Contended"), "kind": "interest"})
    path = f"/v1/communities/{record.json()['id']}"
    assert site.officer.patch(path, {"description": "blind"}).status == 428
    clients = [site.client() for _ in range(CALLERS)]
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        etag = record.etag
        for turn in range(pick(6, 1000)):
            changes = [(client, {"description": f"{turn}.{number}"}) for number, client in enumerate(clients)]
            answers = list(pool.map(lambda change: change[0].patch(path, change[1], headers={"If-Match": etag}), changes))  # pylint: disable=cell-var-from-loop
            accepted = [answer for answer in answers if answer.status == 200]
            assert sorted(answer.status for answer in answers) == [200] + [412] * (CALLERS - 1)
            assert accepted[0].json()["version"] == turn + 2
            stored = site.officer.get(path)
            assert stored.json()["description"] == accepted[0].json()["description"]
            etag = stored.etag


TROUBLE = """
    CREATE FUNCTION wardmote.trouble() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.6 THEN
            RAISE EXCEPTION 'again' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER a_trouble BEFORE INSERT OR UPDATE ON wardmote.community FOR EACH ROW EXECUTE FUNCTION wardmote.trouble()"""


@contextlib.contextmanager
def owner(site, setup, end):
    """A cursor of the owner of the tables, between two statements."""
    with contextlib.closing(site.cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(setup)
        try:
            yield cursor
        finally:
            cursor.execute(end)


def test_failures_of_serialisation(site):
    """Three tries in five fail in this way: most writes are tried again unseen, the others refused."""
    with owner(site, TROUBLE, "DROP TRIGGER a_trouble ON wardmote.community; DROP FUNCTION wardmote.trouble"), site.load(writers=6) as load:
        load.more(pick(150, 20000), 1200)
        summary = site.finish(load)
    print(f"\nserialisation failures: {summary}")
    assert summary.refused > 0 and summary.unknown == 0


CROSS = """
    CREATE FUNCTION wardmote.cross() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        PERFORM 1 FROM wardmote.partner WHERE id = NEW.partner_id FOR UPDATE;
        RETURN NULL;
    END $$;
    CREATE TRIGGER zz_cross AFTER UPDATE ON wardmote.community FOR EACH ROW EXECUTE FUNCTION wardmote.cross()"""


class Crosser(threading.Thread):
    """Locks the same two rows in the other order."""

    def __init__(self, cluster):
        super().__init__()
        self._cluster = cluster
        self.ended = threading.Event()
        self.met = 0

    def run(self):
        with contextlib.closing(self._cluster.connect("postgres")) as connection, connection.cursor() as cursor:
            while not self.ended.is_set():
                try:
                    cursor.execute("BEGIN; SELECT FROM wardmote.partner WHERE name LIKE 'Fault-%' FOR UPDATE; SELECT pg_sleep(0.01); "
                                   "SELECT FROM wardmote.community ORDER BY updated_at DESC LIMIT 1 FOR UPDATE; COMMIT")
                except psycopg2.errors.DeadlockDetected:
                    self.met += 1
                    cursor.execute("ROLLBACK")


def deadlocks(cursor):
    cursor.execute("SELECT pg_stat_force_next_flush()")
    cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'wardmote'")
    return cursor.fetchone()[0]


def test_deadlocks(site):
    """Real ones: each change of a record also locks its partner's row, and somebody else locks the two the other way round."""
    crosser = Crosser(site.cluster)
    with owner(site, CROSS, "DROP TRIGGER zz_cross ON wardmote.community; DROP FUNCTION wardmote.cross") as cursor, site.load(writers=6) as load:
        before = deadlocks(cursor)
        crosser.start()
        try:
            load.more(pick(60, 5000), 1200)
        finally:
            crosser.ended.set()
            crosser.join()
        summary = site.finish(load)
        time.sleep(0.1)  # the statistics of others come a moment later
        ours = deadlocks(cursor) - before - crosser.met
    print(f"\ndeadlocks: {ours} of ours and {crosser.met} of the other; {summary}")
    assert ours + crosser.met > 0 and summary.unknown == 0


def test_tables_altered_underneath(site):
    """What was prepared for the tables as they were is prepared anew, and no client notices."""
    random = rng("altered")
    with owner(site, "SET lock_timeout = '1s'", "SELECT") as cursor, site.load(writers=4) as load:
        for turn in range(pick(10, 500)):
            load.more(10)
            for statement in (f"ALTER TABLE wardmote.community ADD COLUMN more_{turn} text", f"ALTER TABLE wardmote.community DROP COLUMN more_{turn}",
                              f"CREATE INDEX more_{turn} ON wardmote.community (name)", f"DROP INDEX wardmote.more_{turn}", "ANALYZE wardmote.community"):
                with contextlib.suppress(psycopg2.errors.LockNotAvailable, psycopg2.errors.UndefinedColumn, psycopg2.errors.DeadlockDetected,
                                         psycopg2.errors.UndefinedObject):
                    cursor.execute(statement)
                if random.random() < 0.3:
                    load.more(1)
        summary = site.finish(load)
    print(f"\naltered: {summary}")
    assert summary.unknown == 0
