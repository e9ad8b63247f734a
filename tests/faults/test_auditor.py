# SPDX-License-Identifier: AGPL-3.0-or-later
"""The auditor must be able to fail: each way in which a database can betray its clients is done to real tables or to the journal, and it says so."""
import contextlib
import copy

import pytest

from auditor import Audit, read_tables
from fault_site import Site
from load import entries


@pytest.fixture(scope="module", name="site")
def _site():
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module", name="past")
def _past(site):
    """(journal lines, name) of a load that met no fault."""
    with site.load(writers=4) as load:
        load.more(400)
        summary = site.finish(load)
        assert summary.unknown == 0 and summary.lost_answers == 0 and summary.versions > 200
        yield entries(load.journal), load.name


@pytest.fixture(name="cursor")
def _cursor(site):
    """Of a superuser who fires no trigger; what is done is undone."""
    connection = site.cluster.connect("postgres")
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield cursor
    connection.rollback()
    connection.close()


def kinds(lines, connection, name):
    return {kind for kind, _ in Audit(lines, read_tables(connection, name)).complaints}


def test_no_complaint_without_a_reason(past, cursor):
    assert kinds(past[0], cursor.connection, past[1]) == set()


MINE = "(SELECT id FROM wardmote.community WHERE name LIKE 'Load load-%' AND version > 1 AND description NOT LIKE '%,%' ORDER BY id LIMIT 1)"
LIST = "(SELECT id FROM wardmote.community WHERE name LIKE 'Load shared load-%' AND version > 3 LIMIT 1)"
COLUMNS = "id, version, description, name, updated_at, kind, created_at, partner_id, visibility, grants, seldom_heard"
DAMAGES = {
    "a record is gone": (f"DELETE FROM wardmote.community WHERE id = {MINE}", {"lost"}),
    "a version is gone": (f"DELETE FROM history.community WHERE version = 1 AND id = {MINE}", {"lost", "gap", "changes"}),
    "the newest version is undone": ("DELETE FROM history.community WHERE operation = 'delete' AND id = (SELECT id FROM history.community "
                                     "WHERE operation = 'delete' AND name IS NULL ORDER BY id LIMIT 1)", {"lost", "changes"}),
    "another's content": (f"UPDATE wardmote.community SET description = 'what nobody sent' WHERE id = {MINE}", {"lost", "phantom"}),
    "a change row is gone": (f"DELETE FROM wardmote.change WHERE record_id = {MINE} AND version = 1", {"changes"}),
    "a change row too many": ("INSERT INTO wardmote.change (at, resource, record_id, version, operation, fields) "
                              f"SELECT now(), 'communities', {MINE}, 99, 'update', '{{}}'", {"changes"}),
    "created twice": (f"INSERT INTO wardmote.community ({COLUMNS}) SELECT gen_random_uuid(), 1, h.description, h.name, now(), h.kind, now(), h.partner_id, "
                      f"h.visibility, h.grants, h.seldom_heard FROM history.community h WHERE h.id = {MINE} AND h.version = 1", {"twice", "changes"}),
    "a version twice": (f"INSERT INTO history.community ({COLUMNS}, version_from, version_to, operation) SELECT {COLUMNS}, now(), now(), 'update' "
                        f"FROM wardmote.community WHERE id = {MINE}", {"twice"}),
    "a version of nothing": (f"INSERT INTO history.community ({COLUMNS}, version_from, version_to, operation) SELECT {COLUMNS}, now(), now(), 'update' "
                             f"FROM wardmote.community WHERE id = {MINE}; UPDATE wardmote.community SET version = version + 1 WHERE id = {MINE}",
                             {"phantom", "count", "changes"}),
    "a list lost an element": (f"UPDATE wardmote.community SET description = regexp_replace(description, ',[^,]*,', ',') WHERE id = {LIST}", {"lost update"}),
    "a state that nobody asked for": ("UPDATE wardmote.consultation SET status = 'cancelled', cancelled_reason = 'x' WHERE id = (SELECT id FROM "
                                      "wardmote.consultation WHERE title LIKE 'Load load-%' AND status = 'open' LIMIT 1)", {"lost", "phantom"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tables(past, cursor, damage):
    statement, expected = DAMAGES[damage]
    cursor.execute(statement)
    assert cursor.rowcount == 1, "the damage is done"
    assert kinds(past[0], cursor.connection, past[1]) >= expected


def change(line, **members):
    line.update(members)
    return line


def first(lines, test):
    return next(line for line in lines if test(line))


def answers(lines, do):
    """The acknowledging answers to this kind of operation."""
    intents = {line["op"]: line for line in lines if line.get("do") == do}
    return [line for line in lines if "do" not in line and line["op"] in intents and line.get("status", 600) < 300]


def without(lines, op):
    return [line for line in lines if line["op"] != op]


def alone(lines, do):
    """An answer to the only try of an operation."""
    return first(answers(lines, do), lambda line: sum(other["op"] == line["op"] for other in lines) == 2)


def refused(lines, **members):
    line = alone(lines, "create")
    for name in ("id", "version", "text"):
        line.pop(name, None)
    return change(line, **members)


FORGERIES = {
    "an answer to another request": (lambda lines: change(answers(lines, "read")[0], request_id="another-1"), "misdelivered"),
    "an answer without the request's id": (lambda lines: change(answers(lines, "patch")[0], request_id=None), "misdelivered"),
    "another's content in an answer": (lambda lines: change(answers(lines, "create")[0], text="create another"), "misdelivered"),
    "an answer about another record": (lambda lines: change(answers(lines, "append")[0], id="another"), "misdelivered"),
    "a version that leaps": (lambda lines: change(answers(lines, "patch")[0], version=99), "lost update"),
    "a refusal of what was done": (lambda lines: refused(lines, status=503), "phantom"),
    "an outcome that stayed unknown": (lambda lines: refused(lines, status=503, outcome="unknown"), "unsettled"),
    "an answer that never came": (lambda lines: lines.remove(alone(lines, "create")), "unsettled"),
    "a failure": (lambda lines: refused(lines, status=500), "strange"),
    "an acknowledgement of what was never stored": (lambda lines: change(answers(lines, "create")[0], id="nowhere"), "lost"),
    "a read of the past": (lambda lines: change(answers(lines, "read")[-1], version=0), "stale"),
    "a read that finds nothing": (lambda lines: change(answers(lines, "read")[-1], status=404), "stale"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_journal(past, cursor, forgery):
    forge, expected = FORGERIES[forgery]
    lines = copy.deepcopy(past[0])
    forge(lines)
    assert expected in kinds(lines, cursor.connection, past[1])


def test_what_nobody_sent(past, cursor):
    op = answers(past[0], "create")[0]["op"]
    assert "phantom" in kinds(without(past[0], op), cursor.connection, past[1])


def newest_patches(lines):
    """Answers to a patch that nothing followed: the same request again still finds its version."""
    return [answer for answer in answers(lines, "patch")
            if not any(line.get("base") == answer["version"] and line["record"] == answer["id"] for line in lines)]


def test_settling_asks_for_what_is_unknown(site):
    """An answer is struck from the journal: the same request with its key gets it again, and the audit is clean."""
    with site.load(writers=2, kinds="community,consultation") as load:
        load.more(40)
        while len(newest_patches(entries(load.journal))) <= 2:  # one per writer may yet be changed
            load.more(10)
        load.stop()
        lines = entries(load.journal)
        struck = [alone(lines, "create"), newest_patches(lines)[0], alone(lines, "transition")]
        with open(load.journal, "r+", encoding="utf-8") as journal:
            kept = [text for text, line in zip(journal.readlines(), lines) if line not in struck]
            journal.seek(0)
            journal.truncate()
            journal.writelines(kept)
        assert load.settle() == 3
        with contextlib.closing(site.cluster.connect("postgres")) as connection:
            assert kinds(entries(load.journal), connection, load.name) == set()
