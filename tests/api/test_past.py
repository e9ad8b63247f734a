# SPDX-License-Identifier: AGPL-3.0-or-later
"""Views of the past that have rules of their own: partners, which everybody sees, accounts, which have no visibility, and boundaries, which a version shares with
the next. What each reader sees, and which values."""
import uuid

import pytest

from wall import Wall

FIRST, SECOND, THIRD, ONE, TWO, THREE = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("first", "second", "third", "one", "two", "three"))
PARTNERS = [f"INSERT INTO wardmote.partner (id, name, kind) VALUES ('{FIRST}', 'First', 'other'), ('{SECOND}', 'Second', 'other'), ('{THIRD}', 'Third', 'other')",
            f"UPDATE wardmote.partner SET short_name = 'named' WHERE id IN ('{FIRST}', '{SECOND}', '{THIRD}')"]


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.close()


def counted(cursor, thing, identifier):
    cursor.execute(f"SELECT (SELECT count(*) FROM api.{thing}_past WHERE id = %(id)s), (SELECT count(*) FROM api.{thing}_version WHERE id = %(id)s)", {"id": identifier})
    return cursor.fetchone()


def test_whose_past_of_partners_each_reader_sees(wall):
    """That of a partner that there is, everybody; of one that was deleted, only itself, whatever else was deleted."""
    gone = f"DELETE FROM wardmote.partner WHERE id IN ('{SECOND}', '{THIRD}')"
    for role, reader in ((None, None), ("manager", FIRST), ("manager", SECOND), ("administrator", FIRST)):
        with wall.acting(*PARTNERS, gone, role=role, partner_id=reader) as cursor:
            assert counted(cursor, "partner", FIRST) == (1, 2)
            assert counted(cursor, "partner", SECOND) == ((3, 3) if reader == SECOND else (0, 0))
            assert counted(cursor, "partner", THIRD) == (0, 0)


def test_whose_past_of_accounts_each_reader_sees(wall):
    """That of an account that there is, who sees the account; of one that was deleted (no operation does), its partner. An account that was deleted opens no other."""
    accounts = [f"INSERT INTO wardmote.account (id, partner_id, kind, role, name) VALUES ('{ONE}', '{FIRST}', 'service', 'officer', 'One'),"
                f" ('{TWO}', '{SECOND}', 'service', 'officer', 'Two'), ('{THREE}', '{THIRD}', 'service', 'officer', 'Three')",
                f"UPDATE wardmote.account SET name = 'named' WHERE id IN ('{ONE}', '{TWO}', '{THREE}')",
                f"DELETE FROM wardmote.account WHERE id IN ('{TWO}', '{THREE}')"]
    wanted = [({}, (0, 0), (0, 0)), ({"role": "officer", "partner_id": FIRST}, (0, 0), (0, 0)), ({"role": "officer", "partner_id": FIRST, "account_id": ONE}, (1, 2), (0, 0)),
              ({"role": "manager", "partner_id": FIRST}, (1, 2), (0, 0)), ({"role": "manager", "partner_id": SECOND}, (0, 0), (3, 3)),
              ({"role": "administrator", "partner_id": FIRST}, (1, 2), (0, 0))]
    for context, one, two in wanted:
        with wall.acting(*PARTNERS, *accounts, **context) as cursor:
            assert (counted(cursor, "account", ONE), counted(cursor, "account", TWO)) == (one, two), context


def test_the_first_version_is_a_creation(wall, records):
    """And what comes after it a change."""
    for resource in records.resources():
        records.make(resource, **({"visibility": "public"} if resource in records.owned_resources() else {}))
    views = [name for (name,) in wall.rows("SELECT relname FROM pg_class WHERE relnamespace = 'api'::regnamespace AND right(relname, 8) = '_version' ORDER BY 1")]
    made_otherwise = {prefix.removeprefix("/v1/") for prefix in records.makers if prefix.startswith("/v1/")}
    for resource in made_otherwise:
        records.item(f"/v1/{resource}/{{id}}")
    assert len(views) == len(set(records.resources()) | made_otherwise)
    with wall.acting(role="administrator") as cursor:
        for view in views:
            if view == "import_version":
                continue  # its partner's alone: test_imports looks at its history
            cursor.execute(f"SELECT DISTINCT version = 1, operation FROM api.{view} WHERE operation <> 'delete'")
            assert {(True, "create")} <= set(cursor.fetchall()) <= {(True, "create"), (False, "update")}, view


def square(at):
    return f"ST_GeomFromText('MULTIPOLYGON((({at} 0, {at + 1} 0, {at + 1} 1, {at} 1, {at} 0)))', 4326)"


def test_a_version_shows_the_boundary_that_it_had(wall, records, administrator):
    """A boundary that stays is stored once, with the last version that has it: each version shows its own, and none that of another place."""
    place, other = (records.make("localities", administrator, visibility="public")["id"] for _ in range(2))
    steps = [f"UPDATE wardmote.locality SET geometry = {square(at)}, source = '{number}' WHERE id = '{identifier}'"
             for number, (identifier, at) in enumerate([(other, 50), (place, 1), (other, 51), (place, 1), (place, 1), (other, 52), (place, 2), (place, 2), (other, 53), (place, 3), (place, 3)])]
    with wall.acting(*steps) as cursor:
        cursor.execute("SELECT version, ST_XMin(geometry) FROM api.locality_version WHERE id = %s AND version > 1 ORDER BY version", (place,))
        assert cursor.fetchall() == [(2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3), (8, 3)]
        cursor.execute("SELECT version, ST_XMin(geometry) FROM api.locality_past WHERE id = %s AND version > 1 ORDER BY version", (place,))
        assert cursor.fetchall() == [(2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)]
