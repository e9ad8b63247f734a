# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fields about a person end with the consent: on a table that is made here as a migration makes one, in a database of its own. And what else the jobs thread
tidies away."""
import json
import time
import uuid

import psycopg2.errors
import pytest

import wardmote_server

DATABASE = "expiry"
SECONDS = 30
TABLE = """
CREATE TABLE wardmote.helper (name text NOT NULL, phone text, email text, role text, consent_until date);
SELECT wardmote.protect('helper', 'owned');
CREATE INDEX helper_by_updated_at ON wardmote.helper (audience, updated_at, id);
SELECT wardmote.track('helper');
SELECT wardmote.expires('helper', 'consent_until', '{phone,email}');
"""
EMPTY = (None, None)


class Site:
    """The owner's connection to the database, and records in it."""

    def __init__(self, cluster):
        cluster.setup(DATABASE)
        self.cluster = cluster
        self.connection = cluster.connect("wardmote_owner", DATABASE)
        self.rows(TABLE)
        ((self.partner,),) = self.rows("INSERT INTO wardmote.partner (name, kind) VALUES ('A partner', 'voluntary') RETURNING id::text")

    def rows(self, text, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def day(self, days):
        """As many days from today, where the installation is."""
        ((day,),) = self.rows("SELECT wardmote.today() + %s", days)
        return day

    def make(self, days, phone="01603 555 000", email=None):
        """A record whose consent ends so many days from now; None: it names no end."""
        ((made,),) = self.rows("INSERT INTO wardmote.helper (partner_id, visibility, name, phone, email, role, consent_until)"
                               " VALUES (%s, 'private', 'Helper', %s, %s, 'Ward warden', %s) RETURNING id::text", self.partner, phone, email,
                               None if days is None else self.day(days))
        return made

    def change(self, record, **fields):
        self.rows(f"UPDATE wardmote.helper SET {', '.join(f'{name} = %s' for name in fields)} WHERE id = %s", *fields.values(), record)

    def answer(self, record, version):
        """A stored answer to a write of that version."""
        self.rows("INSERT INTO wardmote.idempotency (partner_id, method, path, key, hash, status, body, etag, record_id, version)"
                  " VALUES (%s, 'POST', '/v1/helpers', %s, '', 201, 'a body', %s, %s, %s)", self.partner, str(uuid.uuid4()), str(version), record, version)

    def answers(self, record):
        return self.rows("SELECT version, body FROM wardmote.idempotency WHERE record_id = %s ORDER BY version", record)

    def now(self, record):
        return self.rows("SELECT phone, email FROM wardmote.helper WHERE id = %s", record)

    def past(self, record):
        return [tuple(row) for row in self.rows("SELECT phone, email FROM history.helper WHERE id = %s AND operation <> 'delete' ORDER BY version", record)]

    def expire(self):
        return self.rows("SELECT wardmote.expire()")[0][0]


@pytest.fixture(scope="module", name="site")
def _site(cluster):
    site = Site(cluster)
    yield site
    site.connection.close()
    admin = cluster.connect("postgres", "postgres")
    with admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    admin.close()


@pytest.fixture(autouse=True)
def _clean(site):
    site.rows("DELETE FROM wardmote.helper; DELETE FROM history.helper; DELETE FROM wardmote.idempotency")


# --- consents ---

@pytest.mark.parametrize("days, kept", [(-1, False), (0, True), (1, True), (None, True)])
def test_a_consent_holds_until_the_end_of_its_day(site, days, kept):
    record = site.make(days, email="w@example.org")
    assert site.expire() == (0 if kept else 1)
    assert site.now(record) == [("01603 555 000", "w@example.org") if kept else EMPTY]
    assert site.rows("SELECT name, role, version FROM wardmote.helper WHERE id = %s", record) == [("Helper", "Ward warden", 1 if kept else 2)]
    assert site.expire() == 0


def test_an_end_takes_every_version_and_every_stored_answer(site):
    record, other = site.make(5), site.make(5)
    site.change(record, phone="01603 555 001")
    site.change(record, phone=None, email="w@example.org", consent_until=None)
    site.change(record, consent_until=site.day(-1))
    for version in (1, 2):
        site.answer(record, version)
    site.answer(other, 1)
    assert site.expire() == 1
    assert site.now(record) == [EMPTY] and site.past(record) == [EMPTY] * 4
    assert site.answers(record) == [(1, None), (2, None)] and site.answers(other) == [(1, "a body")]
    assert site.now(other) == [("01603 555 000", None)]
    ((account, operation, fields),) = site.rows("SELECT account_id, operation, fields FROM wardmote.change WHERE record_id = %s AND version = 5", record)
    assert (account, operation, sorted(fields)) == (None, "update", ["email"])


def test_a_consent_that_was_renewed_keeps_the_record(site):
    record = site.make(-3)
    site.change(record, consent_until=site.day(30))
    site.answer(record, 1)
    site.answer(record, 2)
    assert site.expire() == 1
    assert site.now(record) == [("01603 555 000", None)]
    assert site.past(record) == [EMPTY], "the version that the old consent was for"
    assert site.answers(record) == [(1, None), (2, "a body")]


def test_a_withdrawal_takes_all_that_was_known(site):
    """Also what a version names without a day: a record that names nobody any more has no past that does."""
    record, other = site.make(None, phone="by a public role"), site.make(None, phone="by a public role")
    site.change(record, phone="by consent", consent_until=site.day(100))
    site.change(record, name="Renamed")
    site.change(other, phone="of a successor")
    site.answer(record, 1)
    assert site.expire() == 0
    site.change(record, phone=None)
    assert site.expire() == 3
    assert site.past(record) == [EMPTY] * 3 and site.answers(record) == [(1, None)]
    assert site.past(other) == [("by a public role", None)] and site.now(other) == [("of a successor", None)]


def test_one_field_less_is_no_withdrawal(site):
    record = site.make(100, email="w@example.org")
    site.change(record, phone=None)
    assert site.expire() == 0
    assert site.past(record) == [("01603 555 000", "w@example.org")]


def test_versions_of_a_deleted_record_end_with_their_consent(site):
    ended, running = site.make(-1), site.make(9)
    for record in (ended, running):
        site.rows("DELETE FROM wardmote.helper WHERE id = %s", record)
    assert site.expire() == 1
    assert site.past(ended) == [EMPTY] and site.past(running) == [("01603 555 000", None)]


def test_a_record_that_somebody_writes_has_its_turn_later(site):
    record, other = site.make(-1), site.make(-1)
    writer = site.cluster.connect("wardmote_owner", DATABASE)
    writer.autocommit = False
    with writer.cursor() as cursor:
        cursor.execute("SELECT FROM wardmote.helper WHERE id = %s FOR UPDATE", (record,))
        site.rows("SET lock_timeout = '1s'")
        assert site.expire() == 1
    writer.rollback()
    writer.close()
    assert site.now(record) == [("01603 555 000", None)] and site.now(other) == [EMPTY]
    assert site.expire() == 1


def test_a_call_is_short(site):
    site.rows("INSERT INTO wardmote.helper (partner_id, visibility, name, phone, consent_until)"
              " SELECT %s, 'private', 'Helper', 'x', %s FROM generate_series(1, 450)", site.partner, site.day(-1))
    assert [site.rows("SELECT more, fault FROM wardmote.prune()") for _ in range(3)] == [[(True, None)], [(True, None)], [(False, None)]]
    assert site.rows("SELECT count(*) FROM wardmote.helper WHERE phone IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("until, columns", [("consent_until", "{name}"), ("consent_until", "{nothing}"), ("consent_until", "{phone,version}"), ("role", "{phone}"),
                                            ("updated_at", "{phone}"), ("nothing", "{phone}"), ("consent_until", "{grants}")])
def test_only_texts_that_may_be_empty_expire(site, until, columns):
    with pytest.raises(psycopg2.errors.RaiseException):
        site.rows("SELECT wardmote.expires('helper', %s, %s)", until, columns)


def test_registering_again_takes_further_fields(site):
    site.rows("SELECT wardmote.expires('helper', 'consent_until', '{phone,email,role}')")
    try:
        record = site.make(-1)
        site.expire()
        assert site.rows("SELECT phone, email, role FROM wardmote.helper WHERE id = %s", record) == [(None, None, None)]
        assert site.rows("SELECT columns FROM wardmote.expiry WHERE thing = 'helper'") == [(["phone", "email", "role"],)]
    finally:
        site.rows("SELECT wardmote.expires('helper', 'consent_until', '{phone,email}')")


def test_the_look_goes_by_an_index(site):
    site.rows("INSERT INTO wardmote.helper (partner_id, visibility, name, consent_until) SELECT %s, 'private', 'Helper', %s FROM generate_series(1, 2000)",
              site.partner, site.day(-1))
    site.rows("ANALYZE wardmote.helper")
    plan = "\n".join(row for (row,) in site.rows("EXPLAIN SELECT FROM wardmote.helper t WHERE coalesce(t.phone, t.email) IS NOT NULL AND t.consent_until < wardmote.today()"))
    assert "helper_expiry" in plan, plan


# --- the jobs thread ---

def soon(look):
    deadline = time.monotonic() + SECONDS
    while not look() and time.monotonic() < deadline:
        time.sleep(0.05)  # between two looks: the deadline decides
    return look()


def test_the_server_prunes_by_itself_and_tells_what_fails(site, keys):
    """More than one call's worth goes at once; a function that fails is told of and holds up none after it."""
    site.rows("INSERT INTO wardmote.helper (partner_id, visibility, name, phone, consent_until)"
              " SELECT %s, 'private', 'Helper', 'x', %s FROM generate_series(1, 450)", site.partner, site.day(-1))
    site.rows("CREATE FUNCTION wardmote.a_faulty() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''out of order''; END'")
    site.rows("CREATE FUNCTION wardmote.a_quiet() RETURNS void LANGUAGE sql AS 'SELECT'")
    site.rows("INSERT INTO wardmote.prunes VALUES ('wardmote.a_faulty'), ('wardmote.a_quiet')")
    server = wardmote_server.Server(site.cluster, keys, DATABASE)
    try:
        assert soon(lambda: site.rows("SELECT count(*) FROM wardmote.helper WHERE phone IS NOT NULL") == [(0,)])
        told = [json.loads(line) for line in server.log().splitlines() if "out of order" in line]
        assert told and told[0]["level"] == "warning" and told[0]["error"] == "wardmote.a_faulty: out of order"
    finally:
        server.close()
        site.rows("DELETE FROM wardmote.prunes WHERE function_name LIKE 'wardmote.a%'; DROP FUNCTION wardmote.a_faulty(); DROP FUNCTION wardmote.a_quiet()")


def test_functions_know_the_servers_settings(site, keys):
    """Each connection hands them on: seen by a function that the server calls."""
    site.rows("CREATE TABLE wardmote.seen (url text, extent text)")
    site.rows("CREATE FUNCTION wardmote.a_look() RETURNS void LANGUAGE sql AS"
              " 'INSERT INTO wardmote.seen VALUES (wardmote.public_url(), current_setting(''wardmote.map_extent''))'")
    site.rows("INSERT INTO wardmote.prunes VALUES ('wardmote.a_look')")
    servers = [wardmote_server.Server(site.cluster, keys, DATABASE, **settings) for settings in ({}, {"map_extent": ""}, {"map_extent": "170,-20.5,-170,-10"})]
    try:
        wanted = sorted(zip([server.url for server in servers], ["-9,49,2.5,61", "", "170,-20.5,-170,-10"]))
        assert soon(lambda: sorted(site.rows("SELECT DISTINCT url, extent FROM wardmote.seen")) == wanted)
    finally:
        for server in servers:
            server.close()
        site.rows("DELETE FROM wardmote.prunes WHERE function_name = 'wardmote.a_look'; DROP FUNCTION wardmote.a_look(); DROP TABLE wardmote.seen")


def test_who_may_prune(site):
    """The server's role may have everything pruned that is registered, and register nothing."""
    connection = site.cluster.connect("wardmote_api", DATABASE)
    try:
        for text in ("SELECT wardmote.expire()", "SELECT wardmote.expire_helper()", "SELECT wardmote.expires('helper', 'consent_until', '{phone}')",
                     "INSERT INTO wardmote.prunes VALUES ('wardmote.erase')", "SELECT FROM wardmote.expiry"):
            with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(text)
        with connection.cursor() as cursor:
            cursor.execute("SELECT more, fault FROM wardmote.prune()")
            assert cursor.fetchall() == [(False, None)]
    finally:
        connection.close()


def test_the_day_holds_whatever_the_thread_does(site):
    """Nobody has emptied them yet: in what the server reads they are over."""
    record, other = site.make(5), site.make(5)
    site.change(record, name="Renamed")
    site.rows("SELECT set_config('wardmote.partner', %s, false)", site.partner)
    try:
        views = {"helper": [("01603 555 000",)], "helper_past": [("01603 555 000",)], "helper_version": [("01603 555 000",)] * 2}
        for view, shown in views.items():
            assert site.rows(f"SELECT phone FROM api.{view} WHERE id = %s", record) == shown
        site.change(record, consent_until=site.day(-1))
        for view, shown in {"helper": 1, "helper_past": 2, "helper_version": 3}.items():
            assert site.rows(f"SELECT phone FROM api.{view} WHERE id = %s", record) == [(None,)] * shown
        assert site.rows("SELECT phone FROM api.helper WHERE id = %s", other) == [("01603 555 000",)]
        assert site.past(record)[0] == ("01603 555 000", None), "the control: it is still stored"
    finally:
        site.rows("SELECT set_config('wardmote.partner', '', false)")


def test_one_that_takes_too_long_undoes_nothing_of_the_others(site, keys):
    site.rows("CREATE FUNCTION wardmote.zz_slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)'")
    site.rows("INSERT INTO wardmote.prunes VALUES ('wardmote.zz_slow')")
    record = site.make(-1)
    server = wardmote_server.Server(site.cluster, keys, DATABASE)
    try:
        assert soon(lambda: site.now(record) == [EMPTY])
        assert soon(lambda: "wardmote.zz_slow: it took too long" in server.log())
    finally:
        server.close()
        site.rows("DELETE FROM wardmote.prunes WHERE function_name = 'wardmote.zz_slow'; DROP FUNCTION wardmote.zz_slow()")
