# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the functions answer that policies, triggers and statements ask: each against its rule, with rows beside those that it is about which differ in one thing."""
import itertools
import json
import uuid

import psycopg2
import pytest

from wall import RANKS, Wall, attempt
from wardmote_records import unique

OWN, MANAGED, LEFT, SERVED, EMPTY = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"partner that is {name}")) for name in ("own", "managed", "left", "served", "empty"))
CODE_LISTS = {"topic": "topics", "audience": "audiences", "method": "methods"}


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.close()


def value(cursor, text, *values):
    cursor.execute(f"SELECT {text}", values)
    return cursor.fetchone()[0]


def raised(cursor, text, *values):
    """The SQLSTATE with which it ends, or None."""
    cursor.execute("SAVEPOINT asked")
    try:
        cursor.execute(text, values)
        return None
    except psycopg2.Error as error:
        return error.pgcode
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT asked")


# --- who ---

def test_ranks_and_grants(wall):
    with wall.acting() as cursor:
        assert {role: value(cursor, "wardmote.role_rank(%s)", role) for role in (*RANKS, "nobody")} == {**RANKS, "nobody": 0}
        grants = json.dumps([{"partner_id": OWN, "right": "read"}, {"partner_id": MANAGED, "right": "write"}, {"partner_id": OWN, "right": "read"}])
        assert value(cursor, "wardmote.granted(%s, 'write')::text", grants) == f"{{{MANAGED}}}"
        assert set(value(cursor, "wardmote.granted(%s, 'read')::text[]", grants)) == {OWN, MANAGED}
        assert value(cursor, "wardmote.granted('[]', 'read')::text") == "{}"


def test_who_manages_accounts_of_whom(wall):
    """Managers those of their partner, up to their own role; administrators all of their own partner, and of another that has no person who can."""
    names = {OWN: "own", MANAGED: "managed", LEFT: "left", SERVED: "served", EMPTY: "empty"}
    cast = [f"INSERT INTO wardmote.partner (id, name, kind) VALUES {', '.join(f'''('{identifier}', '{name}', 'other')''' for identifier, name in names.items())}",
            "INSERT INTO wardmote.account (partner_id, kind, role, name, login, disabled) VALUES"
            f" ('{MANAGED}', 'person', 'manager', 'a', 'a@rules.example', false), ('{LEFT}', 'person', 'manager', 'b', 'b@rules.example', true),"
            f" ('{LEFT}', 'person', 'officer', 'c', 'c@rules.example', false), ('{SERVED}', 'service', 'manager', 'd', NULL, false)"]
    for rank, partner_id, role in itertools.product(range(5), names, RANKS):
        with wall.acting(*cast, partner_id=OWN, rank=str(rank)) as cursor:
            assert value(cursor, "wardmote.has_manager(%s)", partner_id) == (partner_id == MANAGED)
            own = partner_id == OWN
            expected = (rank == 4 and (own or (partner_id != MANAGED and role != "administrator"))) or (rank == 3 and own and role != "administrator")
            assert value(cursor, "wardmote.may_manage(%s, %s)", partner_id, role) == expected, (rank, names[partner_id], role)


def test_administrators_are_the_hosts(wall, host, partner):
    """Whoever writes it: even the owner of the tables makes no administrator elsewhere."""
    insert = "INSERT INTO wardmote.account (partner_id, kind, role, name) VALUES (%s, 'service', %s, 'Made')"
    with wall.acting(server=False) as cursor:
        assert attempt(cursor, insert, (partner.id, "administrator")) is None
        assert attempt(cursor, insert, (partner.id, "manager")) == 1
        assert attempt(cursor, insert, (host["partner_id"], "administrator")) == 1
        assert attempt(cursor, "UPDATE wardmote.account SET role = 'administrator' WHERE partner_id = %s", (partner.id,)) is None


# --- keys and versions ---

def test_a_key_is_claimed_by_all_that_names_it(wall, partner, other):
    """Its partner, method, path and key: an answer that was stored under three of them is another's, though policies showed it."""
    own = (partner.id, "POST", "/v1/x", "the key")
    beside = [tuple(change if place == number else part for number, part in enumerate(own)) for place, change in enumerate((other.id, "PUT", "/v1/y", "another key"))]
    shown = "CREATE POLICY all_shown ON wardmote.idempotency TO wardmote_api USING (true) WITH CHECK (true)"
    store = "INSERT INTO wardmote.idempotency (partner_id, method, path, key, hash, status, created_at) VALUES (%s, %s, %s, %s, %s, 201, now() - make_interval(hours => %s))"
    claim = "SELECT wardmote.claim_key('the key', 'POST', '/v1/x', %s)"
    stored = "SELECT partner_id, method, path, key FROM wardmote.idempotency WHERE key IN ('the key', 'another key')"
    for own_hash, age, wanted in ((None, 0, None), ("hash", 0, "WM001"), ("other", 0, "WM422"), ("hash", 25, None), ("other", 25, None)):
        with wall.acting(shown, role="officer", partner_id=partner.id) as cursor:
            for row in beside:
                cursor.execute(store, (*row, "hash", 48))
            if own_hash is not None:
                cursor.execute(store, (*own, own_hash, age))
            assert raised(cursor, claim, "hash") == wanted, (own_hash, age)
            if wanted is None:
                cursor.execute(claim, ("hash",))
                cursor.execute(stored)
                assert sorted(cursor.fetchall()) == sorted(beside), "one that is over is gone, and no other"
        with wall.acting(shown, role="officer", partner_id=partner.id) as cursor:
            for row in beside:
                cursor.execute(store, (*row, "hash", 0))
            assert raised(cursor, claim, "other") is None


def test_a_version_is_one_of_its_timeline(wall):
    with wall.acting() as cursor:
        assert [raised(cursor, "SELECT wardmote.expect_timeline(%s)", timeline) for timeline in ("1", "2")] == [None, "WM412"]


# --- codes and scales ---

def test_who_uses_a_code(wall, records, partner, other):
    """Records in the column of its list; another partner's only where that has no code of its own of that name. A shared one also the codes that map to it."""
    used, beside = unique("used"), unique("beside")
    own = {name: records.make("codes", other.manager, list=name, maps_to=None)["id"] for name in CODE_LISTS}
    for thing, resource in (("consultation", "consultations"), ("activity", "activities")):
        both = [records.make(resource, who.manager)["id"] for who in (partner, other)]
        for name, asked in itertools.product(CODE_LISTS, CODE_LISTS):
            columns = ", ".join(f"{column} = '{{{used if column == CODE_LISTS[name] else beside}}}'" for column in CODE_LISTS.values())
            fill = f"UPDATE wardmote.{thing} SET {columns} WHERE id IN ('{both[0]}', '{both[1]}')"
            hit, elsewhere = name == asked, next(each for each in CODE_LISTS if each != asked)
            steps = [  # what becomes of a code of the other partner: how many use the shared one of this name, this partner's, the other's
                (f"SELECT '{own[asked]}'", (2, 2, 2) if hit else (0, 0, 0)),
                (f"UPDATE wardmote.code SET maps_to = '{used}' WHERE id = '{own[elsewhere]}'", (2, 2, 2) if hit else (0, 0, 0)),
                (f"UPDATE wardmote.code SET code = '{used}' WHERE id = '{own[asked]}'", (2, 1, 2) if hit else (0, 0, 0)),
                (f"UPDATE wardmote.code SET maps_to = '{used}' WHERE id = '{own[asked]}'", (3, 1, 2) if hit else (1, 0, 0)),
                (f"UPDATE wardmote.code SET maps_to = '{beside}' WHERE id = '{own[asked]}'", (2, 1, 2) if hit else (0, 0, 0))]
            for number in range(len(steps)):
                with wall.acting(fill, *(text for text, _ in steps[:number + 1])) as cursor:
                    found = tuple(value(cursor, "wardmote.code_uses(%s, %s, %s)", asked, used, owner) for owner in (None, partner.id, other.id))
                    assert found == steps[number][1], (thing, name, asked, steps[number][0])


def test_a_score_holds_its_own_scale_still(wall, records, administrator, partner):
    """While the scale of a risk is being changed its score waits; while another is, it does not."""
    steps = [{"value": number, "label": str(number)} for number in (1, 2)]
    scale, beside = (records.make("risk-scales", administrator, visibility="public", likelihood=steps, impact=steps)["id"] for _ in range(2))
    register = records.make("risk-registers", partner.manager, risk_scale_id=scale)["id"]
    risk = records.make("risks", partner.manager, risk_register_id=register, likelihood=1, impact=1)["id"]
    for changed, wanted in ((beside, None), (scale, "55P03")):
        with wall.owner.cursor() as other:
            other.execute("BEGIN")
            other.execute("UPDATE wardmote.risk_scale SET source = 'changed' WHERE id = %s", (changed,))
            try:
                with wall.acting("SET LOCAL lock_timeout = '300ms'", server=False) as cursor:
                    assert raised(cursor, "UPDATE wardmote.risk SET likelihood = 2 WHERE id = %s", risk) == wanted
            finally:
                other.execute("ROLLBACK")
