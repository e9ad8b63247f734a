# SPDX-License-Identifier: AGPL-3.0-or-later
"""Counts that partners keep until a day: the value goes with it, and every version of it. In a database of its own, without a server."""
import uuid

import pytest

DATABASE = "expiry_profiles"
COUNTS = (7, 30)


class Site:
    def __init__(self, cluster):
        cluster.setup(DATABASE)
        self.cluster = cluster
        self.connection = cluster.connect("wardmote_owner", DATABASE)
        ((self.partner,),) = self.rows("INSERT INTO wardmote.partner (name, kind) VALUES ('A partner', 'voluntary') RETURNING id::text")
        ((boundary_set,),) = self.rows("INSERT INTO wardmote.boundary_set (partner_id, visibility, code, name) VALUES (%s, 'public', 's', 'S') RETURNING id::text",
                                       self.partner)
        ((self.locality,),) = self.rows("INSERT INTO wardmote.locality (partner_id, visibility, boundary_set_id, code, name)"
                                        " VALUES (%s, 'public', %s, 'l', 'L') RETURNING id::text", self.partner, boundary_set)

    def rows(self, text, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def day(self, days):
        return None if days is None else self.rows("SELECT wardmote.today() + %s", days)[0][0]

    def make(self, days, source_kind="survey"):
        """A value that is kept until so many days from now; None: without an end."""
        ((made,),) = self.rows("INSERT INTO wardmote.profile_value (partner_id, visibility, locality_id, dimension, category, count, base, source_kind, as_at, purpose,"
                               " retain_until) VALUES (%s, 'private', %s, 'age', %s, %s, %s, %s, '2020-01-01', 'Visits', %s) RETURNING id::text", self.partner,
                               self.locality, str(uuid.uuid4()), *COUNTS, source_kind if days is not None else "census", self.day(days))
        return made

    def change(self, record, **fields):
        self.rows(f"UPDATE wardmote.profile_value SET {', '.join(f'{name} = %s' for name in fields)} WHERE id = %s", *fields.values(), record)

    def answer(self, record, version):
        self.rows("INSERT INTO wardmote.idempotency (partner_id, method, path, key, hash, status, body, etag, record_id, version)"
                  " VALUES (%s, 'POST', '/v1/profile-values', %s, '', 201, 'a body', %s, %s, %s)", self.partner, str(uuid.uuid4()), str(version), record, version)

    def now(self, record):
        return self.rows("SELECT count, base FROM wardmote.profile_value WHERE id = %s", record)

    def past(self, record):
        return self.rows("SELECT count, base FROM history.profile_value WHERE id = %s AND operation <> 'delete' ORDER BY version", record)

    def expire(self):
        return self.rows("SELECT wardmote.expire_profile_values()")[0][0]


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
    site.rows("DELETE FROM wardmote.profile_value; DELETE FROM history.profile_value; DELETE FROM wardmote.idempotency")


@pytest.mark.parametrize("days, kept", [(-1, False), (0, True), (1, True), (None, True)])
def test_a_value_is_kept_until_the_end_of_its_day(site, days, kept):
    record = site.make(days)
    assert site.expire() == (0 if kept else 1)
    assert site.now(record) == ([COUNTS] if kept else []) and site.past(record) == []
    assert site.expire() == 0


def test_published_values_with_an_end_go_as_well(site):
    record = site.make(-1, source_kind="published_statistics")
    assert site.expire() == 1 and site.now(record) == []


def test_the_end_takes_every_version_and_every_stored_answer(site):
    record, other = site.make(5), site.make(5)
    site.change(record, count=8)
    site.change(record, retain_until=site.day(-1))
    site.answer(record, 1)
    site.answer(record, 2)
    site.answer(other, 1)
    assert site.expire() == 1
    assert site.now(record) == [] and site.past(record) == []
    assert site.rows("SELECT count(*) FROM wardmote.idempotency WHERE record_id = %s AND body IS NOT NULL", record) == [(0,)]
    assert site.rows("SELECT body FROM wardmote.idempotency WHERE record_id = %s", other) == [("a body",)] and site.now(other) == [COUNTS]
    assert site.rows("SELECT operation, account_id FROM wardmote.change WHERE record_id = %s AND version = 4", record) == [("delete", None)]


def test_a_longer_end_keeps_the_value_and_what_was_under_the_old_one_goes(site):
    record = site.make(-3)
    site.change(record, retain_until=site.day(30))
    site.answer(record, 1)
    site.answer(record, 2)
    assert site.expire() == 1
    assert site.now(record) == [COUNTS] and site.past(record) == []
    assert site.rows("SELECT version, body FROM wardmote.idempotency WHERE record_id = %s ORDER BY version", record) == [(1, None), (2, "a body")]


def test_versions_of_a_deleted_value_end_with_their_day(site):
    ended, running = site.make(-1), site.make(9)
    for record in (ended, running):
        site.rows("DELETE FROM wardmote.profile_value WHERE id = %s", record)
    assert site.expire() == 1
    assert site.past(ended) == [] and site.past(running) == [COUNTS]


def test_a_value_that_somebody_writes_has_its_turn_later(site):
    record, other = site.make(-1), site.make(-1)
    writer = site.cluster.connect("wardmote_owner", DATABASE)
    writer.autocommit = False
    with writer.cursor() as cursor:
        cursor.execute("SELECT FROM wardmote.profile_value WHERE id = %s FOR UPDATE", (record,))
        site.rows("SET lock_timeout = '1s'")
        assert site.expire() == 1
    writer.rollback()
    writer.close()
    assert site.now(record) == [COUNTS] and site.now(other) == []
    assert site.expire() == 1


def test_the_jobs_thread_calls_it_and_a_call_is_short(site):
    site.rows("INSERT INTO wardmote.profile_value (partner_id, visibility, locality_id, dimension, category, count, source_kind, as_at, purpose, retain_until)"
              " SELECT %s, 'private', %s, 'age', i, 1, 'survey', '2020-01-01', 'Visits', %s FROM generate_series(1, 450) i", site.partner, site.locality, site.day(-1))
    assert [site.rows("SELECT more, fault FROM wardmote.prune()") for _ in range(3)] == [[(True, None)], [(True, None)], [(False, None)]]
    assert site.rows("SELECT count(*) FROM wardmote.profile_value") == [(0,)]
